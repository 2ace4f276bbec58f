"""Smooth noise in the volume: the grain of lung tissue and the ragged outline of disease."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from radalign.data.phantom.grid import SHAPE, Array

_SPARE = 48
_PASSES = {False: 2, True: 14}


def speckle(texture: int, coarse: bool) -> Array:
    """Smooth noise of zero mean and unit variance, [Z, Y, X]; another piece for another `texture`.

    Args:
        texture: Seed of the piece.
        coarse: Grain of about 10 mm instead of about 4 mm.
    """
    down, back = texture % _SPARE, texture // _SPARE % _SPARE
    return _field(coarse)[down : down + SHAPE[0], back : back + SHAPE[1]]


@lru_cache(maxsize=2)
def _field(coarse: bool) -> Array:
    shape = (SHAPE[0] + _SPARE, SHAPE[1] + _SPARE, SHAPE[2])
    noise = np.random.default_rng(20).standard_normal(shape, dtype=np.float32)
    for axis in range(3):
        for _ in range(_PASSES[coarse]):
            noise = 0.5 * noise + 0.25 * (np.roll(noise, 1, axis) + np.roll(noise, -1, axis))
    return np.asarray(noise / noise.std(), np.float32)
