"""A checkpoint into an encoder, frozen, with a name and a fingerprint."""

from __future__ import annotations

import hashlib
from typing import TypeVar

import torch
from torch import nn

from radalign.nn.text import TextEncoder
from radalign.nn.tower import VisionTower
from radalign.weights.names import Account, NameMap, Published, rename

Encoder = TypeVar("Encoder", bound=VisionTower | TextEncoder)


def fill(encoder: Encoder, name: str, names: NameMap, published: Published) -> tuple[Encoder, Account]:
    """Copy a checkpoint into an encoder, freeze it and name it.

    Args:
        encoder: Of the checkpoint's sizes, its adapter slots empty.
        name: What the encoder is called from now on.
        names: The family's table.
        published: The checkpoint.

    Returns:
        The same encoder, and which names were loaded and which were not used.

    Raises:
        CheckpointError: The checkpoint does not cover the encoder.
    """
    shapes = {key: tuple(value.shape) for key, value in encoder.state_dict().items()}
    renamed = rename(published, names, shapes, encoder.depth)
    tensors = {key: value.float() for key, value in renamed.tensors.items()}
    encoder.load_state_dict(tensors, strict=False)  # `rename` has refused what must not be missing
    return freeze(encoder, name), renamed.account


def freeze(encoder: Encoder, name: str) -> Encoder:
    """Name an encoder by its weights, stop their training and put it in evaluation mode."""
    encoder.name = name
    encoder.identity = f"{name} sha256:{fingerprint(encoder, encoder.config)}"
    encoder.eval().requires_grad_(False)
    return encoder


def fingerprint(module: nn.Module, config: object) -> str:
    """The SHA-256 over a configuration and a module's tensors (name, shape, float32 bytes), in hex.

    Saved systems name their backbones by it, so a configuration's representation must not change: a field
    added later declares `repr=False`, or its default would change every fingerprint. BERT's first segment
    counts as part of the positions, because only their sum matters.

    >>> layer = nn.Linear(1, 1).requires_grad_(False)
    >>> before = fingerprint(layer, "tiny")
    >>> layer.bias += 1
    >>> before == fingerprint(layer, "tiny"), len(before)
    (False, 64)
    """
    digest = hashlib.sha256(repr(config).encode())
    tensors = module.state_dict()
    if "segment" in tensors:  # where the first segment ends and the position begins is no difference
        tensors["position.weight"] = tensors["position.weight"].float() + tensors.pop("segment")[0].float()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}{list(tensor.shape)}".encode())
        digest.update(tensor.detach().to("cpu", torch.float32).contiguous().numpy().data)
    return digest.hexdigest()
