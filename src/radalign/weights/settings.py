"""What a checkpoint cannot tell, from a `--config` file; sizes that are repeated there must agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from radalign.weights.names import CheckpointError

# The keys of a `--config` file, and what each one means; the golden folders' config.json is such a file.
KEYS = {
    "image_size": "side of the image in pixels",
    "patch_size": "side of a patch in pixels",
    "vision_dim": "width of the vision encoder",
    "vision_depth": "blocks of the vision encoder",
    "vision_heads": "attention heads of the vision encoder (12)",
    "text_dim": "width of the text encoder",
    "text_depth": "blocks of the text encoder",
    "text_heads": "attention heads of the text encoder (12)",
    "decoder_heads": "attention heads of the image decoder (6)",
    "vocab_size": "words of the vocabulary",
    "text_length": "longest report in tokens (128)",
    "projection_dim": "width of the joint space",
    "adapter_ratio": "bottleneck width as a share of the tower's",
    "norm_eps_vision": "epsilon of the vision encoder's LayerNorms (1e-6)",
    "norm_eps_text": "epsilon of the text encoder's LayerNorms (1e-12)",
    "image_mean": "three numbers: mean of each colour channel, for images in 0..1",
    "image_std": "three numbers: standard deviation of each colour channel",
    "mask_ratio": "share of patches dropped in training",
    "seed": "ignored",
}


def check_keys(settings: Mapping[str, Any]) -> None:
    """Refuse a key that would be ignored in silence.

    Raises:
        CheckpointError: With the keys there are.
    """
    unknown = sorted(set(settings) - set(KEYS))
    if unknown:
        raise CheckpointError(
            f"Unknown keys in the configuration: {', '.join(unknown)}; use some of {', '.join(KEYS)}."
        )


def check_sizes(settings: Mapping[str, Any], found: Mapping[str, float]) -> None:
    """Refuse a configuration that contradicts the checkpoint's own shapes.

    Args:
        settings: What the configuration says.
        found: What the shapes say, by the configuration's keys.

    Raises:
        CheckpointError: With the first contradiction.

    >>> check_sizes({"text_dim": 64, "seed": 3}, {"text_dim": 64})
    """
    for key, size in found.items():
        if key in settings and abs(float(settings[key]) - size) > 1e-9:
            raise CheckpointError(
                f"The configuration says {key}={settings[key]}, but the checkpoint's shapes say {size:g}; "
                "give the configuration that belongs to the checkpoint."
            )


def need_heads(width: int, heads: int, key: str) -> None:
    """Refuse a number of attention heads that a checkpoint's width does not allow.

    Raises:
        CheckpointError: Shapes do not tell the heads, so that the configuration must.

    >>> need_heads(768, 12, "vision_heads")
    """
    if heads < 1 or width % heads:
        raise CheckpointError(
            f"A width of {width} does not divide into {heads} heads, and a checkpoint does not tell how many "
            f"there are; give --config with a JSON file that says {key}."
        )
