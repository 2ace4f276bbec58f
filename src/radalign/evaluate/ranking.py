"""Ranking metrics with several right answers per query, exact, in bounded memory, ties broken by index.

    queries [Q, E] ──blocks──> scores [b, C] ──> keys ──> counts per query (Ranked) ──> P@k, R@k, MRR, ...

Only `Ranked` outlives a block: a few numbers per query, which the bootstrap then resamples by patient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radalign.evaluate.order import EXCLUDED, RankingError, index_of, smallest, sort_keys
from radalign.evaluate.ranked import Ranked, joined
from radalign.evaluate.relevance import Relevance

Scores = Callable[[int, int], NDArray[np.float32]]
Progress = Callable[[Iterable[int]], Iterable[int]]
BLOCK_BYTES = 32 << 20  # 40 rows of 100,000 candidates: fewer make a slow matrix product


def rank(
    queries: NDArray[Any],
    candidates: NDArray[Any],
    relevance: Relevance,
    ks: Sequence[int] = (1, 5, 10),
    exclude: Relevance | None = None,
    average_precision: bool = False,
    block_bytes: int = BLOCK_BYTES,
) -> Ranked:
    """Rank every candidate for every query by dot product and keep what the metrics need.

    Args:
        queries: [Q, E]; any finite values, negative scores included.
        candidates: [C, E].
        relevance: Which candidates are right.
        ks: Cut-offs; may exceed the pool.
        exclude: Candidates that a query must not see (its own report, its patient's other studies).
        average_precision: Also compute mAP's per-query values, which costs a full sort.
        block_bytes: Memory for one block of keys; a block has at least one row.

    Raises:
        RankingError: If shapes do not fit, a k is below 1 or a score is not finite.

    >>> from radalign.evaluate.relevance import own
    >>> found = rank(np.eye(3), np.eye(3)[[0, 2, 1]], own(3), ks=(1, 2))
    >>> found.first_rank.tolist(), found.recall(1).tolist()
    ([1, 3, 3], [1.0, 0.0, 0.0])
    """
    scores = dot_products(queries, candidates)
    return rank_scores(scores, {"": relevance}, ks, exclude, average_precision, block_bytes)[""]


def dot_products(queries: NDArray[Any], candidates: NDArray[Any]) -> Scores:
    """Scores by dot product, computed one block of queries at a time in float32.

    >>> dot_products(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]))(0, 1).tolist()
    [[11.0]]
    """
    if queries.ndim != 2 or candidates.ndim != 2 or queries.shape[1] != candidates.shape[1]:
        raise RankingError(
            f"Queries {queries.shape} and candidates {candidates.shape} must be [Q, E] and [C, E]; "
            "embed both with the same system."
        )
    left, right = np.asarray(queries, dtype=np.float32), np.asarray(candidates, dtype=np.float32).T
    return lambda start, stop: left[start:stop] @ right


def mixed(scores: Scores, local: NDArray[Any], similarity: str) -> Scores:
    """Scores as they are (`global`), a matrix [Q, C] in their place (`local`), or their mean (`both`).

    >>> vectors = dot_products(np.eye(2), np.eye(2))
    >>> words = np.array([[0.5, 0.5], [0.0, 1.0]], dtype=np.float32)
    >>> [mixed(vectors, words, how)(0, 1).tolist() for how in ("global", "local", "both")]
    [[[1.0, 0.0]], [[0.5, 0.5]], [[0.75, 0.25]]]
    """
    if similarity == "global":
        return scores
    if similarity == "local":
        return lambda start, stop: local[start:stop]
    return lambda start, stop: np.mean([scores(start, stop), local[start:stop]], axis=0, dtype=np.float32)


def rank_scores(
    scores: Scores,
    relevances: Mapping[str, Relevance],
    ks: Sequence[int] = (1, 5, 10),
    exclude: Relevance | None = None,
    average_precision: bool = False,
    block_bytes: int = BLOCK_BYTES,
    progress: Progress | None = None,
) -> dict[str, Ranked]:
    """As `rank`, for scores from anywhere and several definitions of "right" at the price of one ranking.

    Args:
        scores: `scores(start, stop)` gives the rows [b, C]; higher is better.
        relevances: Name to definition, all over the same queries and candidates.
        ks: Cut-offs.
        exclude: Candidates that a query must not see.
        average_precision: Also compute the per-query average precision.
        block_bytes: Memory for one block of keys.
        progress: Wraps the iteration over blocks.
    """
    ks = tuple(ks)
    queries, candidates = _shape(relevances, exclude, ks)
    rows = max(1, block_bytes // (8 * max(candidates, 1)))
    starts: Iterable[int] = range(0, queries, rows)
    parts: dict[str, list[Ranked]] = {name: [] for name in relevances}
    for start in progress(starts) if progress else starts:
        stop = min(start + rows, queries)
        hidden = None if exclude is None else exclude.block(start, stop).astype(bool)
        block = _Block(scores(start, stop), hidden, candidates)
        best = smallest(block.keys, candidates if average_precision else min(max(ks), candidates))
        for name, relevance in relevances.items():
            parts[name].append(block.judge(best, relevance.block(start, stop), ks, average_precision))
    return {name: joined(found) for name, found in parts.items()}


class _Block:
    """The keys of one block of queries, and what a definition of "right" makes of them."""

    def __init__(self, scores: NDArray[Any], hidden: NDArray[np.bool_] | None, candidates: int) -> None:
        scores = np.asarray(scores, dtype=np.float32)
        if scores.shape[1] != candidates or (hidden is not None and hidden.shape != scores.shape):
            raise RankingError(
                f"Scores {scores.shape} do not cover the {candidates} candidates; "
                "make the relevance over the same queries and candidates as the scores."
            )
        self.hidden = hidden
        self.keys = sort_keys(scores, hidden)
        seen = 0 if hidden is None else np.count_nonzero(hidden, axis=1)
        self.pool = np.full(len(scores), candidates, dtype=np.int64) - seen

    def judge(self, best: NDArray[np.uint64], gains: NDArray[Any], ks: tuple[int, ...], full: bool) -> Ranked:
        """Count right answers; `best` are the smallest keys in order, all of them when `full`."""
        if gains.shape != self.keys.shape:
            raise RankingError(f"Scores {self.keys.shape} and right answers {gains.shape} differ in shape.")
        if self.hidden is not None:
            gains = np.where(self.hidden, np.zeros((), gains.dtype), gains)
        found = _gains_in_order(best, gains)
        right = gains if gains.dtype == np.bool_ else gains > 0
        count = np.count_nonzero(right, axis=1)
        return Ranked(
            ks,
            self._first_rank(found > 0, right, count),
            np.stack([np.count_nonzero(found[:, :k] > 0, axis=1) for k in ks], axis=1),  # [b, len(ks)]
            count,
            self.pool,
            _ndcg(found, gains, count, ks),
            _average_precision(found > 0, count) if full else None,
        )

    def _first_rank(
        self, found: NDArray[np.bool_], right: NDArray[np.bool_], count: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Read off the ordered part where it holds a right answer, counted over the whole row elsewhere."""
        if not found.shape[1]:
            return np.zeros(len(found), dtype=np.int64)
        first = np.where(found.any(axis=1), found.argmax(axis=1) + 1, 0)
        rows = np.flatnonzero((first == 0) & (count > 0))
        if len(rows):
            every = len(rows) == len(found)
            keys, right = (self.keys, right) if every else (self.keys[rows], right[rows])
            best = np.min(keys, axis=1, where=right, initial=EXCLUDED)
            first[rows] = np.count_nonzero(keys < best[:, None], axis=1) + 1
        return first


def _gains_in_order(best: NDArray[np.uint64], gains: NDArray[Any]) -> NDArray[Any]:
    hidden = best == EXCLUDED
    index = np.where(hidden, 0, index_of(best))
    return np.where(hidden, np.zeros((), gains.dtype), np.take_along_axis(gains, index, axis=1))


def _average_precision(right: NDArray[np.bool_], count: NDArray[np.int64]) -> NDArray[np.float64]:
    rows, places = np.nonzero(right)
    before = np.cumsum(count) - count  # right answers of the rows above
    nth = np.arange(len(rows)) - before[rows] + 1  # 1, 2, ... within each row
    total = np.bincount(rows, weights=nth / (places + 1), minlength=len(right))
    return np.divide(total, count, out=np.zeros(len(count)), where=count > 0)


def _ndcg(
    found: NDArray[Any], gains: NDArray[Any], count: NDArray[np.int64], ks: tuple[int, ...]
) -> NDArray[np.float64]:
    depth = min(max(ks), found.shape[1])
    if not depth:
        return np.zeros((len(found), len(ks)))
    discount = 1.0 / np.log2(np.arange(2, depth + 2))
    gained = np.cumsum(found[:, :depth] * discount, axis=1)
    possible = np.cumsum(_ideal(gains, count, depth) * discount, axis=1)
    at = [min(k, depth) - 1 for k in ks]
    return np.divide(gained, possible, out=np.zeros_like(gained), where=possible > 0)[:, at]


def _ideal(gains: NDArray[Any], count: NDArray[np.int64], depth: int) -> NDArray[Any]:
    if gains.dtype == np.bool_:
        return np.less(np.arange(depth), count[:, None])
    return -np.sort(-gains, axis=1)[:, :depth]


def _shape(
    relevances: Mapping[str, Relevance], exclude: Relevance | None, ks: tuple[int, ...]
) -> tuple[int, int]:
    if not ks or min(ks) < 1:
        raise RankingError(f"Cut-offs must be 1 or more; got {ks}.")
    every = [*relevances.values()] + ([exclude] if exclude is not None else [])
    shapes = {(relevance.queries, relevance.candidates) for relevance in every}
    if len(shapes) != 1:
        raise RankingError(
            f"Relevance and exclusion differ in size ({shapes}); make them over the same items."
        )
    queries, candidates = shapes.pop()
    if not queries:
        raise RankingError("There are no queries; give at least one study or text.")
    return queries, candidates
