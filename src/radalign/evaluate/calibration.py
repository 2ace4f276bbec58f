"""Whether a probability of 0.8 comes true in 80 % of cases: reliability, ECE, Brier, temperature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radalign.evaluate.metrics import MetricError
from radalign.evaluate.statistic import Floats, Statistic, ratio

_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class Reliability:
    """Cases binned by predicted probability; bins without a case are NaN.

    Args:
        edges: Of the bins, [M + 1].
        count: Cases per bin, [M].
        predicted: Mean probability per bin, [M].
        observed: Share present per bin, [M].
    """

    edges: Floats
    count: NDArray[np.int64]
    predicted: Floats
    observed: Floats

    @property
    def expected_calibration_error(self) -> float:
        """ECE: mean gap between predicted and observed over the bins, weighted by cases.

        References:
            Guo et al., On Calibration of Modern Neural Networks, ICML 2017, equation 3.
        """
        gap = np.abs(self.predicted - self.observed)
        return float(np.nansum(gap * self.count) / self.count.sum())


def reliability(probabilities: NDArray[Any], present: NDArray[Any], bins: int = 10) -> Reliability:
    """Bin cases into equal-width bins of probability.

    Args:
        probabilities: [N] in 0..1; 1 falls in the last bin.
        present: Bool, [N].
        bins: M.

    >>> found = reliability(np.array([0.1, 0.3, 0.9]), np.array([False, True, True]), bins=2)
    >>> found.count.tolist(), found.observed.tolist(), round(found.expected_calibration_error, 4)
    ([2, 1], [0.5, 1.0], 0.2333)
    """
    values, truth = np.asarray(probabilities, dtype=np.float64), np.asarray(present, dtype=np.float64)
    if values.shape != truth.shape or not values.size or values.min() < 0 or values.max() > 1:
        raise MetricError(
            "Probabilities must be in 0..1, one per case; turn scores into probabilities first."
        )
    where = _bin_of(values, bins)
    count = np.bincount(where, minlength=bins)
    filled = np.where(count > 0, count, np.nan)
    predicted, observed = (np.bincount(where, weights=v, minlength=bins) / filled for v in (values, truth))
    return Reliability(np.linspace(0, 1, bins + 1), count, predicted, observed)


def expected_calibration_error(
    probabilities: NDArray[Any], present: NDArray[Any], bins: int = 10
) -> Statistic:
    """The ECE of `reliability` as a statistic, so that it gets an interval like any other number.

    >>> expected_calibration_error(np.array([0.25, 0.25]), np.array([False, True]), bins=1).value
    0.25
    """
    values = np.asarray(probabilities, dtype=np.float64)
    gap = values - np.asarray(present, dtype=np.float64)
    inside = (_bin_of(values, bins)[:, None] == np.arange(bins)).astype(np.float64)  # [N, M]

    def error(weights: Floats) -> Floats:
        return ratio(np.abs(weights @ (inside * gap[:, None])).sum(axis=1), weights.sum(axis=1))

    return Statistic(len(values), error, len(values))


def brier(probabilities: NDArray[Any], present: NDArray[Any]) -> float:
    """Mean squared gap between the probability and what happened.

    >>> brier(np.array([0.5, 1.0]), np.array([True, True]))
    0.125
    """
    return float(
        np.mean((np.asarray(probabilities, dtype=np.float64) - np.asarray(present, dtype=np.float64)) ** 2)
    )


def negative_log_likelihood(logits: NDArray[Any], truth: NDArray[Any], temperature: float = 1.0) -> float:
    """Mean cross-entropy of softmax(logits / temperature) at the true class.

    Args:
        logits: [N, C].
        truth: Class index, [N].
        temperature: Above zero.
    """
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    top = scaled.max(axis=1, keepdims=True)
    log_total = top[:, 0] + np.log(np.exp(scaled - top).sum(axis=1))
    return float(np.mean(log_total - scaled[np.arange(len(scaled)), truth]))


def fit_temperature(logits: NDArray[Any], truth: NDArray[Any], low: float = 1e-3, high: float = 1e3) -> float:
    """The temperature that makes softmax(logits / T) most likely, by golden-section search over log T.

    Fit it on validation cases, never on the cases that are reported.

    Args:
        logits: [N, C]; for present/absent give the two cosines.
        truth: Class index, [N].
        low: Smallest temperature considered.
        high: Largest.

    References:
        Guo et al., ICML 2017, section 4.2.
    """
    left, right = np.log(low), np.log(high)
    while right - left > 1e-6:
        a, b = right - _GOLDEN * (right - left), left + _GOLDEN * (right - left)
        if negative_log_likelihood(logits, truth, float(np.exp(a))) <= negative_log_likelihood(
            logits, truth, float(np.exp(b))
        ):
            right = b
        else:
            left = a
    return float(np.exp((left + right) / 2))


def _bin_of(probabilities: Floats, bins: int) -> NDArray[np.int64]:
    return np.minimum((probabilities * bins).astype(np.int64), bins - 1)
