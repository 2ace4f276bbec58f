"""Few-shot classification on frozen embeddings: how shots are drawn, and the training-free or convex methods.

train items ─ draw K per class (seeded) ─┐
class names ─ template ─ embed_texts ────┼─ method ─> logits of test images ─> top-1 accuracy
val items ─ draw min(K, 4) per class ────┘  (picks a method's own settings, never the test images)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radalign.evaluate.embeddings import EvaluationError
from radalign.evaluate.pooling import unit
from radalign.evaluate.probe import PENALTIES, fit_classes
from radalign.evaluate.statistic import Floats

SHOTS = (1, 2, 4, 8, 16)
SEEDS = (1, 2, 3)
LOGIT_SCALE = 100.0
ALPHAS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
BETAS = (1.0, 3.0, 5.5, 10.0)


@dataclass(frozen=True)
class Shots:
    """What a method may learn from.

    Args:
        train: Embeddings, [N, E].
        train_classes: Class index, [N].
        val: Embeddings, [M, E].
        val_classes: Class index, [M].
        texts: One embedding per class, [C, E].
    """

    train: Floats
    train_classes: NDArray[np.int64]
    val: Floats
    val_classes: NDArray[np.int64]
    texts: Floats

    @property
    def classes(self) -> int:
        """C."""
        return len(self.texts)


Classifier = Callable[[NDArray[Any]], Floats]
Method = Callable[[Shots], Classifier]


def base_and_novel(labels: Sequence[int]) -> tuple[list[int], list[int]]:
    """The first half (rounded up) of the sorted labels is base, the rest novel.

    >>> base_and_novel([2, 0, 1, 2])
    ([0, 1], [2])
    """
    ordered = sorted(set(labels))
    base = (len(ordered) + 1) // 2
    return ordered[:base], ordered[base:]


def need_two_sides(name: str, classes: int) -> None:
    """Refuse a data set whose novel half would be one class, which every method gets right.

    Args:
        name: Of the data set.
        classes: How many it has.

    Raises:
        EvaluationError: With fewer than four.
    """
    if classes < 4:
        raise EvaluationError(
            f"{name} has {classes} classes; base-to-novel needs at least four, two on each side (give the "
            "few-shot protocol, or another data set)."
        )


def harmonic_mean(base: float, novel: float) -> float:
    """HM = 2 B N / (B + N), 0 when both are.

    >>> harmonic_mean(0.5, 1.0).__round__(4)
    0.6667
    """
    return 2 * base * novel / (base + novel) if base + novel > 0 else 0.0


def zero_shot(shots: Shots) -> Classifier:
    """Cosine to the class sentences; looks at no shot."""
    texts = unit(shots.texts)
    return lambda z: LOGIT_SCALE * unit(z) @ texts.T


def prototypes(shots: Shots) -> Classifier:
    """Cosine to the mean embedding of each class's shots; a class without shots is never named (-inf)."""
    z = unit(shots.train)
    shown = np.unique(shots.train_classes)  # a mean over no shot would be NaN, which every argmax picks
    means = unit(np.stack([z[shots.train_classes == c].mean(axis=0) for c in shown]))  # [classes shown, E]

    def classify(new: NDArray[Any]) -> Floats:
        logits = np.full((len(new), shots.classes), -np.inf)
        logits[:, shown] = LOGIT_SCALE * unit(new) @ means.T
        return logits

    return classify


def linear_probe(shots: Shots) -> Classifier:
    """Logistic regression on the shots; the validation shots pick the penalty, the larger one on a tie."""
    fits = [
        fit_classes(shots.train, shots.train_classes, shots.classes, p)
        for p in sorted(PENALTIES, reverse=True)
    ]
    return _best([fit.logits for fit in fits], shots)


def tip_adapter(shots: Shots) -> Classifier:
    """Cosine to the sentences plus votes of similar shots; the validation shots pick how much and how near.

    References:
        Zhang et al., Tip-Adapter, ECCV 2022, equations 4 to 7, without training and without augmented passes.
    """
    words, keys = zero_shot(shots), unit(shots.train)
    votes = np.eye(shots.classes)[shots.train_classes]  # [N, C]

    def cached(alpha: float, beta: float) -> Classifier:
        return lambda z: words(z) + alpha * np.exp(-beta * (1 - unit(z) @ keys.T)) @ votes

    return _best([cached(alpha, beta) for alpha, beta in product(ALPHAS, BETAS)], shots)


METHODS: Mapping[str, Method] = {
    "zero-shot": zero_shot,
    "prototypes": prototypes,
    "linear probe": linear_probe,
    "Tip-Adapter": tip_adapter,
}


def _best(classifiers: Sequence[Classifier], shots: Shots) -> Classifier:
    """The first of the classifiers with the best accuracy on the validation shots."""
    if not len(shots.val):
        return classifiers[len(classifiers) // 2]
    right = [np.mean(c(shots.val).argmax(axis=1) == shots.val_classes) for c in classifiers]
    return classifiers[int(np.argmax(right))]
