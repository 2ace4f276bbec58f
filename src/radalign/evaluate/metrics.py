"""Classification metrics as weighted statistics: AUC, AUPRC, F1, MCC, accuracy, macro accuracy.

Each function gives a `Statistic`: `.value` is the number, and the bootstrap asks for thousands of resamples.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radalign.evaluate.statistic import Bools, Floats, Statistic, average_of, ratio


class MetricError(ValueError):
    """The inputs of a metric do not fit together; the message says what to do."""


def auc(scores: NDArray[Any], present: NDArray[Any]) -> Statistic:
    """Area under the ROC curve: how often a present case scores above an absent one, ties counting half.

    Args:
        scores: [N], higher means present.
        present: Bool, [N].

    References:
        Hanley and McNeil, Radiology 143(1), 1982.

    >>> auc(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, False, True, True])).value
    0.875
    """
    values, truth = _checked(scores, present)
    order, start = _groups(values)
    truth = truth[order].astype(np.float64)

    def area(weights: Floats) -> Floats:
        weights = weights[:, order]
        yes = np.add.reduceat(
            weights * truth, start, axis=1
        )  # weight of the present cases per distinct score
        no = np.add.reduceat(weights * (1 - truth), start, axis=1)
        below = np.cumsum(no, axis=1) - no
        won = (yes * (below + no / 2)).sum(axis=1)
        return ratio(won, yes.sum(axis=1) * no.sum(axis=1))

    return Statistic(len(values), area, len(values))


def average_precision(scores: NDArray[Any], present: NDArray[Any]) -> Statistic:
    """Area under the precision-recall curve: sum of precision x recall gained (AUPRC, not interpolated).

    >>> round(average_precision(np.array([0.9, 0.8, 0.7]), np.array([True, False, True])).value, 4)
    0.8333
    """
    values, truth = _checked(scores, present)
    order, start = _groups(-values)
    truth = truth[order].astype(np.float64)

    def area(weights: Floats) -> Floats:
        weights = weights[:, order]
        yes = np.add.reduceat(weights * truth, start, axis=1)
        taken = np.cumsum(np.add.reduceat(weights, start, axis=1), axis=1)
        precision = np.divide(np.cumsum(yes, axis=1), taken, out=np.zeros_like(taken), where=taken > 0)
        return ratio((precision * yes).sum(axis=1), yes.sum(axis=1))

    return Statistic(len(values), area, len(values))


def accuracy(predicted: NDArray[Any], truth: NDArray[Any]) -> Statistic:
    """Share of right answers, for classes or for present/absent.

    >>> accuracy(np.array([0, 1, 2]), np.array([0, 1, 1])).value.__round__(4)
    0.6667
    """
    _same_length(predicted, truth)
    right = (np.asarray(predicted) == np.asarray(truth)).astype(np.float64)
    return Statistic(len(right), lambda w: ratio(w @ right, w.sum(axis=1)), len(right))


def macro_accuracy(predicted: NDArray[Any], truth: NDArray[Any]) -> Statistic:
    """Mean over the true classes of the share of each that was found (balanced accuracy, macro recall).

    >>> macro_accuracy(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0])).value
    0.75
    >>> macro_accuracy(np.array([0, 0, 0, 0]), np.array([0, 0, 0, 1])).value
    0.5
    """
    _same_length(predicted, truth)
    return replace(average_of([_recall_of(predicted, truth, c) for c in np.unique(truth)]), known=len(truth))


def f1(predicted: NDArray[Any], present: NDArray[Any]) -> Statistic:
    """Harmonic mean of precision and recall of "present"; 0 when nothing was predicted right.

    Also 0, as in scikit-learn, when nothing is present nor predicted; NaN only where weights leave no item.

    >>> f1(np.array([True, True, False]), np.array([True, False, True])).value
    0.5
    >>> f1(np.array([False, False]), np.array([False, False])).value
    0.0
    """
    occurring = _f1_where_it_occurs(predicted, present)

    def score(weights: Floats) -> Floats:
        found = occurring.of(weights)
        return np.where(np.isnan(found) & (weights.sum(axis=1) > 0), 0.0, found)

    return replace(occurring, of=score)


def macro_f1(predicted: NDArray[Any], truth: NDArray[Any]) -> Statistic:
    """Mean of each class's F1, over the classes that occur in the truth or among the predictions.

    On a resample, over those that occur there, as scikit-learn would find when given the resample.

    >>> round(macro_f1(np.array([0, 0, 1]), np.array([0, 1, 1])).value, 4)
    0.6667
    >>> macro_f1(np.array([0, 2]), np.array([0, 0])).value.__round__(4)
    0.3333
    """
    _same_length(predicted, truth)
    classes = np.union1d(predicted, truth)
    return average_of([_f1_where_it_occurs(np.equal(predicted, c), np.equal(truth, c)) for c in classes])


def mcc(predicted: NDArray[Any], present: NDArray[Any]) -> Statistic:
    """Matthews correlation of prediction and truth, -1..1; 0 when either is constant.

    References:
        Matthews, Biochimica et Biophysica Acta 405(2), 1975.

    >>> mcc(np.array([True, False, True]), np.array([True, False, False])).value
    0.5
    """
    guess, truth = _both(predicted, present)

    def score(weights: Floats) -> Floats:
        hits, wrong, missed, left = _confusion(weights, guess, truth)
        scale = np.sqrt((hits + wrong) * (hits + missed) * (left + wrong) * (left + missed))
        return np.divide(hits * left - wrong * missed, scale, out=np.zeros_like(scale), where=scale > 0)

    return Statistic(len(guess), score, len(guess))


def _f1_where_it_occurs(predicted: NDArray[Any], present: NDArray[Any]) -> Statistic:
    """F1, NaN where nothing is present nor predicted."""
    guess, truth = _both(predicted, present)

    def score(weights: Floats) -> Floats:
        hits, wrong, missed, _ = _confusion(weights, guess, truth)
        return ratio(2 * hits, 2 * hits + wrong + missed)

    return Statistic(len(guess), score, len(guess))


def _recall_of(predicted: NDArray[Any], truth: NDArray[Any], label: Any) -> Statistic:
    members = np.equal(truth, label).astype(np.float64)
    found = members * np.equal(predicted, label)
    return Statistic(len(members), lambda w: ratio(w @ found, w @ members), int(members.sum()))


def _confusion(weights: Floats, guess: Bools, truth: Bools) -> tuple[Floats, Floats, Floats, Floats]:
    """Weights of true positives, false positives, false negatives, true negatives, [R] each."""
    cells = (guess & truth, guess & ~truth, ~guess & truth, ~guess & ~truth)
    hits, wrong, missed, left = (weights @ cell.astype(np.float64) for cell in cells)
    return hits, wrong, missed, left


def _groups(values: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ascending order of the values, and where each run of equal values starts in it."""
    order = np.argsort(values, kind="stable")
    rising = values[order]
    return order, np.flatnonzero(np.r_[True, rising[1:] != rising[:-1]])


def _checked(scores: NDArray[Any], present: NDArray[Any]) -> tuple[Floats, Bools]:
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(present, dtype=bool)
    _same_length(values, truth)
    if not np.isfinite(values).all():
        raise MetricError("A score is not a finite number; check the embeddings for NaN.")
    return values, truth


def _both(predicted: NDArray[Any], present: NDArray[Any]) -> tuple[Bools, Bools]:
    _same_length(predicted, present)
    return np.asarray(predicted, dtype=bool), np.asarray(present, dtype=bool)


def _same_length(first: NDArray[Any], second: NDArray[Any]) -> None:
    if np.ndim(first) != 1 or np.shape(first) != np.shape(second) or not np.size(first):
        raise MetricError(
            f"Predictions {np.shape(first)} and truth {np.shape(second)} must be two vectors of one length "
            "above zero; give one entry per image."
        )
