"""Every metric equals scikit-learn's on the data and on every resample of them, ties and rare classes included."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from radalign.evaluate import metrics

BINARY = {
    "f1": (metrics.f1, lambda truth, guess: reference.f1_score(truth, guess, zero_division=0)),
    "mcc": (metrics.mcc, reference.matthews_corrcoef),
}
CLASSES = {
    "accuracy": (metrics.accuracy, reference.accuracy_score),
    "macro accuracy": (metrics.macro_accuracy, reference.balanced_accuracy_score),
    "macro F1": (
        metrics.macro_f1,
        lambda truth, guess: reference.f1_score(truth, guess, average="macro", zero_division=0),
    ),
}
SCORED = {
    "AUC": (metrics.auc, reference.roc_auc_score),
    "AUPRC": (metrics.average_precision, reference.average_precision_score),
}


@st.composite
def rows(draw, guess, truth):
    """Guesses, truths and how often each row was drawn, [N] each; at least one row is."""
    n = draw(st.integers(1, 12))
    column = lambda values: np.array(draw(st.lists(values, min_size=n, max_size=n)))  # noqa: E731
    drawn = column(st.integers(0, 3))
    return column(guess), column(truth), drawn if drawn.any() else np.ones(n, dtype=int)


def check(pair, guess, truth, drawn):
    """Ours on the rows, and on the resample by its weights, against scikit-learn on the rows that it holds."""
    ours, theirs = pair
    found = ours(guess, truth)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of classes that are only predicted, or of a single one
        assert found.value == pytest.approx(theirs(truth, guess), abs=1e-12)
        want = theirs(np.repeat(truth, drawn), np.repeat(guess, drawn))
    assert found.of(drawn[None].astype(float))[0] == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize("name", BINARY)
@settings(max_examples=150, deadline=None)
@given(rows(st.booleans(), st.booleans()))
@example((np.array([False, False]), np.array([False, False]), np.array([1, 0])))
def test_present_or_absent_equals_scikit_learn(name, given_rows):
    check(BINARY[name], *given_rows)


@pytest.mark.parametrize("name", CLASSES)
@settings(max_examples=150, deadline=None)
@given(rows(st.integers(0, 4), st.integers(0, 3)))
@example((np.array([0, 2]), np.array([0, 0]), np.array([1, 0])))
def test_classes_equal_scikit_learn(name, given_rows):
    check(CLASSES[name], *given_rows)


@pytest.mark.parametrize("name", SCORED)
@settings(max_examples=150, deadline=None)
@given(rows(st.integers(0, 5).map(lambda i: i / 5), st.booleans()))
def test_scores_equal_scikit_learn(name, given_rows):
    scores, present, drawn = given_rows
    held = np.repeat(present, drawn)
    if held.any() and not held.all():  # neither has a value where one of the two answers is missing
        check(SCORED[name], scores, present, drawn)


def test_a_class_that_is_only_predicted_counts_with_an_f1_of_zero():
    # Class 0: two hits of three, F1 = 4/5; class 2 is never right.
    assert metrics.macro_f1(np.array([0, 0, 2]), np.array([0, 0, 0])).value == pytest.approx(2 / 5)


def test_nothing_present_nor_predicted_is_an_f1_of_zero_and_no_items_are_none():
    nothing = metrics.f1(np.array([False]), np.array([False]))
    assert nothing.of(np.array([[1.0], [0.0]])).tolist() == pytest.approx([0.0, np.nan], nan_ok=True)


def test_an_auc_without_a_positive_is_not_a_number():
    assert np.isnan(metrics.auc(np.array([0.1, 0.2]), np.array([False, False])).value)


def test_a_constant_prediction_has_no_correlation():
    assert metrics.mcc(np.array([True, True]), np.array([True, False])).value == 0.0


@pytest.mark.parametrize(("scores", "present"), [([0.1, np.nan], [0, 1]), ([0.1], [0, 1]), ([], [])])
def test_inputs_that_do_not_fit_are_refused(scores, present):
    with pytest.raises(metrics.MetricError):
        metrics.auc(np.array(scores), np.array(present, dtype=bool))
