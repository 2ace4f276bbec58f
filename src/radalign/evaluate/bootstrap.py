"""Confidence intervals by resampling patients, so that two studies of one patient are not two witnesses.

    patient_ids ──> Resamples: how often each patient was drawn, [R, patients]
    Resamples.draw(statistics) ──> Draw each ──> .interval, .minus(other): shared draws, so paired

Candidates of a retrieval are not resampled: a pool with repeated items would hold repeated right answers.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from radalign.evaluate.statistic import Floats, Statistic

BLOCK_NUMBERS = 4_000_000


class BootstrapError(ValueError):
    """The resampling cannot be done; the message says what to do."""


@dataclass(frozen=True)
class Interval:
    """A number with its bootstrap interval; bounds are NaN when no resample defined the number.

    Args:
        value: On the data as it is.
        low: Lower bound.
        high: Upper bound.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference(Interval):
    """A paired difference of two systems on the same patients.

    Args:
        p: Two-sided bootstrap p-value: how often the resampled difference crosses zero; at least 1 / (R + 1).
    """

    p: float


class Resamples:
    """Seeded draws of patients with replacement, shared by every number of one evaluation.

    Args:
        patient_ids: One per item (query, image), in the items' order.
        count: Number of resamples.
        seed: Of the draws.

    Raises:
        BootstrapError: If there is no patient or no resample.

    >>> draws = Resamples(["a", "a", "b"], count=2, seed=0)
    >>> weights = np.concatenate(list(draws.blocks()))
    >>> weights.shape, bool((weights[:, 0] == weights[:, 1]).all()), (weights[:, 0] + weights[:, 2]).tolist()
    ((2, 3), True, [2.0, 2.0])
    """

    def __init__(self, patient_ids: Sequence[Hashable], count: int = 1000, seed: int = 0) -> None:
        code: dict[Hashable, int] = {}
        self._patient_of = np.array([code.setdefault(p, len(code)) for p in patient_ids], dtype=np.int64)
        self.items, self.patients, self.count, self.seed = len(self._patient_of), len(code), count, seed
        if not code or count < 1:
            raise BootstrapError(
                f"{len(code)} patients and {count} resamples; at least one of each is needed."
            )

    def blocks(self) -> Iterator[Floats]:
        """Weights of the items, float [r, N], a block of resamples at a time; the same on every call."""
        random = np.random.default_rng(self.seed)
        rows = max(1, BLOCK_NUMBERS // self.items)
        for start in range(0, self.count, rows):
            size = min(rows, self.count - start)
            drawn = random.integers(self.patients, size=(size, self.patients))
            drawn += np.arange(size)[:, None] * self.patients  # one range of codes per resample
            times = np.bincount(drawn.ravel(), minlength=size * self.patients)
            yield times.reshape(size, self.patients)[:, self._patient_of].astype(np.float64)  # [r, N]

    def draw(self, statistics: Sequence[Statistic], level: float = 0.95) -> list[Draw]:
        """Evaluate many statistics on the same resamples in one pass.

        Raises:
            BootstrapError: If a statistic is of other items.
        """
        for statistic in statistics:
            if statistic.items != self.items:
                raise BootstrapError(
                    f"A statistic covers {statistic.items} items and the resamples {self.items}; "
                    "give both the same items in the same order."
                )
        blocks = [[s.of(weights) for s in statistics] for weights in self.blocks()]
        drawn = [np.concatenate(parts) for parts in zip(*blocks, strict=True)]
        return [Draw(s.value, samples, level) for s, samples in zip(statistics, drawn, strict=True)]


@dataclass(frozen=True)
class Draw:
    """A statistic's value and what each resample made of it.

    Args:
        value: On the data as it is.
        samples: On each resample, [R].
        level: Coverage of intervals.
    """

    value: float
    samples: Floats
    level: float = 0.95

    @property
    def interval(self) -> Interval:
        """The percentile interval.

        References:
            Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3.
        """
        return Interval(self.value, *_bounds(self.samples, self.level))

    def minus(self, other: Draw) -> Difference:
        """The difference on the same resamples, which removes what both share."""
        samples = self.samples - other.samples
        samples = samples[np.isfinite(samples)]
        tail = min(int((samples <= 0).sum()), int((samples >= 0).sum()))
        p = min(1.0, (2 * tail + 1) / (len(samples) + 1))
        return Difference(self.value - other.value, *_bounds(samples, self.level), p=p)


def interval(statistic: Statistic, resamples: Resamples, level: float = 0.95) -> Interval:
    """The statistic on the data and its percentile interval over resampled patients.

    >>> from radalign.evaluate.statistic import mean_of
    >>> interval(mean_of(np.array([2.0, 2.0])), Resamples(["a", "b"]))
    Interval(value=2.0, low=2.0, high=2.0)
    """
    return resamples.draw([statistic], level)[0].interval


def difference(first: Statistic, second: Statistic, resamples: Resamples, level: float = 0.95) -> Difference:
    """First minus second, paired by patient.

    >>> from radalign.evaluate.statistic import mean_of
    >>> difference(mean_of(np.array([1.0, 0.5])), mean_of(np.array([0.5, 0.0])), Resamples(["a", "b"], 9))
    Difference(value=0.5, low=0.5, high=0.5, p=0.1)
    """
    one, two = resamples.draw([first, second], level)
    return one.minus(two)


def _bounds(samples: Floats, level: float) -> tuple[float, float]:
    samples = samples[np.isfinite(samples)]
    if not len(samples):
        return float("nan"), float("nan")
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
