"""Shrinking a large image strip by strip, with the grey values worked out on the way.

    stored rows ──(grey map)──> strip, in cache ──(vertical filter)──> few rows ──(horizontal)──> small image

A full-size float image is never made, so a 5-megapixel radiograph costs little more than reading its bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

_STRIP_ROWS = 32  # with more, most of the weights of a strip are 0, and it leaves the cache
_STRIP_COLUMNS = 256


def shrink(
    stored: np.ndarray, greys: Callable[[np.ndarray], np.ndarray], height_px: int, width_px: int
) -> np.ndarray:
    """Map stored values to grey values and shrink by bilinear interpolation, antialiased.

    Args:
        stored: [H, W], at least as high and as wide as the result.
        greys: Maps a strip of rows to float32.
        height_px: New height.
        width_px: New width.

    Returns:
        float32 [height_px, width_px]; what `geometry.resize(greys(stored), ...)` gives, to rounding.
    """
    height, width = stored.shape
    tall = np.zeros((height_px, width), np.float32)
    for old, new, weights in _strips(height, height_px, _STRIP_ROWS):
        tall[new] += weights @ greys(stored[old])
    small = np.zeros((height_px, width_px), np.float32)
    for old, new, weights in _strips(width, width_px, _STRIP_COLUMNS):
        small[:, new] += tall[:, old] @ weights.T
    return small


@lru_cache(maxsize=64)  # the images of one machine have few sizes
def _strips(size: int, new_size: int, step: int) -> tuple[tuple[slice, slice, np.ndarray], ...]:
    """(old pixels, new pixels that they touch, weights) for every `step` old pixels of a side."""
    triangles = TriangleFilter.between(size, new_size)
    starts = range(0, size, step)
    return tuple((slice(a, a + step), *triangles.part(a, min(a + step, size))) for a in starts)


@dataclass(frozen=True)
class TriangleFilter:
    """Weights that shrink one side: a triangle around each new pixel, as wide as two new pixels.

    Args:
        step: Old pixels per new pixel, at least 1.
        centres: Middle of each new pixel, in old pixels.
        sums: Sum of each new pixel's weights, smaller at the edges.

    References:
        Pillow's `Resampling.BILINEAR`, when it shrinks, uses the same weights.

    >>> touched, weights = TriangleFilter.between(4, 2).part(0, 4)
    >>> (weights * 7).round(5).tolist()
    [[3.0, 3.0, 1.0, 0.0], [0.0, 1.0, 3.0, 3.0]]
    """

    step: float
    centres: np.ndarray
    sums: np.ndarray

    @classmethod
    def between(cls, size: int, new_size: int) -> TriangleFilter:
        """The filter from an old to a new side."""
        step = size / new_size
        centres = (np.arange(new_size) + 0.5) * step
        near = np.floor(centres - step)[:, None] + np.arange(int(2 * step) + 2)  # [new, taps]
        weights = np.maximum(1 - np.abs(near + 0.5 - centres[:, None]) / step, 0)
        inside = (near >= 0) & (near < size)
        return cls(step, centres, (weights * inside).sum(axis=1))

    def part(self, start: int, stop: int) -> tuple[slice, np.ndarray]:
        """Which new pixels the old ones from `start` to `stop` touch, and by how much: float32 [new, old]."""
        first = int(np.searchsorted(self.centres, start + 0.5 - self.step, side="left"))
        last = int(np.searchsorted(self.centres, stop - 0.5 + self.step, side="right"))
        positions = np.arange(start, stop) + 0.5
        distance = np.abs(positions - self.centres[first:last, None])
        weights = np.maximum(1 - distance / self.step, 0) / self.sums[first:last, None]
        return slice(first, last), weights.astype(np.float32)
