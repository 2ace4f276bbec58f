"""The order of candidates as integers: one sort or partition ranks a row, ties included.

    scores [b, C] float32 ──> keys [b, C] uint64 ──> smallest keys = best candidates
      key = (score, descending) in the upper 32 bit | (candidate index) in the lower 32 bit

Comparing two keys compares the scores first and the indices next, so ties go to the lower index.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

EXCLUDED = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_POSITIVE = np.int32(0x7FFF_FFFF)
_LOW, _HIGH = (0, 1) if np.little_endian else (1, 0)


class RankingError(ValueError):
    """The inputs of a ranking do not fit together; the message says what to do."""


def top_k(scores: NDArray[Any], k: int, exclude: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    """Indices of the k best candidates of each row, best first, ties by the lower index.

    Args:
        scores: [Q, C].
        k: How many; fewer come back when the pool is smaller.
        exclude: True where a candidate must not be returned, [Q, C]; missing places are -1.

    Returns:
        [Q, min(k, C)].

    >>> top_k(np.array([[0.5, 0.9, 0.5, -1.0]]), 3).tolist()
    [[1, 0, 2]]
    """
    keys = sort_keys(np.asarray(scores, dtype=np.float32), exclude)
    best = smallest(keys, min(k, keys.shape[1]))
    return np.where(best == EXCLUDED, -1, index_of(best).astype(np.int64))


def sort_keys(scores: NDArray[np.float32], exclude: NDArray[np.bool_] | None = None) -> NDArray[np.uint64]:
    """One integer per (query, candidate) whose ascending order is the ranking; see the head of this file.

    Args:
        scores: [b, C], higher is better.
        exclude: True where a candidate is not in the pool, [b, C].

    Raises:
        RankingError: If a score is not finite or there are 2^32 - 1 candidates or more.
    """
    _check(scores)
    bits = (scores + np.float32(0)).view(np.int32)  # -0.0 becomes 0.0, so the two tie
    flipped = bits >> 31  # an order-reversing map of the float's bits to unsigned
    np.invert(flipped, out=flipped)
    flipped &= _POSITIVE
    flipped ^= bits
    keys = np.empty(scores.shape, dtype=np.uint64)
    words = keys.view(np.uint32).reshape(*scores.shape, 2)  # [b, C, 2]: two 32-bit words per key
    words[..., _HIGH] = flipped.view(np.uint32)
    words[..., _LOW] = np.arange(scores.shape[1], dtype=np.uint32)
    if exclude is not None:
        keys[exclude] = EXCLUDED
    return keys


def smallest(keys: NDArray[np.uint64], k: int) -> NDArray[np.uint64]:
    """The k smallest keys of each row in ascending order, [b, k]."""
    if 0 < k < keys.shape[1]:
        keys = np.partition(keys, k - 1, axis=1)[:, :k]
    return np.sort(keys, axis=1)


def index_of(keys: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """The candidate index inside each key; 2^32 - 1 for an excluded one."""
    return keys.astype(np.uint32)


def _check(scores: NDArray[np.float32]) -> None:
    if scores.shape[1] >= (1 << 32) - 1:
        raise RankingError("There are 2^32 - 1 candidates or more; rank against them in parts.")
    if scores.size and not np.isfinite([scores.min(), scores.max()]).all():
        raise RankingError("A score is not a finite number; check the embeddings for NaN before ranking.")
