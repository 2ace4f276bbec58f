"""Small random changes of radiographs, a whole batch at once: turn, shift, zoom, shear, brightness, contrast.

    draw_change(rng, ranges) ── one Change per image ── change_images(images, changes, size_px) ──> uint8

No flips: a flip moves the heart. Each change has its own generator, so it does not depend on the batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


class Change(NamedTuple):
    """What happens to one image; the default leaves it alone.

    Args:
        rotate_deg: Clockwise as seen, degrees.
        shift_x: To the right, share of the width.
        shift_y: Downwards, share of the height.
        scale: Magnification.
        shear_deg: Lower rows move to the left, degrees.
        brightness: Factor on the grey values.
        contrast: Factor on the distance to the image's mean.
    """

    rotate_deg: float = 0.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    scale: float = 1.0
    shear_deg: float = 0.0
    brightness: float = 1.0
    contrast: float = 1.0


@dataclass(frozen=True)
class ChangeRanges:
    """How far a random change may go; see `Change` for the units.

    Args:
        rotate_deg: Either way.
        translate: Either way, share of the side.
        scale: Smallest and largest.
        shear_deg: Either way.
        brightness: Smallest and largest.
        contrast: Smallest and largest.
    """

    rotate_deg: float = 0.0
    translate: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    shear_deg: float = 0.0
    brightness: tuple[float, float] = (1.0, 1.0)
    contrast: tuple[float, float] = (1.0, 1.0)


def draw_change(rng: np.random.Generator, ranges: ChangeRanges) -> Change:
    """Draw one change, uniformly within the ranges; always the same number of draws.

    >>> draw_change(np.random.default_rng(0), ChangeRanges()) == Change()
    True
    """
    turn, right, down, shear = (float(value) for value in rng.uniform(-1, 1, 4))
    scale, brightness, contrast = (
        low + (high - low) * float(share)
        for (low, high), share in zip(
            (ranges.scale, ranges.brightness, ranges.contrast), rng.uniform(0, 1, 3), strict=True
        )
    )
    shift = ranges.translate
    return Change(
        turn * ranges.rotate_deg,
        right * shift,
        down * shift,
        scale,
        shear * ranges.shear_deg,
        brightness,
        contrast,
    )


def change_images(images: Tensor, changes: Sequence[Change], size_px: int) -> Tensor:
    """Apply one change to each image and resize to a square; what comes in from outside is black.

    Args:
        images: [N, H, W], uint8 or float 0..1.
        changes: N changes.
        size_px: Side of the result; the field of view stays the whole image.

    Returns:
        [N, size_px, size_px] of the same type.

    Raises:
        ValueError: If the numbers differ.

    >>> dot = torch.zeros(1, 3, 3, dtype=torch.uint8); dot[0, 1, 1] = 200
    >>> change_images(dot, [Change(shift_x=1 / 3)], 3)[0].tolist()
    [[0, 0, 0], [0, 0, 200], [0, 0, 0]]
    """
    if len(images) != len(changes):
        raise ValueError(f"{len(images)} images but {len(changes)} changes; give one change per image.")
    result = torch.empty((len(images), size_px, size_px), dtype=images.dtype, device=images.device)
    # A few images at a time stay in the processor's cache: more than twice as fast as all at once.
    together = 4 if images.device.type == "cpu" else max(1, len(images))
    for start in range(0, len(images), together):
        part = slice(start, start + together)
        result[part] = _changed(images[part], changes[part], size_px)
    return result


def _changed(images: Tensor, changes: Sequence[Change], size_px: int) -> Tensor:
    white = 1.0 if images.is_floating_point() else 255.0
    grey = images.float()
    if size_px < images.shape[-1]:
        grey = _shrink(grey, size_px)
    tuned = _tuned(_moved(grey, changes, size_px), changes).clamp_(0, white)
    return tuned if images.is_floating_point() else tuned.round_()


def resize_images(images: Tensor, size_px: int) -> Tensor:
    """Resize square images without any change, antialiased where it shrinks.

    Args:
        images: [N, H, W], uint8 or float 0..1.
        size_px: Side of the result.

    Returns:
        [N, size_px, size_px] of the same type; the input itself when it has that size.
    """
    if images.shape[-2:] == (size_px, size_px):
        return images
    small = _shrink(images.float(), size_px)
    return small.to(images.dtype) if images.is_floating_point() else small.round_().to(torch.uint8)


def _shrink(grey: Tensor, size_px: int) -> Tensor:
    side = (size_px, size_px)
    # Weights of bilinear interpolation are positive and sum to one: the range stays.
    return F.interpolate(grey[:, None], side, mode="bilinear", antialias=True, align_corners=False)[:, 0]


def _moved(grey: Tensor, changes: Sequence[Change], size_px: int) -> Tensor:
    grid = _sampling_grid(changes, size_px, grey.device)
    sampled = F.grid_sample(grey[:, None], grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return sampled[:, 0]  # [N, 1, s, s] -> [N, s, s]


def _sampling_grid(changes: Sequence[Change], size_px: int, device: torch.device) -> Tensor:
    """[N, s, s, 2] as `affine_grid` makes it, but by sums of a row and a column instead of products."""
    matrices = torch.tensor([sampling_matrix(change) for change in changes], device=device)  # [N, 2, 3]
    centres = (torch.arange(size_px, device=device) * 2 + 1) / size_px - 1
    column = matrices[:, :, 0, None] * centres  # [N, 2, s]
    row = matrices[:, :, 1, None] * centres + matrices[:, :, 2, None]  # [N, 2, s]
    return (row[:, :, :, None] + column[:, :, None, :]).permute(0, 2, 3, 1)  # [N, 2, s, s] -> [N, s, s, 2]


def sampling_matrix(change: Change) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Where each pixel of the result comes from: the inverse of shift, turn, zoom and shear about the centre.

    Returns:
        2 rows of 3, in the coordinates of `torch.nn.functional.affine_grid` (-1..1).

    >>> sampling_matrix(Change(scale=2.0, shift_x=0.25))
    ((0.5, 0.0, -0.25), (0.0, 0.5, 0.0))
    """
    turn, shear = math.radians(change.rotate_deg), math.tan(math.radians(change.shear_deg))
    cos, sin = math.cos(turn), math.sin(turn)
    # Forward is turn x shear, with determinant 1, times the scale; this is its inverse.
    a, b = (cos - sin * shear) / change.scale, (sin + cos * shear) / change.scale
    c, d = (0.0 - sin) / change.scale, cos / change.scale
    right, down = 2 * change.shift_x, 2 * change.shift_y
    return (a, b, 0.0 - a * right - b * down), (c, d, 0.0 - c * right - d * down)


def _tuned(grey: Tensor, changes: Sequence[Change]) -> Tensor:
    brightness, contrast = torch.tensor([c[-2:] for c in changes], device=grey.device).T  # each [N]
    factor = (brightness * contrast)[:, None, None]
    offset = grey.mean(dim=(1, 2), keepdim=True) * (brightness * (1 - contrast))[:, None, None]
    return grey.mul_(factor).add_(offset)  # = mean + contrast * (brightness * grey - mean)
