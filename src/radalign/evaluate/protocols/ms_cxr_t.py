"""MS-CXR-T: is a finding improving, stable or worsening between two frontal radiographs?

    MS_CXR_T_temporal_image_classification*.csv    dicom_id, previous_dicom_id, subject_id,
                                                   <finding>_progression
    files/pNN/pNNNNNNNN/s.../<dicom_id>.jpg|.dcm|.png

A linear probe per finding in five-fold cross-validation; macro accuracy = mean over the three changes of the
share found; five draws of the folds give mean and SD. Systems with prior slots are also asked in words.

| | paper | strict |
|---|---|---|
| folds | by pair, stratified | by patient |
| reported | mean and SD over draws | also an interval, and differences, by patient |

The mean over the findings has the SD of the draws' means. Its interval resamples the patients of all pairs,
since the findings share patients.

The papers give mean and SD without saying over what; draws of the folds are this project's reading.

References:
    Bannur et al., BioViL-T, CVPR 2023; MS-CXR-T 1.0.0 (PhysioNet).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from radalign.data.sources.csv_rows import Row, read_csv
from radalign.evaluate import metrics
from radalign.evaluate.bootstrap import Resamples
from radalign.evaluate.change import (
    CHANGES,
    change_prompts,
    change_sentences,
    cross_validated,
    pair_features,
    sees_priors,
    zero_shot_change,
)
from radalign.evaluate.comparison import Cell, Name, Number, compare, side_by_side
from radalign.evaluate.embeddings import Embedder, EvaluationError
from radalign.evaluate.grounding import LocalSystem
from radalign.evaluate.local_similarity import image_scores
from radalign.evaluate.pooling import pooled_columns
from radalign.evaluate.protocols.protocol import Options, Protocol
from radalign.evaluate.results import DEVIATION, Gap, Measure, Result
from radalign.evaluate.statistic import Floats, Statistic, average_of
from radalign.study import Manifest, Study, View

FINDINGS = ("consolidation", "pleural_effusion", "pneumonia", "pneumothorax", "edema")
SUFFIXES = (".jpg", ".dcm", ".png")
DRAWS = 5
PROBE, ASKED = "change, probe", "change, zero-shot"
METRIC = "macro accuracy"
CHANCE = 1 / len(CHANGES)


@dataclass(frozen=True)
class Pairs:
    """The pairs that are annotated for one finding.

    Args:
        studies: The current studies; priors are in the manifest.
        changes: Index into `CHANGES`, [N].
    """

    studies: list[Study]
    changes: NDArray[np.int64]


def read(folder: Path) -> tuple[Manifest, dict[str, Pairs]]:
    """Read the table, and find the images.

    Raises:
        EvaluationError: If the table or an image is missing, or a change is not one of the three.
    """
    tables = sorted(folder.glob("MS_CXR_T_temporal_image_classification*.csv"))
    if not tables:
        raise EvaluationError(f"{folder} holds no MS_CXR_T_temporal_image_classification*.csv; put it there.")
    rows = list(read_csv(tables[0], needs=("dicom_id", "previous_dicom_id", "subject_id")))
    files = {path.stem: path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES}
    studies: dict[str, Study] = {}
    found: dict[str, tuple[list[str], list[int]]] = {finding: ([], []) for finding in FINDINGS}
    for row in rows:
        pair = _add_pair(row, files, folder, studies)
        for finding, (ids, changes) in found.items():
            if row.get(f"{finding}_progression"):
                ids.append(pair)
                changes.append(_change(row[f"{finding}_progression"], row["dicom_id"]))
    pairs = {
        f: Pairs([studies[i] for i in ids], np.array(changes, dtype=np.int64))
        for f, (ids, changes) in found.items()
    }
    if not any(len(p.studies) for p in pairs.values()):
        columns = ", ".join(f"{finding}_progression" for finding in FINDINGS)
        raise EvaluationError(f"{tables[0]} says of no pair how it changed; it needs one of {columns}.")
    return Manifest(studies.values(), folder), {f: p for f, p in pairs.items() if len(p.studies)}


def run(systems: Mapping[str, Embedder], folder: Path, options: Options) -> Result:
    """Probe (and ask) every system about every finding."""
    manifest, pairs = read(folder)
    prompts = change_prompts(options.prompts)
    reads = any(sees_priors(system) for system in systems.values())
    _need_readers(reads, options)
    answers = {f: _asked(systems, manifest, f, p, options) for f, p in pairs.items()}
    parts = [_compared(*_of_finding(f, given), given.patients, options) for f, given in answers.items()]
    parts.append(_compared(*_over_findings(list(answers.values())), options))
    measures = tuple(m for found, _ in parts for m in found)
    gaps = tuple(g for _, differences in parts for g in differences)
    facts: dict[str, Any] = {"pairs": {f: len(p.studies) for f, p in pairs.items()}, "draws": DRAWS}
    if reads:
        pooling = (options.pooling or prompts.pooling).value
        facts |= prompts.facts | {"pooling": pooling, "similarity": options.similarity}
    return Result(PROTOCOL.name, options.mode, measures, gaps, facts)


@dataclass(frozen=True)
class Answers:
    """What the systems said of one finding's pairs.

    Args:
        accuracy: By system and task, the macro accuracy; of a probe, the mean over the draws of its folds.
        draws: By the same, the macro accuracy of every draw, where there are draws.
        patients: One per pair.
    """

    accuracy: dict[Cell, Statistic]
    draws: dict[Cell, list[float]]
    patients: list[str]


def _asked(
    systems: Mapping[str, Embedder], manifest: Manifest, finding: str, pairs: Pairs, options: Options
) -> Answers:
    patients = [study.patient_id for study in pairs.studies]
    found = Answers({}, {}, patients)
    for name, system in systems.items():
        z = pair_features(system, pairs.studies, manifest, options.progress)
        strict = options.mode == "strict"
        draws = [cross_validated(z, pairs.changes, patients, options.seed + d, strict) for d in range(DRAWS)]
        each = [metrics.macro_accuracy(draw, pairs.changes) for draw in draws]
        found.accuracy[name, PROBE] = average_of(each)
        found.draws[name, PROBE] = [s.value for s in each]
        if sees_priors(system):
            predicted = _said(system, z, finding.replace("_", " "), pairs, manifest, options).argmax(axis=1)
            found.accuracy[name, ASKED] = metrics.macro_accuracy(predicted, pairs.changes)
    return found


def _of_finding(finding: str, given: Answers) -> tuple[dict[Cell, dict[Name, Number]], list[Measure]]:
    """The numbers of one finding, and their standard deviations over the draws."""
    numbers = {cell: {(METRIC, finding): Number(s, CHANCE)} for cell, s in given.accuracy.items()}
    return numbers, [_spread(cell, values, finding) for cell, values in given.draws.items()]


def _over_findings(
    answers: Sequence[Answers],
) -> tuple[dict[Cell, dict[Name, Number]], list[Measure], list[str]]:
    """The means over the findings, their deviations over the draws, and the patients of all pairs."""
    together, patients = side_by_side([(given.accuracy, given.patients) for given in answers])
    numbers: dict[Cell, dict[Name, Number]] = {}
    for cell, each in together.items():
        mean = replace(average_of(each), known=sum(s.known for s in each))
        numbers[cell] = {(METRIC, ""): Number(mean, CHANCE)}
    means = {cell: np.mean([given.draws[cell] for given in answers], axis=0) for cell in answers[0].draws}
    return numbers, [_spread(cell, values.tolist(), "") for cell, values in means.items()], patients


def _spread(cell: Cell, values: Sequence[float], group: str) -> Measure:
    deviation = float(np.std(values, ddof=1))
    return Measure(*cell, f"{DEVIATION}{METRIC}", deviation, n=len(values), group=group)


def _compared(
    numbers: dict[Cell, dict[Name, Number]], spread: Sequence[Measure], patients: Sequence[str],
    options: Options,
) -> tuple[list[Measure], tuple[Gap, ...]]:  # fmt: skip
    """Measures and differences by patient; paper mode drops intervals and differences."""
    groups = {group for found in numbers.values() for _, group in found}
    resamples = Resamples(patients, options.resamples, options.seed)
    measures, gaps = compare(numbers, resamples, groups)
    if options.mode == "paper":
        measures, gaps = tuple(replace(m, low=None, high=None) for m in measures), ()
    return [*measures, *spread], gaps


def _said(
    system: Embedder, z: NDArray[np.float32], finding: str, pairs: Pairs, manifest: Manifest, options: Options
) -> Floats:
    """Scores of every pair for the three changes, [N, 3], by the similarity that was asked for."""
    prompts = change_prompts(options.prompts)
    scores = zero_shot_change(system, z, finding, prompts, options.pooling)
    if options.similarity == "global":
        return scores
    said = list(change_sentences(finding, prompts).values())
    ids = [study.id for study in pairs.studies]
    every = [sentence for some in said for sentence in some]
    words = image_scores(cast("LocalSystem", system), ids, manifest, every, options.progress)
    local = pooled_columns(words, [len(some) for some in said], options.pooling or prompts.pooling)
    return local if options.similarity == "local" else (scores + local) / 2


def _need_readers(reads: bool, options: Options) -> None:
    """Refuse options of the sentences when no system is asked any: they would do nothing.

    Raises:
        EvaluationError: If one is given.
    """
    if not reads and (options.prompts or options.pooling or options.similarity != "global"):
        raise EvaluationError(
            "No system here has prior slots, so none is asked in sentences; leave --prompts, --pooling and "
            "--similarity out."
        )


def _add_pair(row: Row, files: Mapping[str, Path], folder: Path, studies: dict[str, Study]) -> str:
    """Put a pair's two studies into `studies` and return the current one's id."""
    now, before = row["dicom_id"], row["previous_dicom_id"]
    missing = [name for name in (now, before) if name not in files]
    if missing:
        raise EvaluationError(
            f"The image {missing[0]} is not below {folder}; give the folder that holds files/."
        )
    pair = f"{now} after {before}"
    for study_id, image, prior in ((pair, now, before), (before, before, "")):
        view = View(str(files[image].relative_to(folder)), "FRONTAL", image)
        studies.setdefault(study_id, Study(study_id, row["subject_id"], (view,), prior_study_id=prior))
    return pair


def _change(text: str, dicom_id: str) -> int:
    if text.lower() not in CHANGES:
        raise EvaluationError(f"The change {text!r} of {dicom_id} is not one of {', '.join(CHANGES)}.")
    return CHANGES.index(text.lower())


PROTOCOL = Protocol(
    "ms-cxr-t",
    "MS-CXR-T change classification",
    "MS_CXR_T_temporal_image_classification*.csv, and the MIMIC-CXR images below.",
    run,
    "Folds by pair, so that a patient may be in training and test; no interval.",
)
