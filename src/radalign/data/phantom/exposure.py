"""From line integrals to a displayed radiograph: scatter, quantum noise, edge enhancement, tone curve."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from radalign.data.phantom.grid import Array


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
    shown = -np.log(signal) + np.float32(exposure.noise) * noise / np.sqrt(signal)
    side = shown.shape[0]
    blur = _blur(side, 0.008 * side)
    shown += np.float32(exposure.sharpen) * (shown - blur @ shown @ blur.T)
    return np.asarray(1 / (1 + np.exp(-4 * (shown - exposure.level) / exposure.width)), np.float32)


@lru_cache(maxsize=8)
def _blur(side: int, sigma_px: float) -> Array:
    """A Gaussian blur as a matrix [side, side], edges renormalised."""
    at = np.arange(side, dtype=np.float32)
    weights = np.exp(-0.5 * ((at[:, None] - at) / np.float32(sigma_px)) ** 2)
    weights[weights < 1e-5] = 0  # subnormal numbers make the product ten times slower
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float32)
