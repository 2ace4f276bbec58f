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


_POSITIVE = frozenset({"adapter_ratio", "norm_eps_vision", "norm_eps_text"})
_COLOURS = frozenset({"image_mean", "image_std"})


def check_keys(settings: Mapping[str, Any]) -> None:
    """Refuse a key that would be ignored in silence, and a value that no checkpoint can have.

    Raises:
        CheckpointError: With the keys there are, or what a value must be.
    """
    if "model_type" in settings:
        raise CheckpointError(
            f"This is a Hugging Face folder of type {settings['model_type']}, not a checkpoint with timm's "
            "names; import it as what it is."
        )
    unknown = sorted(set(settings) - set(KEYS))
    if unknown:
        raise CheckpointError(
            f"Unknown keys in the configuration: {', '.join(unknown)}; use some of {', '.join(KEYS)}."
        )

    for key, value in settings.items():
        wanted = _wanted(key, value)
        if wanted:
            raise CheckpointError(f"In the configuration {key} must be {wanted}, not {value!r}; mend it.")


def _wanted(key: str, value: Any) -> str:
    """What a value should have been; nothing when it is that."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if key == "seed":
        return ""
    if key in _POSITIVE:
        return "" if number and value > 0 else "a number above 0"
    if key == "mask_ratio":
        return "" if number and 0 <= value < 1 else "a share from 0 to below 1"
    if key in _COLOURS:
        above = key == "image_std"
        three = isinstance(value, list) and len(value) == 3
        fits = three and all(isinstance(x, int | float) and (x > 0 or not above) for x in value)
        return "" if fits else "three numbers above 0" if above else "three numbers"
    return "" if number and value >= 1 and int(value) == value else "a whole number of 1 or more"


def heads_of_width(settings: Mapping[str, Any], key: str, width: int) -> tuple[int, tuple[str, ...]]:
    """The attention heads of a tower, which its shapes do not tell.

    Args:
        settings: Of a `--config` file.
        key: `vision_heads` or `text_heads`.
        width: Of the tower.

    Returns:
        The heads that the configuration says, or one per 64 of width with a sentence about it.

    Raises:
        CheckpointError: If the width does not divide so.

    >>> heads_of_width({}, "vision_heads", 128)[0], heads_of_width({"vision_heads": 4}, "vision_heads", 128)
    (2, (4, ()))
    """
    if key in settings:
        need_heads(width, int(settings[key]), key)
        return int(settings[key]), ()
    if width % 64:
        raise CheckpointError(
            f"A width of {width} is no multiple of 64, and a checkpoint does not tell how many attention "
            f"heads there are; give --config with a JSON file that says {key}."
        )
    said = (
        f"{width // 64} attention heads, one per 64 of width: shapes do not tell, `{key}` in --config does."
    )
    return width // 64, (said,)


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
