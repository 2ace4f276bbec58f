"""From line integrals to a displayed radiograph: scatter, quantum noise, edge enhancement, tone curve."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from radalign.data.phantom.grid import Array
from radalign.data.phantom.smooth import spread, spread_both

_SHARPEN_SHARE = 0.0075


@dataclass(frozen=True)
class Exposure:
    """How a detector sees and a workstation shows.

    Args:
        noise: Standard deviation of the log signal in air; grows with the root of attenuation.
        scatter: Share of scattered radiation of the open beam.
        level: Attenuation shown as mid grey.
        width: Attenuation range of the tone curve.
        sharpen: Strength of the edge enhancement.
    """

    noise: float = 0.006
    scatter: float = 0.05
    level: float = 2.45
    width: float = 2.9
    sharpen: float = 0.7


def develop(integrals: Array, exposure: Exposure, noise: Array) -> Array:
    """What the screen shows, float32 [H, W], 0..1, bright = dense.

    Args:
        integrals: Line integrals of attenuation [H, W].
        exposure: Settings.
        noise: Standard normal noise [H, W].

    References:
        Beer-Lambert law; Poisson statistics of the transmitted quanta; the sigmoid tone curve is that of
        DICOM PS3.3 C.11.2.1.3.1.
    """
    signal = np.exp(-np.maximum(integrals, 0)) + np.float32(exposure.scatter)
    quantum = np.float32(exposure.noise) * noise / np.sqrt(signal)
    shown = np.asarray(quantum - np.log(signal), np.float32)
    half, weight = _gaussian(shown.shape[0])
    shown += np.float32(exposure.sharpen) * (shown - spread_both(shown, half, half) / weight)
    shown -= np.float32(exposure.level)
    shown *= np.float32(-4 / exposure.width)
    return np.asarray(1 / (1 + np.exp(shown)), np.float32)


@lru_cache(maxsize=8)
def _gaussian(side: int) -> tuple[Array, Array]:
    """A Gaussian from its middle outwards, and how much of it lies inside the image, [side, side]."""
    sigma_px = _SHARPEN_SHARE * side
    half = np.exp(-0.5 * (np.arange(int(np.ceil(2 * sigma_px)) + 1) / sigma_px) ** 2).astype(np.float32)
    half /= 2 * half.sum() - half[0]
    inside = spread(np.ones((side, 1), np.float32), half)
    return half, inside * inside.T
