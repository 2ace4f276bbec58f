"""Findings as the classes that a system has scores of its own for, instead of as sentences.

    classes that exclude each other    logits [N, C] ─┬─ log-sum-exp over those that are the finding
                                                      └─ log-sum-exp over all others
    each present or absent             margins [N, C] ── largest of those that are the finding, and 0

The difference of the two is the log odds of the finding. A few-shot classifier decides between its classes by
more than sentences: Tip-Adapter's cache votes on classes alone, so that sentences never hear it. MedKLIP's
decoder answers for each finding, while its joint space knows only shares of all answers. A finding that none
of the classes (or every one) is stays with its sentences, and the result says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radalign.evaluate.embeddings import EvaluationError, Progress, StudyEmbeddings
from radalign.evaluate.prompt_sets import PromptSet
from radalign.evaluate.statistic import Floats
from radalign.study import Manifest


def classes_of(system: Any) -> tuple[str, ...]:
    """The classes that a system has scores of its own for, none for most systems."""
    return tuple(getattr(system, "own_classes", ()))


def need_own_classes(systems: Mapping[str, Any]) -> None:
    """Check that somebody can be asked for classes.

    Raises:
        EvaluationError: If no system has any.
    """
    if not any(map(classes_of, systems.values())):
        raise EvaluationError(
            f"{', '.join(systems)} learned no classes; leave --own-classes out, so that sentences are asked."
        )


def with_own_classes(
    system: Any, given: StudyEmbeddings, manifest: Manifest, prompts: PromptSet,
    progress: Progress | None = None,
) -> StudyEmbeddings:  # fmt: skip
    """The same embeddings with the system's own scores of the findings that are among its classes.

    Args:
        system: The one that made `given`; without classes of its own nothing is added.
        given: Its embeddings.
        manifest: Holds the studies.
        prompts: Names the findings, and the labels that each goes by.
        progress: Wraps the loop over batches.
    """
    asked = _asked(system, prompts)
    if not asked:
        return given
    logits = system.classify_studies([manifest[i] for i in given.study_ids], manifest, progress=progress)
    pair = class_pair if system.exclusive else finding_pair
    classes = classes_of(system)
    return replace(given, by_class={name: pair(logits, classes, labels) for name, labels in asked.items()})


def _asked(system: Any, prompts: PromptSet) -> dict[str, tuple[str, ...]]:
    """The findings that a system is asked for by its classes, with the labels that each goes by."""
    classes = classes_of(system)
    return {f.name: tuple(f.labels) for f in prompts.findings if is_among(classes, f.labels)}


def is_among(classes: Sequence[str], labels: Sequence[str]) -> bool:
    """Whether a finding is some of the classes and not all of them.

    >>> [is_among(classes, ["Edema", "Oedema"]) for classes in (["normal", "Edema"], ["Edema"], [])]
    [True, False, False]
    """
    return 0 < len(set(classes) & set(labels)) < len(set(classes))


def class_pair(logits: NDArray[Any], classes: Sequence[str], labels: Sequence[str]) -> Floats:
    """Log-sum-exp of the logits of a finding's classes and of all others, [N, 2].

    Their difference is the log odds that the softmax over the classes gives the finding.

    Args:
        logits: [N, C].
        classes: C names.
        labels: The names that the finding goes by.

    >>> chances = np.array([[0.5, 0.2, 0.3]])
    >>> np.exp(class_pair(np.log(chances), ["normal", "Edema", "Mass"], ["Edema", "Mass"])).round(3).tolist()
    [[0.5, 0.5]]
    """
    own = np.isin(np.asarray(classes), list(labels))
    rows = np.asarray(logits, dtype=np.float64)
    return np.stack([np.logaddexp.reduce(rows[:, part], axis=1) for part in (own, ~own)], axis=1)  # [N, 2]


def finding_pair(margins: NDArray[Any], classes: Sequence[str], labels: Sequence[str]) -> Floats:
    """The largest margin of the classes that are the finding, and 0, [N, 2].

    Args:
        margins: Log odds of every class by itself, [N, C].
        classes: C names.
        labels: The names that the finding goes by.

    >>> finding_pair(np.array([[2.0, -1.0, 3.0]]), ["Edema", "Mass", "Nodule"], ["Mass", "Nodule"]).tolist()
    [[3.0, 0.0]]
    """
    own = np.asarray(margins, dtype=np.float64)[:, np.isin(np.asarray(classes), list(labels))].max(axis=1)
    return np.stack([own, np.zeros_like(own)], axis=1)  # [N, 2]


def own_classes_note(name: str, system: Any, prompts: PromptSet) -> str:
    """Which findings of a set a system was asked for by its classes, "" without any."""
    asked = _asked(system, prompts)
    rest = [f.name for f in prompts.findings if f.name not in asked]
    if not asked:
        return ""
    others = f"; by sentences: {', '.join(rest)}" if rest else ""
    return f"{name} scores by classes of its own: {', '.join(asked)}{others}."
