"""Several opinions about which study answers best, fused by rank: images, reports and the words of reports.

images  ── cosine ──┐
reports ── cosine ──┼─ rank of every study ─ sum of weight / (60 + rank) ─> fused score
words   ── BM25  ───┘

Ranks, not scores, are added: cosines with images and with reports lie on different scales.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from radalign.search.errors import SearchError
from radalign.search.filters import Filter
from radalign.search.index import SPACES, Hit, Index
from radalign.search.rows import rows_at
from radalign.search.words import bm25

WEIGHTS: Mapping[str, float] = {"images": 1.0, "reports": 1.0, "words": 0.5}
_OFFSET = 60.0


def fuse(opinions: Mapping[str, np.ndarray], weights: Mapping[str, float]) -> np.ndarray:
    """Reciprocal-rank fusion of several scores of the same N studies: float64 [N].

    Args:
        opinions: Name to scores [N]; NaN = no opinion on a study, which adds nothing.
        weights: Name to weight.

    References:
        Cormack, Clarke and Buettcher 2009, Reciprocal Rank Fusion, with k = 60; equal scores share a rank.

    >>> fuse({"a": np.array([0.9, 0.1]), "b": np.array([np.nan, 7.0])}, {"a": 1, "b": 2}).round(5).tolist()
    [0.01639, 0.04892]
    """
    total = np.zeros(len(next(iter(opinions.values()))))
    for name, scores in opinions.items():
        has = ~np.isnan(scores)
        descending = np.sort(-scores[has])
        ranks = 1 + np.searchsorted(descending, -scores[has], side="left")
        total[has] += weights[name] / (_OFFSET + ranks)
    return total


def fused_search(
    index: Index,
    vector: np.ndarray,
    words: str = "",
    k: int = 10,
    where: Filter | None = None,
    weights: Mapping[str, float] = WEIGHTS,
) -> list[Hit]:
    """The `k` best studies by fused rank of their images, their reports and, with words, of their wording.

    Args:
        index: Any index.
        vector: The query's embedding [E].
        words: The query's text, "" for a query by image or study.
        k: At most this many; fewer only if fewer studies pass the filter.
        where: Which studies may answer.
        weights: Of `images`, `reports` and `words`.
    """
    if k < 1:
        raise SearchError(f"A search gives back at least 1 study; {k} were asked for.")
    table = index.table()
    opinions: dict[str, np.ndarray] = {space: index.scores(vector, space)[0] for space in SPACES}
    if words.strip():
        wording = bm25(words, table.column("report"))
        opinions["words"] = np.where(wording > 0, wording, np.nan)
    fused = fuse(opinions, weights)
    where = (where or Filter()).resolve(table)
    return _best(table, fused, where.allowed(table), where.counted(table), k)


def _best(table: pa.Table, fused: np.ndarray, allowed: np.ndarray, counted: np.ndarray, k: int) -> list[Hit]:
    ids = np.array(table.column("study_id").to_pylist(), dtype=object)
    chosen = np.flatnonzero(allowed)
    order = chosen[np.lexsort((ids[chosen], -fused[chosen]))][:k]
    ascending = np.sort(fused[counted])
    others = len(ascending) - 1
    below = np.searchsorted(ascending, fused[order], side="left")
    rows = rows_at(table, order)
    return [
        Hit(row.study_id, i, float(fused[p]), 100.0 * b / others if others else 100.0, row)
        for i, (row, p, b) in enumerate(zip(rows, order.tolist(), below.tolist(), strict=True), start=1)
    ]
