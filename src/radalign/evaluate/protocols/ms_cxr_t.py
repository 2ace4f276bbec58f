"""MS-CXR-T: is a finding improving, stable or worsening between two frontal radiographs?

    MS_CXR_T_temporal_image_classification*.csv    dicom_id, previous_dicom_id, subject_id,
                                                   <finding>_progression
    files/pNN/pNNNNNNNN/s.../<dicom_id>.jpg|.dcm|.png

A linear probe per finding in five-fold cross-validation; macro accuracy = mean over the three changes of the
share found; five draws of the folds give mean and SD. Systems with prior slots are also asked in words.

| | paper | strict |
|---|---|---|
| folds | by pair, stratified | by patient |
| reported | mean and SD over draws | also an interval by patient |

The papers give mean and SD without saying over what; draws of the folds are this project's reading.

References:
    Bannur et al., BioViL-T, CVPR 2023; MS-CXR-T 1.0.0 (PhysioNet).
"""

from __future__ import annotations

from collections.abc import Mapping
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
from radalign.evaluate.comparison import Name, Number, compare
from radalign.evaluate.embeddings import Embedder, EvaluationError
from radalign.evaluate.grounding import LocalSystem
from radalign.evaluate.local_similarity import image_scores
from radalign.evaluate.pooling import pooled_columns
from radalign.evaluate.protocols.protocol import Options, Protocol
from radalign.evaluate.results import Gap, Measure, Result
from radalign.evaluate.statistic import Floats, average_of
from radalign.study import Manifest, Study, View

FINDINGS = ("consolidation", "pleural_effusion", "pneumonia", "pneumothorax", "edema")
SUFFIXES = (".jpg", ".dcm", ".png")
DRAWS = 5
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
    parts = [_finding(systems, manifest, f, p, options) for f, p in pairs.items()]
    measures = [m for part, _ in parts for m in part]
    measures += [_macro(name, measures, task, options) for name, task in _rows(measures)]
    facts: dict[str, Any] = {"pairs": {f: len(p.studies) for f, p in pairs.items()}, "draws": DRAWS}
    if reads:
        pooling = (options.pooling or prompts.pooling).value
        facts |= prompts.facts | {"pooling": pooling, "similarity": options.similarity}
    return Result(
        PROTOCOL.name, options.mode, tuple(measures), tuple(g for _, gaps in parts for g in gaps), facts
    )


def _finding(
    systems: Mapping[str, Embedder], manifest: Manifest, finding: str, pairs: Pairs, options: Options
) -> tuple[list[Measure], tuple[Gap, ...]]:
    patients = [study.patient_id for study in pairs.studies]
    numbers: dict[tuple[str, str], dict[Name, Number]] = {}
    spread: list[Measure] = []
    for name, system in systems.items():
        z = pair_features(system, pairs.studies, manifest, options.progress)
        strict = options.mode == "strict"
        draws = [cross_validated(z, pairs.changes, patients, options.seed + d, strict) for d in range(DRAWS)]
        each = [metrics.macro_accuracy(draw, pairs.changes) for draw in draws]
        numbers[name, "change, probe"] = {("macro accuracy", finding): Number(average_of(each), CHANCE)}
        deviation = float(np.std([s.value for s in each], ddof=1))
        spread.append(
            Measure(name, "change, probe", "SD of macro accuracy", deviation, n=DRAWS, group=finding)
        )
        if sees_priors(system):
            predicted = _said(system, z, finding.replace("_", " "), pairs, manifest, options).argmax(axis=1)
            asked = Number(metrics.macro_accuracy(predicted, pairs.changes), CHANCE)
            numbers[name, "change, zero-shot"] = {("macro accuracy", finding): asked}
    measures, gaps = compare(numbers, Resamples(patients, options.resamples, options.seed))
    if options.mode == "paper":
        measures = tuple(replace(m, low=None, high=None) for m in measures)
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


def _rows(measures: list[Measure]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((m.system, m.task) for m in measures))


def _macro(name: str, measures: list[Measure], task: str, options: Options) -> Measure:
    """Mean over the findings; without an interval, because the findings share patients."""
    values = [m for m in measures if (m.system, m.task, m.metric) == (name, task, "macro accuracy")]
    return Measure(
        name, task, "macro accuracy", float(np.mean([m.value for m in values])), n=sum(m.n for m in values),
        chance=CHANCE,
    )  # fmt: skip


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
