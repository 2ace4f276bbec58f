"""RSNA pneumonia, zero-shot: one present and one absent sentence, AUC, accuracy and F1.

    test.txt   `<path.dcm> <0|1>` per line     3,000 images
    val.txt    the same                        1,500 images, for strict mode's threshold

Score = sigmoid(cosine to present - cosine to absent), no temperature.

| | paper | strict |
|---|---|---|
| threshold | best F1 on nine tenths of the *test* set, for each tenth | best F1 on val.txt |
| accuracy, F1 | mean over the ten tenths | on the test set, with intervals |

References:
    ALTA (arXiv:2506.08990), evaluation code: StratifiedKFold(10, shuffle=True, random_state=0), thresholds
    0, 0.005, ..., 1, ties to the smallest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from radalign.evaluate import metrics
from radalign.evaluate.bootstrap import Resamples
from radalign.evaluate.comparison import Name, Number, compare
from radalign.evaluate.embeddings import Embedder, EvaluationError, StudyEmbeddings
from radalign.evaluate.findings import pair_cosines, prompt_texts, prompted
from radalign.evaluate.folds import stratified_folds
from radalign.evaluate.grounding import LocalSystem
from radalign.evaluate.local_similarity import with_local
from radalign.evaluate.prompt_sets import PromptSet, load_prompts
from radalign.evaluate.protocols.protocol import (
    Options,
    Protocol,
    embed_frontals,
    first_file,
    frontal_studies,
    need_apart,
)
from radalign.evaluate.results import Measure, Result
from radalign.evaluate.statistic import Floats
from radalign.evaluate.thresholds import ALTA_GRID, best_threshold
from radalign.study import Manifest, Study

TEST_FILES = ("test.txt", "rsna_test.txt", "stage_2_test.txt")
VAL_FILES = ("val.txt", "rsna_val.txt", "valid.txt")
PROMPTS = "rsna-pneumonia"
TASK = "zero-shot, pneumonia"


def read(path: Path) -> tuple[list[Study], NDArray[np.bool_]]:
    """Read a list of `<path> <0|1>` lines; spaces in the path and at the line's end are fine.

    Raises:
        EvaluationError: If a line does not end in 0 or 1, or the list is empty.
    """
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    cells = [line.rsplit(maxsplit=1) for line in lines]
    wrong = next((line for line, cell in zip(lines, cells, strict=True) if cell[-1] not in ("0", "1")), None)
    if wrong is not None or not cells:
        raise EvaluationError(
            f"{path}: the line {wrong!r} is not `<path> <0|1>`; use the benchmark's own list."
        )
    return frontal_studies(cell[0] for cell in cells), np.array([cell[1] == "1" for cell in cells])


def run(systems: Mapping[str, Embedder], folder: Path, options: Options) -> Result:
    """AUC, accuracy and F1 of every system.

    Raises:
        EvaluationError: If a list is missing, is wrong or shows one answer only, or strict mode refuses it.
    """
    studies, present = _with_both_answers(first_file(folder, TEST_FILES))
    strict = options.mode == "strict"
    tuning = _with_both_answers(first_file(folder, VAL_FILES)) if strict else None
    if tuning is not None:
        need_apart((s.patient_id for s in tuning[0]), (s.patient_id for s in studies), folder)
    numbers: dict[tuple[str, str], dict[Name, Number]] = {}
    measures: list[Measure] = []
    thresholds: dict[str, float] = {}
    for name, system in systems.items():
        scores = pneumonia_scores(system, studies, folder, options)
        found: dict[Name, Number] = {("AUC", ""): Number(metrics.auc(scores, present), 0.5)}
        if tuning is not None:
            threshold = best_threshold(pneumonia_scores(system, tuning[0], folder, options), tuning[1])
            thresholds[name] = threshold
            found |= _thresholded(scores > threshold, present)
        else:
            measures += [
                Measure(name, TASK, metric, value, n=len(studies), patients=len(studies))
                for metric, value in ten_fold(scores, present).items()
            ]
        numbers[name, TASK] = found
    patients = [study.patient_id for study in studies]
    compared, gaps = compare(numbers, Resamples(patients, options.resamples, options.seed))
    prompts = pneumonia_prompts(options.prompts)
    facts = {
        "studies": len(studies), "patients": len(set(patients)), "present": int(present.sum()),
        "prompts": prompts.name, "prompts_sha256": prompts.sha256, "prompts_source": prompts.source,
        "pooling": (options.pooling or prompts.pooling).value, "similarity": options.similarity,
        "thresholds": thresholds,
    }  # fmt: skip
    return Result(PROTOCOL.name, options.mode, (*compared, *measures), gaps, facts, notes=_notes(strict))


def _with_both_answers(path: Path) -> tuple[list[Study], NDArray[np.bool_]]:
    studies, present = read(path)
    if present.all() or not present.any():
        raise EvaluationError(
            f"All {len(present)} images of {path} are {'positive' if present.any() else 'negative'}, and AUC "
            "and thresholds need both; use the benchmark's own list."
        )
    return studies, present


def pneumonia_scores(system: Embedder, studies: list[Study], folder: Path, options: Options) -> Floats:
    """sigmoid(cosine to "There is pneumonia" - cosine to "There is no pneumonia"), [N]."""
    prompts = pneumonia_prompts(options.prompts)
    images = embed_frontals(system, studies, folder, options)
    ids = tuple(study.id for study in studies)
    patients = tuple(study.patient_id for study in studies)
    given = StudyEmbeddings(images, None, ids, patients, tuple(study.labels for study in studies))
    if options.similarity != "global":
        local, manifest = cast("LocalSystem", system), Manifest({s.id: s for s in studies}.values(), folder)
        given = with_local(local, given, manifest, options.progress, prompt_texts(prompts))
    asked = prompted(system, given, prompts, similarity=options.similarity)
    cosines = pair_cosines(asked, prompts.findings[0].name, options.pooling or prompts.pooling)
    scores: Floats = 1 / (1 + np.exp(cosines[:, 1] - cosines[:, 0]))
    return scores


def pneumonia_prompts(name: str = "") -> PromptSet:
    """The prompts of pneumonia: the protocol's own, or those of another set that asks for it.

    Raises:
        EvaluationError: If the set has no finding of that name.
    """
    prompts = load_prompts(name or PROMPTS)
    asked = tuple(f for f in prompts.findings if f.name.lower() == "pneumonia")
    if len(asked) != 1:
        raise EvaluationError(
            f"The prompt set {prompts.name!r} has no finding `pneumonia`; add one, or another set."
        )
    return replace(prompts, findings=asked)


def ten_fold(scores: NDArray[Any], present: NDArray[np.bool_], folds: int = 10) -> dict[str, float]:
    """Accuracy and F1 with each tenth's threshold chosen on the other nine: it uses test labels.

    Args:
        scores: [N] in 0..1.
        present: [N].
        folds: How many parts.

    Returns:
        `accuracy` and `F1`, each the mean over the folds.
    """
    fold_of = stratified_folds(present, folds, seed=0)
    accuracy, f1 = [], []
    for fold in range(folds):
        held = fold_of == fold
        guess = scores[held] > best_threshold(scores[~held], present[~held], "f1", ALTA_GRID)
        accuracy.append(metrics.accuracy(guess, present[held]).value)
        f1.append(metrics.f1(guess, present[held]).value)
    return {"accuracy": float(np.mean(accuracy)), "F1": float(np.mean(f1))}


def _thresholded(guess: NDArray[np.bool_], present: NDArray[np.bool_]) -> dict[Name, Number]:
    return {
        ("accuracy", ""): Number(metrics.accuracy(guess, present)),
        ("F1", ""): Number(metrics.f1(guess, present)),
        ("MCC", ""): Number(metrics.mcc(guess, present), 0.0),
    }


def _notes(strict: bool) -> tuple[str, ...]:
    if strict:
        return ("The threshold comes from the validation list.",)
    return ("Accuracy and F1 use thresholds chosen on test labels, as published; they are optimistic.",)


PROTOCOL = Protocol(
    "rsna",
    "RSNA pneumonia zero-shot",
    "test.txt and val.txt (`<path.dcm> <0|1>` per line) and the DICOM files.",
    run,
    "Thresholds for accuracy and F1 are chosen on the test set by ten-fold cross-validation.",
)
