"""Dropout that does not wait for its random numbers.

On a CPU, torch draws one random number per element, which costs more than the matrix product before it. Eight
elements share one 64-bit number here, one byte each; the probability is rounded to 1/256 and the kept
elements are scaled by the rounded one, so that the mean is exact.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def dropout(x: Tensor, probability: float) -> Tensor:
    """Drop elements of x with a probability, and scale the others so that the mean stays.

    Args:
        x: float, any shape.
        probability: The share to drop, rounded to 1/256 on a CPU.

    >>> dropout(torch.ones(2, 3), 0.0).sum().item()
    6.0
    """
    if not probability:
        return x
    if x.device.type != "cpu":
        return F.dropout(x, probability)
    dropped = min(round(probability * 256), 255)
    return x * _kept(x, dropped).to(x.dtype).mul_(256 / (256 - dropped))


def _kept(x: Tensor, dropped: int) -> Tensor:
    """True for the elements of x's shape that stay: bytes at or above `dropped`."""
    count = x.numel()
    words = torch.empty((count + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
    return (words.view(torch.uint8)[:count] >= dropped).view(x.shape)
