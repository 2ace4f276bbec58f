"""What a system that knows nothing would score: the exact expectation over random rankings.

Every function takes the sizes of the pools and the numbers of right answers, [Q] each, and gives the expected
value per query, NaN where a query has no right answer, as in `Ranked`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from radalign.evaluate.ranked import Ranked
from radalign.evaluate.statistic import Floats

Counts = NDArray[np.int64]


def precision(found: Ranked, k: int) -> Floats:
    """P@k: each of the k places is right with probability right / pool.

    References:
        Mean of the hypergeometric distribution.
    """
    places = np.minimum(k, found.pool) / k
    return _answered(found, places * found.right / np.maximum(found.pool, 1))


def recall(found: Ranked, k: int) -> Floats:
    """R@k: each right answer is among the first k with probability k / pool."""
    return _answered(found, np.minimum(k, found.pool) / np.maximum(found.pool, 1))


def ndcg(found: Ranked, k: int) -> Floats:
    """The nDCG at k of right and wrong answers: every place is right with probability right / pool."""
    upto = np.cumsum(np.r_[0.0, 1 / np.log2(np.arange(2, k + 2))])  # [k + 1]
    gained = found.right / np.maximum(found.pool, 1) * upto[np.minimum(k, found.pool)]
    possible = upto[np.clip(found.right, 1, k)]
    return _answered(found, gained / possible)


def hit(found: Ranked, k: int) -> Floats:
    """Any right answer among the first k: one minus the chance that all k places are wrong."""
    return _answered(found, 1 - _none_in_first(found.pool, found.right, k))


def reciprocal_rank(found: Ranked) -> Floats:
    """Expected 1 / (rank of the best right answer); H_C / C for one right answer among C."""
    return _answered(found, _per_kind(found, lambda p: float((p / np.arange(1, len(p) + 1)).sum())))


def median_rank(found: Ranked) -> float:
    """Median over queries of the rank of the best right answer; (C + 1) / 2 for one right answer among C."""
    kinds, times = _kinds(found)
    if not len(kinds):
        return float("nan")
    longest = int(kinds[:, 0].max())
    share = np.zeros(longest)
    for (pool, right), count in zip(kinds, times, strict=True):
        share[:pool] += count * first_rank_distribution(int(pool), int(right))
    upto = np.cumsum(share) / share.sum()
    lower, upper = np.argmax(upto > 0.5 - 1e-9), np.argmax(upto > 0.5 + 1e-9)  # two when half is hit exactly
    return float(lower + upper) / 2 + 1


def average_precision(found: Ranked) -> Floats:
    """Expected average precision of a random ranking.

    References:
        Bestgen, Exact expected average precision of the random baseline, 2015, equation 4.
    """
    harmonic = np.cumsum(np.r_[0.0, 1 / np.arange(1, max(int(found.pool.max()), 1) + 1)])[found.pool]
    pool, right = np.maximum(found.pool, 1), found.right
    more = (right - 1) / np.maximum(pool - 1, 1) * (pool - harmonic)
    return _answered(found, (more + harmonic) / pool)


def first_rank_distribution(pool: int, right: int) -> Floats:
    """Probability that the best of `right` answers among `pool` candidates has rank 1, 2, ..., pool.

    >>> first_rank_distribution(3, 2).round(4).tolist()
    [0.6667, 0.3333, 0.0]
    """
    ranks = np.arange(pool + 1)
    nothing = _none_in_first(np.full(pool + 1, pool), np.full(pool + 1, right), ranks)
    return nothing[:-1] - nothing[1:]


def _none_in_first(pool: Counts, right: Counts, k: int | Counts) -> Floats:
    """Probability that the first k of a random ranking hold no right answer."""
    wrong = pool - right
    k = np.minimum(k, pool)
    logs = _log_factorial(wrong) - _log_factorial(np.maximum(wrong - k, 0)) - _log_factorial(pool)
    return np.where(k > wrong, 0.0, np.exp(logs + _log_factorial(pool - k)))


def _log_factorial(n: Counts) -> Floats:
    table = np.cumsum(np.r_[0.0, np.log(np.arange(1, max(int(np.max(n, initial=0)), 1) + 1))])
    values: Floats = table[n]
    return values


def _kinds(found: Ranked) -> tuple[Counts, Counts]:
    """The distinct (pool, right) of the queries with a right answer, and how many queries each has."""
    answered = found.right > 0
    pairs = np.stack([found.pool[answered], found.right[answered]], axis=1)  # [Q', 2]
    kinds, times = np.unique(pairs, axis=0, return_counts=True)
    return kinds, times


def _per_kind(found: Ranked, number: Callable[[Floats], float]) -> Floats:
    values = np.full(len(found.right), np.nan)
    for pool, right in _kinds(found)[0]:
        same = (found.pool == pool) & (found.right == right)
        values[same] = number(first_rank_distribution(int(pool), int(right)))
    return values


def _answered(found: Ranked, values: Floats) -> Floats:
    return np.where(found.right > 0, values, np.nan)
