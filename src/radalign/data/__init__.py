"""From manifests to batches: sources, priors, splits, the pixel cache and the loader."""
