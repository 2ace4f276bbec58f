"""Encoders with random weights, for tests and for counting parameters; their sizes come from a flat table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import torch

from radalign.nn.resnet import ResNet, ResNetConfig
from radalign.nn.text import TextConfig, TextEncoder
from radalign.nn.tower import VisionTower
from radalign.nn.transformer import TransformerConfig
from radalign.nn.vision import VisionConfig, VisionEncoder
from radalign.weights.fill import freeze
from radalign.weights.names import CheckpointError

_BLOCKS = {"width": 64, "depth": 2, "heads": 4, "mlp_width": 128}
_STAGES = {"stem_width": 8, "widths": (16, 32), "depths": (1, 1)}


def random_vision(settings: Mapping[str, Any]) -> VisionTower:
    """A vision encoder, small by default.

    Args:
        settings: `family` (`vit` or `resnet`), `seed`, and keys of `TransformerConfig` and `VisionConfig`, or
            of `ResNetConfig`.

    Raises:
        CheckpointError: A key or the family is unknown, or a size is impossible.

    >>> random_vision({"width": 32, "seed": 1}).name
    'random-1'
    >>> random_vision({"family": "resnet"}).width
    32
    """
    family = settings.get("family", "vit")
    settings = {key: value for key, value in settings.items() if key != "family"}
    if family == "resnet":
        return _random_resnet(settings)
    if family != "vit":
        raise CheckpointError(f"There is no random encoder of family {family!r}; use vit or resnet.")
    inner, outer = _split(settings, VisionConfig)
    blocks = TransformerConfig(**{**_BLOCKS, **inner})
    config = VisionConfig(blocks, **{"patch_px": 16, "image_px": 64, **outer})
    seed = settings.get("seed", 0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return freeze(VisionEncoder(config), f"random-{seed}")


def _random_resnet(settings: Mapping[str, Any]) -> ResNet:
    """A ResNet from keys of `ResNetConfig`, and `seed`."""
    known = {f.name for f in fields(ResNetConfig)}
    _need_known(settings, known)
    own = {key: settings[key] for key in settings if key in known}
    lists = {key: tuple(value) for key, value in own.items() if isinstance(value, list)}  # TOML has no tuples
    try:
        config = ResNetConfig(**{**_STAGES, **own, **lists})
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    seed = settings.get("seed", 0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return freeze(ResNet(config), f"random-{seed}")


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
    _need_known(settings, inner_names | outer_names)
    inner = {key: value for key, value in settings.items() if key in inner_names}
    return inner, {key: value for key, value in settings.items() if key in outer_names}


def _need_known(settings: Mapping[str, Any], names: set[str]) -> None:
    unknown = sorted(set(settings) - names - {"seed"})
    if unknown:
        known = ", ".join(sorted(names | {"seed"}))
        raise CheckpointError(f"Unknown keys in a random encoder: {', '.join(unknown)}; use some of {known}.")
