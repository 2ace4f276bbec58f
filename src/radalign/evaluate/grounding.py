"""Phrase grounding: does the heatmap of a phrase light up where a radiologist drew the box?

    patches [g * g, E] · words [L, E] ─ mean over words ─> cosines [g, g] ─ bilinear ─> heatmap [S, S]
    boxes in the image's pixels ─ the system's geometry ─> mask [S, S]

Everything is measured on the square that the system saw; `valid` leaves out what a padded image lacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from radalign.data.batches import Embeddings, ImageBatch, TextBatch
from radalign.data.read_slots import read_slots
from radalign.evaluate.embeddings import EvaluationError
from radalign.evaluate.statistic import Bools, Floats
from radalign.images.geometry import Fit, inner_size
from radalign.study import Manifest, Study
from radalign.systems.recipe import Recipe

BIOVIL_THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5)


class LocalSystem(Protocol):
    """What grounding asks of a system: local embeddings of images and of texts."""

    recipe: Recipe

    def encode_images(self, images: ImageBatch) -> Embeddings:
        """Embed images with `local` [B, N, E]."""

    def encode_texts(self, texts: TextBatch) -> Embeddings:
        """Embed texts with `local` [B, L, E]."""

    def tokenize(self, texts: Sequence[str]) -> TextBatch:
        """Token ids and mask."""


@dataclass(frozen=True)
class Box:
    """A box in the pixels of the original image.

    >>> Box(1, 2, 3, 4).right, Box(1, 2, 3, 4).bottom
    (4, 6)
    """

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Bottom edge."""
        return self.top + self.height


@torch.inference_mode()
def phrase_heatmap(system: LocalSystem, study: Study, manifest: Manifest, phrase: str) -> Floats:
    """Cosine of every patch of a study's only view to the words of a phrase, mean over words, [S, S].

    Raises:
        EvaluationError: If the system has no local embeddings, or not one per patch of a square grid.
    """
    device = getattr(system, "device", torch.device("cpu"))
    images = system.encode_images(read_slots([study], manifest, system.recipe.data).to(device))
    texts = system.encode_texts(system.tokenize([phrase]).to(device))
    patches, words = _local(images), _local(texts)
    side = isqrt(len(patches))
    if side * side != len(patches):
        raise EvaluationError(
            f"{len(patches)} patches are no square grid; ground with one view and no masking."
        )
    cosines = (patches @ words.T).mean(dim=1).reshape(1, 1, side, side)  # [1, 1, g, g]
    size = system.recipe.data.size_px
    heat = torch.nn.functional.interpolate(cosines, (size, size), mode="bilinear", align_corners=False)
    found: Floats = heat[0, 0].double().cpu().numpy()
    return found


def box_mask(
    boxes: Sequence[Box], width_px: int, height_px: int, size_px: int, geometry: Fit, resize_px: int = 0
) -> tuple[Bools, Bools]:
    """Where boxes lie on the square that a system sees, and which of its pixels show the image.

    Args:
        boxes: In the original image's pixels.
        width_px: Of the original image.
        height_px: Of the original image.
        size_px: S.
        geometry: How the image became a square.
        resize_px: With `crop`: its side before the middle was kept; 0 = S.

    Returns:
        inside [S, S], valid [S, S]. A pixel is inside when its centre is in a box.

    >>> inside, valid = box_mask([Box(0, 0, 2, 2)], 4, 4, 2, "stretch")
    >>> inside.tolist(), bool(valid.all())
    ([[True, False], [False, False]], True)
    """
    height, width = inner_size((height_px, width_px), resize_px or size_px, geometry)
    top, left = _offset(size_px, height), _offset(size_px, width)
    y = (np.arange(size_px) + 0.5 - top) * height_px / height
    x = (np.arange(size_px) + 0.5 - left) * width_px / width
    valid = np.outer((y >= 0) & (y < height_px), (x >= 0) & (x < width_px))
    inside = np.zeros_like(valid)
    for box in boxes:
        inside |= np.outer((y >= box.top) & (y < box.bottom), (x >= box.left) & (x < box.right))
    return inside & valid, valid


def contrast_to_noise(heat: Floats, inside: Bools, valid: Bools) -> float:
    """(mean inside - mean outside) / sqrt(variance inside + variance outside); NaN without either side.

    References:
        Boecking et al., BioViL, ECCV 2022, section 4.2 (there with the absolute value of the difference).

    >>> heat = np.array([[1.0, 3.0, 0.0, 0.0]])
    >>> contrast_to_noise(heat, heat > 0, heat > -1)
    2.0
    """
    within, without = heat[inside], heat[valid & ~inside]
    if not len(within) or not len(without):
        return float("nan")
    noise = np.sqrt(within.var() + without.var())
    return float((within.mean() - without.mean()) / noise) if noise > 0 else 0.0


def points_inside(heat: Floats, inside: Bools, valid: Bools) -> bool:
    """The pointing game: whether the hottest valid pixel lies in a box; the first one on a tie."""
    hottest = int(np.argmax(np.where(valid, heat, -np.inf)))
    return bool(inside.ravel()[hottest])


def overlap(hot: Bools, inside: Bools, valid: Bools) -> float:
    """Intersection over union of the hot pixels and the boxes.

    >>> overlap(np.array([True, True, False]), np.array([False, True, True]), np.ones(3, bool)).__round__(4)
    0.3333
    """
    hot = hot & valid
    either = int((hot | inside).sum())
    return float((hot & inside).sum() / either) if either else float("nan")


def mean_overlap(
    heat: Floats, inside: Bools, valid: Bools, thresholds: Sequence[float] = BIOVIL_THRESHOLDS
) -> float:
    """Mean IoU of the cosines above each threshold.

    References:
        BioViL, ECCV 2022: thresholds 0.1 to 0.5.
    """
    return float(np.mean([overlap(heat > t, inside, valid) for t in thresholds]))


def from_zero_to_one(heat: Floats, valid: Bools) -> Floats:
    """The heatmap scaled so that its valid pixels span 0..1; a constant one becomes 0."""
    low, high = heat[valid].min(), heat[valid].max()
    scaled: NDArray[Any] = (heat - low) / (high - low) if high > low else np.zeros_like(heat)
    return scaled


def _offset(size_px: int, side_px: int) -> int:
    """Where the scaled image starts on the square; negative where it is cropped."""
    return (size_px - side_px) // 2 if side_px <= size_px else -((side_px - size_px) // 2)


def _local(found: Embeddings) -> Tensor:
    if found.local is None:
        raise EvaluationError(
            "This system has no local embeddings, so it cannot say where; choose another one."
        )
    rows = found.local[0]
    return rows if found.mask is None else rows[found.mask[0]]
