"""Reliability, ECE, Brier score and temperature against scikit-learn, a loop and a known answer."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from radalign.evaluate.calibration import brier, fit_temperature, negative_log_likelihood, reliability
from radalign.evaluate.metrics import MetricError

RANDOM = np.random.default_rng(0)
P = np.r_[RANDOM.random(50), 0.0, 1.0, 0.3]
PRESENT = RANDOM.random(53) < P


def test_ece_equals_a_loop_over_bins():
    total = 0.0
    for m in range(10):
        inside = [i for i, p in enumerate(P) if m / 10 <= p < (m + 1) / 10 or (m == 9 and p == 1.0)]
        if inside:
            total += abs(sum(P[i] for i in inside) - sum(PRESENT[i] for i in inside))
    assert reliability(P, PRESENT, bins=10).expected_calibration_error == pytest.approx(total / len(P))


def test_brier_and_likelihood_equal_scikit_learn():
    assert brier(P, PRESENT) == pytest.approx(reference.brier_score_loss(PRESENT, P))
    logits, truth = RANDOM.normal(size=(40, 3)), RANDOM.integers(0, 3, 40)
    softmax = np.exp(logits / 0.7) / np.exp(logits / 0.7).sum(axis=1, keepdims=True)
    assert negative_log_likelihood(logits, truth, 0.7) == pytest.approx(reference.log_loss(truth, softmax))


def test_the_fitted_temperature_is_the_one_that_made_the_labels():
    logits = RANDOM.normal(size=(4000, 3)) * 3
    noise = RANDOM.gumbel(size=logits.shape)
    truth = np.argmax(logits / 2.5 + noise, axis=1)  # labels drawn from softmax(logits / 2.5)
    fitted = fit_temperature(logits, truth)
    assert fitted == pytest.approx(2.5, rel=0.08)
    nearby = [negative_log_likelihood(logits, truth, fitted * f) for f in (0.99, 1.01)]
    assert negative_log_likelihood(logits, truth, fitted) < min(nearby)


def test_scores_outside_zero_to_one_are_refused():
    with pytest.raises(MetricError, match=r"0\.\.1"):
        reliability(np.array([1.5]), np.array([True]))
