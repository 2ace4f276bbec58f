"""Features that a frozen tower made of images before, found again by the images' own bytes.

batch of images ── bytes, mask, precision ──> digest ── seen before? ──yes──> features
                                                            └──no──> tower ──┘
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import torch
from torch import Tensor, nn

from radalign.data.batches import ImageBatch

MOST_BYTES = 2**26


class Remembered:
    """Features of image batches; when they are more than `most_bytes`, the oldest go.

    The same tower gives the same features of the same batch, so nothing changes but the time.

    Args:
        most_bytes: Of all features together.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._bytes = most_bytes, 0
        self._features: dict[bytes, Tensor] = {}

    def of(self, images: ImageBatch, tower: str, make: Callable[[], Tensor]) -> Tensor:
        """The features of a batch, made if they are not there.

        Args:
            images: The batch.
            tower: What makes the features; its weights must not change under one name.
            make: Makes them.
        """
        key = _digest(images, tower)
        if key not in self._features:
            # Outside of inference mode: what is used where gradients are wanted must be made there.
            made = make()
            with torch.inference_mode(False):
                self._keep(key, made.detach().clone())
            return made
        return self._features[key]

    def forget(self) -> None:
        """Empty the memory, for a measurement of time or operations."""
        self._features.clear()
        self._bytes = 0

    def _keep(self, key: bytes, features: Tensor) -> None:
        self._features[key] = features
        self._bytes += features.nbytes
        while self._bytes > self._most:
            self._bytes -= self._features.pop(next(iter(self._features))).nbytes


def forget_features(system: nn.Module) -> None:
    """Empty every memory that a system or a part of it keeps, so that the next batch is computed."""
    for part in system.modules():
        for held in vars(part).values():
            if isinstance(held, Remembered):
                held.forget()


def _digest(images: ImageBatch, tower: str) -> bytes:
    device = images.images.device.type
    precision = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else torch.float32
    digest = hashlib.blake2b(f"{tower}|{precision}|{tuple(images.images.shape)}".encode(), digest_size=16)
    for part in (images.images, images.view_mask):
        digest.update(part.cpu().contiguous().numpy().tobytes())
    return digest.digest()
