"""Learning from labels on any manifest: linear probe or fine-tuning with shares of the training patients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from radalign.evaluate.embeddings import EvaluationError, Progress, StudyEmbeddings, embed
from radalign.evaluate.fine_tune import FineTuneSettings, Labelled, SquareFile, fine_tune_learner
from radalign.evaluate.probing import (
    Learner,
    Parts,
    ProbeSettings,
    evaluate_learners,
    evaluate_probe,
    label_table,
)
from radalign.evaluate.results import Result
from radalign.study import Manifest

SPLITS = ("train", "validate", "test")


def embed_parts(system: Any, manifest: Manifest, progress: Progress | None = None) -> Parts:
    """Embed the images of the three splits.

    Raises:
        EvaluationError: If a split is missing.
    """
    missing = [split for split in SPLITS if not len(manifest.where(split=split))]
    if missing:
        raise EvaluationError(f"Learning needs the split {missing[0]!r}; split with `radalign data split`.")
    return Parts(*(embed(system, manifest.where(split=s), progress, reports=False) for s in SPLITS))


def learn_from_labels(
    systems: Mapping[str, Any], manifest: Manifest, settings: ProbeSettings,
    tune: FineTuneSettings | None = None, progress: Progress | None = None,
) -> Result:  # fmt: skip
    """Probe every system on its frozen embeddings, or fine-tune it when `tune` is given.

    Raises:
        EvaluationError: See `evaluate_learners`.
    """
    named = {name: embed_parts(system, manifest, progress) for name, system in systems.items()}
    if tune is None:
        return evaluate_probe(named, settings, progress)
    parts = next(iter(named.values()))
    with SquareFile() as file:
        learners = {n: _tuned(s, parts, manifest, settings, tune, file, progress) for n, s in systems.items()}
        result = evaluate_learners("fine-tuning", learners, parts, settings, progress)
    return replace(
        result, settings=dict(result.settings) | {"epochs": tune.epochs, "batch_size": tune.batch_size}
    )


def _tuned(
    system: Any, parts: Parts, manifest: Manifest, settings: ProbeSettings, tune: FineTuneSettings,
    file: SquareFile, progress: Progress | None,
) -> Learner:  # fmt: skip
    def read(part: StudyEmbeddings) -> Labelled:
        studies = [manifest[study_id] for study_id in part.study_ids]
        return file.read(system, studies, manifest, label_table(part, settings.labels), progress)

    return fine_tune_learner(system, read(parts.train), read(parts.validate), read(parts.test), tune)
