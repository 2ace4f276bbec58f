"""BiomedCLIP-like folders (open_clip's form): a timm ViT and a BERT in one file, with projections.

Its image tower reads CLS and projects it with one linear layer; its text tower reads CLS and projects it
with two, GELU between.

References:
    Zhang et al., "BiomedCLIP", 2023 (microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from radalign.nn.text import TextEncoder
from radalign.nn.vision import VisionEncoder
from radalign.weights import bert, clip, vit
from radalign.weights.files import read_checkpoint, read_json
from radalign.weights.fill import fill
from radalign.weights.names import Account, CheckpointError, NameMap

_SETTINGS = "open_clip_config.json"
_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin")
_TRUNK = "visual.trunk."

VISION = NameMap(
    family="BiomedCLIP image tower",
    rest={
        **{ours: f"{_TRUNK}{theirs}" for ours, theirs in vit.TIMM.rest.items()},
        "projection.weight": "visual.head.proj.weight",
    },
    block=_TRUNK + vit.TIMM.block,
    blocks=vit.TIMM.blocks,
)

TEXT = NameMap(
    family="BiomedCLIP text tower",
    rest={
        **{ours: f"text.transformer.{theirs}" for ours, theirs in bert.HF.rest.items()},
        "projection.0.weight": "text.proj.0.weight",
        "projection.2.weight": "text.proj.2.weight",
    },
    optional=bert.HF.optional,
    block="text.transformer." + bert.HF.block,
    blocks=bert.HF.blocks,
)


def is_in(folder: Path) -> bool:
    """Whether a folder is in open_clip's form."""
    return (folder / _SETTINGS).is_file()


def read_vision(folder: Path, name: str) -> VisionEncoder:
    """The frozen image tower of a folder.

    Raises:
        CheckpointError: The folder holds another architecture than a timm ViT with a linear projection.
    """
    return _vision(folder, name)[0]


def read_text(folder: Path, name: str) -> TextEncoder:
    """The frozen text tower of a folder.

    Raises:
        CheckpointError: The folder holds another architecture than a BERT with a two-layer projection.
    """
    return _text(folder, name)[0]


def towers(folder: Path, name: str) -> tuple[tuple[VisionEncoder, Account], tuple[TextEncoder, Account]]:
    """Both frozen towers of a folder, each with the account of its names; errors as above."""
    return _vision(folder, name), _text(folder, name)


def _vision(folder: Path, name: str) -> tuple[VisionEncoder, Account]:
    settings, published = _read(folder, "visual.head.proj.weight", "timm ViT with a linear projection")
    looks = settings.get("preprocess_cfg", {})
    trunk = {key.removeprefix(_TRUNK): value for key, value in published.items() if key.startswith(_TRUNK)}
    mean, std = tuple(looks.get("mean", clip.MEAN)), tuple(looks.get("std", clip.STD))
    config = vit.timm_config(trunk, {"mean": mean, "std": std})
    config = replace(config, projection=published["visual.head.proj.weight"].shape[0])
    return fill(VisionEncoder(config), name, VISION, published)


def _text(folder: Path, name: str) -> tuple[TextEncoder, Account]:
    settings, published = _read(folder, "text.proj.2.weight", "BERT with a two-layer projection")
    published = bert.tidy(published)
    limit = settings.get("model_cfg", {}).get("text_cfg", {}).get("context_length", 256)
    config = bert.config_of_shapes(published, "text.transformer.")
    hidden, joint = published["text.proj.0.weight"].shape[0], published["text.proj.2.weight"].shape[0]
    config = replace(config, projection=joint, projection_hidden=hidden)
    encoder, account = fill(TextEncoder(config), name, TEXT, published)
    encoder.max_tokens = min(encoder.max_tokens, limit)
    return encoder, account


def _read(folder: Path, needed: str, what: str) -> tuple[Mapping[str, Any], dict[str, Tensor]]:
    """The settings and tensors of a folder that must hold the tensor `needed`."""
    path = next((folder / name for name in _FILES if (folder / name).is_file()), folder / _FILES[0])
    published = read_checkpoint(path)
    if needed not in published:
        raise CheckpointError(f"{path.name} has no {needed}; radalign reads a {what} in open_clip's form.")
    return read_json(folder / _SETTINGS), published
