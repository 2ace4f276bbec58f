"""The lungs' vessels as grains: a branching tree from each hilum, the same for a patient in every study."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from radalign.data.phantom.anatomy import Anatomy
from radalign.data.phantom.grains import Grains, join
from radalign.data.phantom.grid import Array
from radalign.data.phantom.thorax import Thorax

# Points along a vessel of the first, second and third generation.
_STEPS = (54, 26, 18)
# The interlobar artery and the segments, from the hilum: outwards, backwards, upwards (mm); where along
# the artery each leaves (0 = hilum), and its radius (mm).
_TRUNK = np.array([16, 14, -46], np.float32)
_SEGMENTS = np.array(
    [(18, 20, 92), (42, -28, 78), (62, 24, 62), (78, -44, 18), (70, -40, -28), (74, 52, 12),
     (84, 10, -56), (62, 56, -66), (50, -24, -66), (30, 62, -62), (90, 40, -26)], np.float32
)  # fmt: skip
_LEAVES_AT = np.array([0, 0, 0.05, 0.2, 0.45, 0.35, 0.9, 1, 0.95, 1, 0.7], np.float32)
_RADII = np.array([3.0, 3.0, 2.7, 2.7, 2.4, 2.4, 2.6, 2.7, 2.6, 2.3, 2.3, 2.6], np.float32)


def vessels(thorax: Thorax, extra_per_mm: float, upper: float = 1.0, lower: float = 1.0) -> Grains:
    """Both lungs' vessels, not yet cut where there is no lung.

    Args:
        thorax: The chest.
        extra_per_mm: How much more blood attenuates than lung.
        upper: Width of the vessels of the upper zones (1 = normal).
        lower: Width of those below (1 = normal).
    """
    parts = []
    for path, radius in (part for side in (-1, 1) for part in tree(thorax.anatomy, side)):
        placed = path + np.array([thorax.shift_mm, 0, 0], np.float32)
        high = 1 / (1 + np.exp((5 - placed[..., 2]) / 18))
        wide = np.asarray(radius * (0.95 * lower + (0.75 * upper - 0.95 * lower) * high), np.float32)
        parts.append(_grains(placed, wide, extra_per_mm))
    return join(parts)


@lru_cache(maxsize=16)
def tree(anatomy: Anatomy, side: int) -> list[tuple[Array, Array]]:
    """One lung's vessels by generation: paths [vessels, steps, 3] and radii [vessels, steps], millimetres."""
    rng, s = np.random.default_rng([anatomy.texture, side + 1]), anatomy.size
    hilum = np.array([side * 31 * s, 8, (-2 if side < 0 else 8) * s], np.float32)
    out = np.array([side, 1, 1], np.float32) * np.float32(s)
    trunk = _bend(hilum[None], (hilum + out * _TRUNK)[None], rng, 0.06, _STEPS[0])
    ends = hilum + out * (_SEGMENTS + 7 * _normal(rng, _SEGMENTS.shape))
    starts = trunk[0, (_LEAVES_AT * (_STEPS[0] - 1)).astype(int)]
    first = np.concatenate([trunk, _bend(starts, ends, rng, 0.1, _STEPS[0])])
    first_radius = _taper(_RADII * s * rng.uniform(0.9, 1.1, len(first)), 0.3, _STEPS[0])
    second, second_radius = _branches(first[1:], first_radius[1:], rng, 5, 0.5, _STEPS[1])
    third, third_radius = _branches(second, second_radius, rng, 3, 0.7, _STEPS[2])
    return [(first, first_radius), (second, second_radius), (third, third_radius)]


def _branches(
    parents: Array, radii: Array, rng: np.random.Generator, each: int, reach: float, steps: int
) -> tuple[Array, Array]:
    parent = np.repeat(np.arange(len(parents)), each)
    at = (rng.uniform(0.2, 0.8, len(parent)) * parents.shape[1]).astype(int)
    start, tip = parents[parent, at], parents[parent, -1]
    ahead = np.linalg.norm(tip - parents[parent, 0], axis=1, keepdims=True)
    spread = _normal(rng, start.shape)
    spread *= reach * ahead / np.linalg.norm(spread, axis=1, keepdims=True)
    end = start + np.float32(0.9) * (tip - start) + spread
    return _bend(start, end, rng, 0.1, steps), _taper(0.8 * radii[parent, at], 0.35, steps)


def _bend(start: Array, end: Array, rng: np.random.Generator, bow: float, steps: int) -> Array:
    """Quadratic Bezier paths [N, steps, 3] that leave the straight line by a share `bow` of its length."""
    t = np.linspace(0, 1, steps, dtype=np.float32)[None, :, None]
    length = np.linalg.norm(end - start, axis=1, keepdims=True)
    middle = (start + end) / 2 + np.float32(bow) * length * _normal(rng, start.shape)
    path = (1 - t) ** 2 * start[:, None] + 2 * t * (1 - t) * middle[:, None] + t**2 * end[:, None]
    return np.asarray(path, np.float32)


def _taper(wide_mm: npt.NDArray[np.floating], left: float, steps: int) -> Array:
    t = np.linspace(0, 1, steps, dtype=np.float32)
    return np.asarray(wide_mm[:, None] * (1 - (1 - left) * t), np.float32)


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.standard_normal(shape, dtype=np.float32)


def _grains(path: Array, radius: Array, extra_per_mm: float) -> Grains:
    step = np.linalg.norm(np.diff(path, axis=1, append=path[:, -1:]), axis=2)
    amount = np.asarray(np.float32(np.pi * extra_per_mm) * radius**2 * step, np.float32)
    kernel = np.where(radius < 2.6, 1, 2).astype(np.int8)  # a row of points would show as dots
    return Grains(path.reshape(-1, 3), amount.reshape(-1), kernel.reshape(-1))  # [vessels * steps]
