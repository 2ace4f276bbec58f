"""A number over weighted items: once on the data, and on thousands of bootstrap resamples at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Statistic:
    """A weighted number of N items; NaN where the weights do not define it, never a guess.

    Args:
        items: N.
        of: Maps weights [R, N] to numbers [R].
        known: How many of the N items carry a value.
    """

    items: int
    of: Callable[[Floats], Floats]
    known: int

    @property
    def value(self) -> float:
        """On the data as it is: every item once."""
        return float(self.of(np.ones((1, self.items)))[0])


def mean_of(values: NDArray[np.floating]) -> Statistic:
    """The mean over items whose value is not NaN.

    >>> mean_of(np.array([1.0, np.nan, 3.0])).of(np.array([[1.0, 1.0, 1.0], [3.0, 0.0, 1.0]])).tolist()
    [2.0, 1.5]
    """
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0).astype(np.float64)
    present = known.astype(np.float64)
    return Statistic(
        len(values), lambda weights: ratio(weights @ filled, weights @ present), int(known.sum())
    )


def median_of(values: NDArray[np.floating]) -> Statistic:
    """The median over items whose value is not NaN, each counted as often as its weight says.

    >>> median_of(np.array([1.0, 2.0, 9.0])).of(np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]])).tolist()
    [2.0, 1.5]
    """
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    rising = np.asarray(values[order], dtype=np.float64)

    def median(weights: Floats) -> Floats:
        if not len(order):
            return np.full(len(weights), np.nan)
        upto = np.cumsum(weights[:, order], axis=1)
        half = upto[:, -1:] / 2
        lower, upper = np.argmax(upto >= half, axis=1), np.argmax(upto > half, axis=1)
        return np.where(half[:, 0] > 0, (rising[lower] + rising[upper]) / 2, np.nan)

    return Statistic(len(values), median, len(known))


def average_of(statistics: list[Statistic]) -> Statistic:
    """The mean of several statistics of the same items (a macro average); NaN ones are left out.

    >>> average_of([mean_of(np.array([1.0, 3.0])), mean_of(np.array([0.0, np.nan]))]).value
    1.0
    """

    def mean(weights: Floats) -> Floats:
        each = np.stack([s.of(weights) for s in statistics])  # [S, R]
        known = np.isfinite(each)
        return ratio(np.where(known, each, 0.0).sum(axis=0), known.sum(axis=0).astype(np.float64))

    return Statistic(statistics[0].items, mean, max(s.known for s in statistics))


def ratio(top: Floats, bottom: Floats) -> Floats:
    """The quotient, NaN where the bottom is not above zero."""
    quotient: Floats = np.divide(top, bottom, out=np.full(np.shape(bottom), np.nan), where=bottom > 0)
    return quotient


def over(items: NDArray[np.int64], statistic: Statistic, count: int) -> Statistic:
    """A statistic of some of `count` items, as one of all of them: the others' weights are not looked at.

    >>> over(np.array([2]), mean_of(np.array([5.0])), 3).value
    5.0
    """
    return Statistic(count, lambda weights: statistic.of(weights[:, items]), statistic.known)
