"""The pieces of the encoders: transformer with adapter slots, packing, vision, text, adapters, heads."""
