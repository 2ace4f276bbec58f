"""Encoders with random weights, for tests and for counting parameters; their sizes come from a flat table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import torch

from radalign.nn.text import TextConfig, TextEncoder
from radalign.nn.transformer import TransformerConfig
from radalign.nn.vision import VisionConfig, VisionEncoder
from radalign.weights.fill import freeze
from radalign.weights.names import CheckpointError

_BLOCKS = {"width": 64, "depth": 2, "heads": 4, "mlp_width": 128}


def random_vision(settings: Mapping[str, Any]) -> VisionEncoder:
    """A vision encoder from keys of `TransformerConfig` and `VisionConfig`, and `seed`; small by default.

    >>> random_vision({"width": 32, "seed": 1}).name
    'random-1'
    """
    inner, outer = _split(settings, VisionConfig)
    blocks = TransformerConfig(**{**_BLOCKS, **inner})
    config = VisionConfig(blocks, **{"patch_px": 16, "image_px": 64, **outer})
    seed = settings.get("seed", 0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return freeze(VisionEncoder(config), f"random-{seed}")


def random_text(settings: Mapping[str, Any]) -> TextEncoder:
    """A text encoder from keys of `TransformerConfig` and `TextConfig`, and `seed`; small by default."""
    inner, outer = _split(settings, TextConfig)
    blocks = TransformerConfig(**{**_BLOCKS, "norm": "post", "norm_eps": 1e-12, **inner})
    config = TextConfig(blocks, **{"vocabulary": 1000, "max_tokens": 128, **outer})
    seed = settings.get("seed", 0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return freeze(TextEncoder(config), f"random-{seed}")


def _split(settings: Mapping[str, Any], outer: type) -> tuple[dict[str, Any], dict[str, Any]]:
    """The keys that belong to the transformer, and those that belong to the encoder around it."""
    inner_names = {f.name for f in fields(TransformerConfig)}
    outer_names = {f.name for f in fields(outer)} - {"transformer"}
    unknown = sorted(set(settings) - inner_names - outer_names - {"seed"})
    if unknown:
        known = ", ".join(sorted(inner_names | outer_names | {"seed"}))
        raise CheckpointError(f"Unknown keys in a random encoder: {', '.join(unknown)}; use some of {known}.")
    inner = {key: value for key, value in settings.items() if key in inner_names}
    return inner, {key: value for key, value in settings.items() if key in outer_names}
