"""Convolution with small symmetric kernels, as sums of shifted images: faster than Fourier at this size."""

from __future__ import annotations

from radalign.data.phantom.grid import Array


def spread(image: Array, half: Array) -> Array:
    """Convolve the columns of an image with a symmetric kernel; nothing comes in from beyond the edges.

    Args:
        image: float32 [H, W].
        half: The kernel from its middle outwards, float32 [K], K <= H.

    >>> import numpy as np
    >>> spread(np.array([[0.0], [1.0], [0.0]], np.float32), np.array([0.5, 0.25], np.float32)).T.tolist()
    [[0.25, 0.5, 0.25]]
    """
    total: Array = image * half[0]
    for step, weight in enumerate(half[1:], 1):
        moved = image * weight
        total[step:] += moved[:-step]
        total[:-step] += moved[step:]
    return total


def spread_both(image: Array, up: Array, across: Array) -> Array:
    """Convolve the columns, then the rows."""
    return spread(spread(image, up).T, across).T
