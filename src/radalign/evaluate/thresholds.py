"""The threshold above which a score means "present", chosen on cases that are not the ones reported."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from radalign.evaluate.metrics import MetricError
from radalign.evaluate.statistic import Floats

Criterion = Literal["f1", "mcc", "youden"]
ALTA_GRID = np.linspace(0.0, 1.0, 201)  # 0, 0.005, ..., 1


def best_threshold(
    scores: NDArray[Any], present: NDArray[Any], criterion: Criterion = "f1", grid: NDArray[Any] | None = None
) -> float:
    """The smallest threshold with the best criterion; a case is present when its score is above it.

    Args:
        scores: [N].
        present: Bool, [N].
        criterion: `f1`, `mcc`, or `youden` (sensitivity + specificity - 1).
        grid: Thresholds to try; default: midway between neighbouring scores, and below all of them.

    Raises:
        MetricError: If one of the two answers does not occur, so that no threshold can be chosen.

    >>> best_threshold(np.array([0.1, 0.4, 0.8]), np.array([False, True, True]))
    0.25
    """
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(present, dtype=bool)
    if truth.all() or not truth.any():
        raise MetricError(
            "A threshold needs present and absent cases; choose it on a larger validation split."
        )
    tried = _between(values) if grid is None else np.asarray(grid, dtype=np.float64)
    hits, wrong = _above(values[truth], tried), _above(values[~truth], tried)
    quality = _quality(hits, wrong, int(truth.sum()), int((~truth).sum()), criterion)
    return float(tried[int(np.argmax(quality))])


def _between(values: Floats) -> Floats:
    distinct = np.unique(values)
    return np.concatenate([distinct[:1] - 1.0, (distinct[1:] + distinct[:-1]) / 2])


def _above(values: Floats, tried: Floats) -> Floats:
    """How many values are above each threshold, [T]."""
    rising = np.sort(values)
    above: Floats = (len(rising) - np.searchsorted(rising, tried, side="right")).astype(np.float64)
    return above


def _quality(hits: Floats, wrong: Floats, positives: int, negatives: int, criterion: Criterion) -> Floats:
    missed, left = positives - hits, negatives - wrong
    if criterion == "f1":
        return 2 * hits / (2 * hits + wrong + missed)
    if criterion == "youden":
        return hits / positives - wrong / negatives
    scale = np.sqrt((hits + wrong) * (left + missed) * positives * negatives)
    return np.divide(hits * left - wrong * missed, scale, out=np.zeros_like(scale), where=scale > 0)
