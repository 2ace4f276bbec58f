"""Is a radiograph good enough to learn from? Measures, limits, and the reason of each exclusion.

    measure(image) -> Quality(saturated, sharpness, ...)    reasons(quality, limits) -> ("overexposed", ...)

The published methods drop a share of images for "motion or over-exposure" without saying how it was judged;
these measures and limits are this project's own and are meant to be seen on a sheet before they are trusted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radalign.images.chest_shape import ChestShape, chest_shape
from radalign.images.geometry import resize

_SIDE_PX = 256
_ENDS = 0.004  # of the grey range: one level of 256
_EPSILON = 1e-6
_WALL_RISE = 0.1  # of the contrast


@dataclass(frozen=True)
class Quality:
    """What can be measured on one image.

    Args:
        saturated: Share of the central half of the image at white or at black.
        sharpness: Variance of the Laplacian over the variance of the image, at 256 px; low when blurred.
        contrast: 95th less 5th percentile of the central half, of the grey range.
        shape: Whether it looks turned, upside down, inverted or cut at one side; see `chest_shape`.
        clipped_sides: How many sides (left, right) cut through a lung.
    """

    saturated: float
    sharpness: float
    contrast: float
    shape: ChestShape
    clipped_sides: int


@dataclass(frozen=True)
class Limits:
    """From where on an image is left out; None leaves that rule out.

    Args:
        saturated: More is `overexposed`.
        sharpness: Less is `blurred`.
        contrast: Less is `flat`.
        turned: More is `turned` (frontal views).
        upside_down: More is `upside down` (frontal views).
        inverted: More is `inverted` (frontal views).
        cut: More is `clipped` (frontal views).
        clipped_sides: As many or more is `clipped` (frontal views).
    """

    saturated: float | None = 0.35
    sharpness: float | None = 0.006
    contrast: float | None = 0.12
    turned: float | None = 0.05
    upside_down: float | None = 0.05
    inverted: float | None = 0.0
    cut: float | None = 0.2
    clipped_sides: int | None = 2


def measure(image: np.ndarray) -> Quality:
    """Measure one image.

    Args:
        image: [H, W], 0..1, bright = dense.

    >>> measure(np.zeros((8, 8), np.float32)).saturated
    1.0
    """
    small = resize(np.clip(image, 0, 1).astype(np.float32), _SIDE_PX, _SIDE_PX)
    centre = small[_SIDE_PX // 4 : -_SIDE_PX // 4, _SIDE_PX // 4 : -_SIDE_PX // 4]
    ends = ((centre <= _ENDS) | (centre >= 1 - _ENDS)).mean()
    contrast = float(np.quantile(centre, 0.95) - np.quantile(centre, 0.05))
    return Quality(
        saturated=float(ends),
        sharpness=float(_laplacian(small).var() / (small.var() + _EPSILON)),
        contrast=contrast,
        shape=chest_shape(small),
        clipped_sides=_clipped_sides(small, contrast),
    )


def reasons(quality: Quality, limits: Limits | None = None, is_frontal: bool = True) -> tuple[str, ...]:
    """Why an image is to be left out, in the words of the exclusion flow; empty when it is good.

    Args:
        quality: Of the image.
        limits: From where on; the defaults are wide.
        is_frontal: Whether the rules for frontal views apply.

    >>> reasons(Quality(0.5, 0.001, 0.5, ChestShape(-0.5, -0.4, -0.9, -0.2), 0))
    ('overexposed', 'blurred')
    """
    limits = limits or Limits()
    shape = quality.shape
    rules = [
        ("overexposed", _exceeds(quality.saturated, limits.saturated)),
        ("blurred", limits.sharpness is not None and quality.sharpness < limits.sharpness),
        ("flat", limits.contrast is not None and quality.contrast < limits.contrast),
    ]
    if is_frontal:
        both_sides = limits.clipped_sides is not None and quality.clipped_sides >= limits.clipped_sides
        rules += [
            ("inverted", _exceeds(shape.inverted, limits.inverted)),
            ("turned", _exceeds(shape.turned, limits.turned)),
            ("upside down", _exceeds(shape.upside_down, limits.upside_down)),
            ("clipped", both_sides or _exceeds(shape.cut, limits.cut)),
        ]
    return tuple(name for name, broken in rules if broken)


def _exceeds(value: float, limit: float | None) -> bool:
    return limit is not None and value > limit


def _laplacian(image: np.ndarray) -> np.ndarray:
    inner = image[1:-1, 1:-1]
    around = image[:-2, 1:-1] + image[2:, 1:-1] + image[1:-1, :-2] + image[1:-1, 2:]
    return np.asarray(around - 4 * inner)


def _clipped_sides(image: np.ndarray, contrast: float) -> int:
    """Sides without a chest wall: outwards it grows dark (lung) and never bright again (wall)."""
    rows = image[int(0.35 * _SIDE_PX) : int(0.65 * _SIDE_PX)]
    profile = np.convolve(rows.mean(axis=0), np.ones(5) / 5, mode="valid")
    half = len(profile) // 2
    outwards = (profile[:half][::-1], profile[half:])
    rises = (float((side - np.minimum.accumulate(side)).max()) for side in outwards)
    return sum(rise < _WALL_RISE * contrast for rise in rises)
