"""Change between two studies: better, the same, or worse, read from frozen embeddings.

a system with prior slots    one embedding of the pair
any other                    [now, prior, now - prior]
                                │
linear probe in cross-validation (whole patients, or single pairs as papers do) ─> macro accuracy
sentences ("the effusion has improved") against the pair's embedding ─> zero-shot macro accuracy
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radalign.evaluate.embeddings import Embedder, EvaluationError, Progress
from radalign.evaluate.findings import embed_prompts
from radalign.evaluate.folds import patient_folds, stratified_folds
from radalign.evaluate.pooling import Pooling, class_scores
from radalign.evaluate.probe import fit_classes
from radalign.evaluate.prompt_sets import PromptSet, load_prompts
from radalign.evaluate.statistic import Floats
from radalign.study import Manifest, Study

PROMPTS = "change-sentences"
CHANGES = ("improving", "stable", "worsening")


def sees_priors(system: Embedder) -> bool:
    """Whether the system takes prior views as input."""
    return any(slot.startswith("prior") for slot in system.recipe.data.slots)


def pair_features(
    system: Embedder, pairs: Sequence[Study], manifest: Manifest, progress: Progress | None = None
) -> NDArray[np.float32]:
    """Features of studies with a prior, [N, E] or [N, 3 E]; see the head of this file.

    Raises:
        EvaluationError: If a study has no prior in the manifest.
    """
    priors = [manifest.prior(study) for study in pairs]
    known = [prior for prior in priors if prior is not None]
    if len(known) != len(pairs):
        raise EvaluationError(f"{len(pairs) - len(known)} studies have no prior; give pairs of studies.")
    now = np.asarray(system.embed_studies(pairs, manifest, progress=progress), np.float32)
    if sees_priors(system):
        return now
    unique = list({prior.id: prior for prior in known}.values())
    rows = np.asarray(system.embed_studies(unique, manifest, progress=progress), np.float32)
    place = {study.id: i for i, study in enumerate(unique)}
    before = rows[[place[prior.id] for prior in known]]
    return np.concatenate([now, before, now - before], axis=1)


def cross_validated(
    z: NDArray[Any], changes: NDArray[np.int64], patient_ids: Sequence[str], seed: int,
    by_patient: bool = True, folds: int = 5, penalty: float = 10.0,
) -> NDArray[np.int64]:  # fmt: skip
    """Predict every pair's change with a probe that never saw it (nor, by patient, its patient).

    Args:
        z: Features, [N, E].
        changes: Index into `CHANGES`, [N].
        patient_ids: One per pair.
        seed: Of the folds.
        by_patient: Keep patients whole; otherwise folds are stratified by change and split patients.
        folds: How many; fewer where a class or the patients do not suffice.
        penalty: Of the probe.

    Raises:
        EvaluationError: If fewer than two folds can be made.
    """
    smallest = len(set(patient_ids)) if by_patient else int(np.bincount(changes)[np.unique(changes)].min())
    folds = min(folds, smallest)
    if folds < 2:
        raise EvaluationError("Too few pairs for cross-validation; at least two patients and two per class.")
    fold_of = (
        patient_folds(patient_ids, folds, seed) if by_patient else stratified_folds(changes, folds, seed)
    )
    predicted = np.empty(len(z), dtype=np.int64)
    for fold in range(folds):
        held = fold_of == fold
        probe = fit_classes(z[~held], changes[~held], len(CHANGES), penalty)
        predicted[held] = probe.logits(z[held]).argmax(axis=1)
    return predicted


def change_prompts(name: str = "") -> PromptSet:
    """The packaged sentences, or those of another set.

    Raises:
        EvaluationError: If the set lacks the template of a change.
    """
    prompts = load_prompts(name or PROMPTS)
    missing = [change for change in CHANGES if change not in prompts.templates]
    if missing:
        raise EvaluationError(f"The prompt set {prompts.name!r} has no [[template]] {missing[0]!r}; add it.")
    return prompts


def change_sentences(finding: str, prompts: PromptSet | None = None) -> dict[str, tuple[str, ...]]:
    """Sentences that say a finding is improving, stable or worsening.

    >>> change_sentences("pleural effusion")["worsening"][0]
    'The pleural effusion has worsened.'
    """
    prompts = prompts or change_prompts()
    return {change: prompts.filled(change, finding) for change in CHANGES}


def zero_shot_change(
    system: Embedder, z: NDArray[Any], finding: str, prompts: PromptSet | None = None,
    pooling: Pooling | None = None,
) -> Floats:  # fmt: skip
    """Cosine of a pair's embedding to each change's pooled sentences, [N, 3].

    Args:
        system: A system with prior slots.
        z: From `pair_features`, [N, E].
        finding: In words, lower case.
        prompts: The sentences; None takes the packaged ones.
        pooling: How a change's sentences are pooled; None takes the set's own way.

    Raises:
        EvaluationError: If the system sees no priors, so that its embedding cannot say what changed.
    """
    if not sees_priors(system):
        raise EvaluationError("Zero-shot change needs a system with prior slots; use the probe for this one.")
    prompts = prompts or change_prompts()
    sentences = change_sentences(finding, prompts).values()
    return class_scores(z, [embed_prompts(system, some) for some in sentences], pooling or prompts.pooling)
