"""The exact nearest vectors: a fast float32 pass proposes, a float64 pass decides.

float32 products of all ──> everything within the rounding error of the k-th ──> float64 products ──> order

float32 products depend in their last bit on how a library cuts the matrix into tiles, so two equal vectors
could get different scores. The second pass makes scores, ties and percentiles independent of the tiles, of
the other queries and of the files that the vectors lie in. It costs little: only candidates are done again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

_BLOCK_ROWS = 65_536
_SCORES_AT_ONCE = 16_777_216


@dataclass(frozen=True)
class Best:
    """The best of one query: positions int [k], scores float64 [k], and how many score lower int [k]."""

    positions: np.ndarray
    scores: np.ndarray
    below: np.ndarray


class Stack:
    """Vectors of several arrays seen as one [N, E], without copying.

    >>> stack = Stack([np.eye(2, dtype=np.float32), np.ones((1, 2), np.float32)], 2)
    >>> len(stack), stack.exact(np.array([1.0, 2.0]), np.array([2, 1])).tolist()
    (3, [3.0, 2.0])
    """

    def __init__(self, parts: Sequence[np.ndarray], width: int) -> None:
        self.parts, self.width = list(parts), width
        self.starts = np.cumsum([0, *(len(p) for p in self.parts)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def fast(self, queries: np.ndarray) -> np.ndarray:
        """float32 products [Q, N] of queries [Q, E], good to `error_bound`."""
        out = np.empty((len(queries), len(self)), np.float32)
        for start, part in zip(self.starts, self.parts, strict=False):
            for low in range(0, len(part), _BLOCK_ROWS):
                block = np.asarray(part[low : low + _BLOCK_ROWS], np.float32)
                into = out[:, start + low : start + low + len(block)]
                if len(queries) == 1:
                    np.matmul(block, queries[0], out=into[0])
                else:
                    np.matmul(queries, block.T, out=into)
        return out

    def take(self, positions: np.ndarray) -> np.ndarray:
        """The vectors at some positions, float64 [n, E]."""
        out = np.empty((len(positions), self.width))
        which = np.searchsorted(self.starts, positions, side="right") - 1
        for i in np.unique(which):
            chosen = which == i
            out[chosen] = self.parts[i][positions[chosen] - self.starts[i]]
        return out

    def exact(self, query: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """float64 products [n] of one query [E] with some vectors; equal vectors get equal scores."""
        wide, out = query.astype(np.float64), np.empty(len(positions))
        for low in range(0, len(positions), _BLOCK_ROWS):
            block = self.take(positions[low : low + _BLOCK_ROWS])
            out[low : low + len(block)] = (block * wide).sum(axis=1)
        return out

    def error_bound(self) -> float:
        """How far a float32 product of two unit vectors can be off.

        References:
            Higham, Accuracy and Stability of Numerical Algorithms, 2002, eq. 3.5: n u |x|.|y|, doubled.
        """
        return 2.0 * (self.width + 1) * 2.0**-24


def nearest(
    stack: Stack,
    queries: np.ndarray,
    k: int,
    live: np.ndarray,
    allowed: np.ndarray,
    names: Callable[[np.ndarray], list[str]],
) -> list[Best]:
    """The `k` best of every query.

    Args:
        stack: N vectors.
        queries: float32 [Q, E], unit length.
        k: At most this many.
        live: bool [N], the vectors that count for the percentile.
        allowed: bool [N], the live ones that may answer.
        names: Gives the names of some positions; ties go in their order.
    """
    step = max(1, _SCORES_AT_ONCE // max(1, len(stack)))
    found = []
    for start in range(0, len(queries), step):
        part = queries[start : start + step]
        for query, fast in zip(part, stack.fast(part), strict=True):
            found.append(_nearest_of_one(stack, query, fast, k, live, allowed, names))
    return found


def _nearest_of_one(
    stack: Stack,
    query: np.ndarray,
    fast: np.ndarray,
    k: int,
    live: np.ndarray,
    allowed: np.ndarray,
    names: Callable[[np.ndarray], list[str]],
) -> Best:
    error = stack.error_bound()
    open_to = np.flatnonzero(allowed)
    candidates = open_to[_candidates(fast[open_to], k, error)]
    scores = stack.exact(query, candidates)
    order = _order(scores, candidates, k, names)
    best, best_scores = candidates[order], scores[order]
    return Best(
        best, best_scores, _count_below(stack, query, np.where(live, fast, np.nan), best_scores, error)
    )


def _candidates(fast: np.ndarray, k: int, error: float) -> np.ndarray:
    """Where the k best must be when every value may be off by `error`: int [n], n >= k if there are k."""
    if k >= len(fast):
        return np.arange(len(fast))
    kth = np.partition(fast, len(fast) - k)[len(fast) - k]
    return np.flatnonzero(fast >= kth - 2 * error)


def _order(
    scores: np.ndarray, positions: np.ndarray, k: int, names: Callable[[np.ndarray], list[str]]
) -> np.ndarray:
    """The k best, ties by name: int [<= k]; names are asked for only where scores tie."""
    order = np.argsort(-scores, kind="stable")
    if k < len(order):
        order = order[: np.searchsorted(-scores[order], -scores[order[k - 1]], side="right")]
    if len(np.unique(scores[order])) < len(order):
        by_name = sorted(zip((-scores[order]).tolist(), names(positions[order]), order.tolist(), strict=True))
        order = np.array([i for _, _, i in by_name], np.int64)
    return order[:k]


def _count_below(
    stack: Stack, query: np.ndarray, fast: np.ndarray, scores: np.ndarray, error: float
) -> np.ndarray:
    """How many vectors score lower than each of some scores: int [k], exact; NaN in `fast` does not count."""
    if not len(scores):
        return np.zeros(0, np.int64)
    near = np.flatnonzero(fast >= scores.min() - 2 * error)  # NaN compares false
    near = near[np.argsort(fast[near])]
    low = np.searchsorted(fast[near], scores - error, side="left")
    high = np.searchsorted(fast[near], scores + error, side="right")
    unsure = _union(low, high, len(near))
    exact = np.sort(stack.exact(query, near[unsure]))
    surely_lower = low - np.concatenate([[0], np.cumsum(unsure)])[low]
    far_lower = int((~np.isnan(fast)).sum()) - len(near)
    return np.asarray(far_lower + surely_lower + np.searchsorted(exact, scores, side="left"))


def _union(low: np.ndarray, high: np.ndarray, length: int) -> np.ndarray:
    """Which of 0..length-1 lie in any half-open range low[i]:high[i].

    >>> _union(np.array([1, 4]), np.array([2, 6]), 6).tolist()
    [False, True, False, False, True, True]
    """
    steps = np.zeros(length + 1, np.int64)
    np.add.at(steps, low, 1)
    np.add.at(steps, high, -1)
    return np.asarray(np.cumsum(steps)[:length] > 0)
