"""Every metric equals scikit-learn's, weights and ties included."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from radalign.evaluate import metrics

RANDOM = np.random.default_rng(3)
N = 60
SCORES = RANDOM.integers(0, 8, N) / 8  # many ties
PRESENT = RANDOM.random(N) < 0.4
PREDICTED = RANDOM.random(N) < 0.5
CLASSES, GUESSES = RANDOM.integers(0, 4, N), RANDOM.integers(0, 4, N)
WEIGHTS = RANDOM.integers(0, 4, (3, N)).astype(float)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (metrics.auc(SCORES, PRESENT), lambda w: reference.roc_auc_score(PRESENT, SCORES, sample_weight=w)),
        (
            metrics.average_precision(SCORES, PRESENT),
            lambda w: reference.average_precision_score(PRESENT, SCORES, sample_weight=w),
        ),
        (metrics.f1(PREDICTED, PRESENT), lambda w: reference.f1_score(PRESENT, PREDICTED, sample_weight=w)),
        (
            metrics.mcc(PREDICTED, PRESENT),
            lambda w: reference.matthews_corrcoef(PRESENT, PREDICTED, sample_weight=w),
        ),
        (
            metrics.accuracy(GUESSES, CLASSES),
            lambda w: reference.accuracy_score(CLASSES, GUESSES, sample_weight=w),
        ),
        (
            metrics.macro_accuracy(GUESSES, CLASSES),
            lambda w: reference.balanced_accuracy_score(CLASSES, GUESSES, sample_weight=w),
        ),
        (
            metrics.macro_f1(GUESSES, CLASSES),
            lambda w: reference.f1_score(CLASSES, GUESSES, average="macro", sample_weight=w),
        ),
    ],
    ids=["auc", "average_precision", "f1", "mcc", "accuracy", "macro_accuracy", "macro_f1"],
)
def test_equal_to_scikit_learn(ours, theirs):
    assert ours.value == pytest.approx(theirs(None), abs=1e-12)
    assert ours.of(WEIGHTS) == pytest.approx([theirs(w) for w in WEIGHTS], abs=1e-12)


def test_an_auc_without_a_positive_is_not_a_number():
    assert np.isnan(metrics.auc(np.array([0.1, 0.2]), np.array([False, False])).value)


def test_a_constant_prediction_has_no_correlation():
    assert metrics.mcc(np.array([True, True]), np.array([True, False])).value == 0.0


@pytest.mark.parametrize(("scores", "present"), [([0.1, np.nan], [0, 1]), ([0.1], [0, 1]), ([], [])])
def test_inputs_that_do_not_fit_are_refused(scores, present):
    with pytest.raises(metrics.MetricError):
        metrics.auc(np.array(scores), np.array(present, dtype=bool))
