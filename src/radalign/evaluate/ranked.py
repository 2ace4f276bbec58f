"""What a ranking found for each query, and the metrics that follow from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radalign.evaluate.order import RankingError


@dataclass(frozen=True)
class Ranked:
    """Counts per query; every metric is NaN for a query without a right answer, and means skip it.

    Args:
        ks: The cut-offs.
        first_rank: Rank (from 1) of the best right answer, 0 without one, [Q].
        hits: Right answers among the first k, [Q, len(ks)].
        right: Right answers in the pool, [Q].
        pool: Candidates that were not excluded, [Q].
        discounted_gain: nDCG at k, [Q, len(ks)].
        precisions: Average precision, [Q], or None when it was not asked for.
    """

    ks: tuple[int, ...]
    first_rank: NDArray[np.int64]
    hits: NDArray[np.int64]
    right: NDArray[np.int64]
    pool: NDArray[np.int64]
    discounted_gain: NDArray[np.float64]
    precisions: NDArray[np.float64] | None = None

    def precision(self, k: int) -> NDArray[np.float64]:
        """P@k: right answers among the first k, over k."""
        return self._answered(self.hits[:, self._column(k)] / k)

    def recall(self, k: int) -> NDArray[np.float64]:
        """R@k: right answers among the first k, over all right answers of the query."""
        return self._answered(self.hits[:, self._column(k)] / np.maximum(self.right, 1))

    def hit(self, k: int) -> NDArray[np.float64]:
        """Whether any right answer is among the first k; equals `recall` when there is one right answer."""
        return self._answered((self.hits[:, self._column(k)] > 0).astype(np.float64))

    def ndcg(self, k: int) -> NDArray[np.float64]:
        """Normalised discounted cumulative gain at k, with gain / log2(rank + 1).

        References:
            Järvelin and Kekäläinen, ACM TOIS 20(4), 2002.
        """
        return self._answered(self.discounted_gain[:, self._column(k)])

    def reciprocal_rank(self) -> NDArray[np.float64]:
        """One over the rank of the best right answer; its mean is the MRR."""
        return self._answered(1.0 / np.maximum(self.first_rank, 1))

    def rank(self) -> NDArray[np.float64]:
        """The rank of the best right answer; its median is the median rank."""
        return self._answered(self.first_rank.astype(np.float64))

    def average_precision(self) -> NDArray[np.float64]:
        """Mean of the precisions at each right answer's rank; its mean is the mAP.

        Raises:
            RankingError: If the ranking was made without it.
        """
        if self.precisions is None:
            raise RankingError("Average precision was not computed; rank with average_precision=True.")
        return self._answered(self.precisions)

    def _answered(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(self.right > 0, values, np.nan)

    def _column(self, k: int) -> int:
        if k not in self.ks:
            raise RankingError(
                f"Nothing was counted at k = {k}; rank with ks that contain it (now {self.ks})."
            )
        return self.ks.index(k)


def joined(parts: Sequence[Ranked]) -> Ranked:
    """One `Ranked` over the queries of all parts, in order."""

    def column(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(part, name) for part in parts])

    names = ("first_rank", "hits", "right", "pool", "discounted_gain")
    precisions = None if parts[0].precisions is None else column("precisions")
    return Ranked(parts[0].ks, **{name: column(name) for name in names}, precisions=precisions)
