"""Published checkpoints under our names: one file per family, a reader for ONNX, tokenizers, and the hub."""
