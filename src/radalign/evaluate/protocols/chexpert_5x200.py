"""CheXpert 5x200: image-to-text retrieval and 5-way zero-shot over 1,000 studies of five classes.

    chexpert_5x200.csv    Path, CheXpert's label columns, Report Impression

Image to text: 1,000 images, 1,000 cleaned impressions; P@k (k = 5, 10, 100) is the share of the top k reports
of the image's class. Zero-shot: GLoRIA's 489 prompts, cleaned; class vector = unit(mean of the
class's prompts); accuracy of the best cosine. Either may compare words and patches instead, or both.

| | paper | strict |
|---|---|---|
| class of a row | image to text: by row order, equal blocks | from the label columns |
| own report | a candidate, and counts | hidden, with every report of the own patient |

References:
    GLoRIA (Huang et al., ICCV 2021); ALTA (arXiv:2506.08990), evaluation code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from radalign.evaluate import chance, metrics
from radalign.evaluate.bootstrap import Resamples
from radalign.evaluate.comparison import Name, Number, compare, mean_number
from radalign.evaluate.embeddings import Embedder, EvaluationError
from radalign.evaluate.findings import embed_prompts
from radalign.evaluate.pooling import class_scores, pooled_columns
from radalign.evaluate.prompt_sets import PromptSet, load_prompts
from radalign.evaluate.protocols.chexpert import FIVE, positives
from radalign.evaluate.protocols.gloria_text import gloria_clean
from radalign.evaluate.protocols.protocol import (
    Options,
    Protocol,
    compare_words,
    embed_frontals,
    first_file,
    frontal_studies,
    listed_rows,
)
from radalign.evaluate.provenance import sha256_of
from radalign.evaluate.ranking import Scores, dot_products, mixed, rank_scores
from radalign.evaluate.relevance import SameGroup
from radalign.evaluate.results import Result
from radalign.evaluate.statistic import Floats
from radalign.study import Study

KS = (5, 10, 100)
FILES = ("chexpert_5x200.csv", "chexpert-5x200.csv")
IMPRESSION = "Report Impression"


@dataclass(frozen=True)
class Cases:
    """The 1,000 studies in the file's order.

    Args:
        studies: One frontal view each.
        reports: Cleaned impressions.
        classes: Index into `FIVE`, from the columns.
        blocks: Index by row order, five equal blocks.
    """

    studies: list[Study]
    reports: list[str]
    classes: NDArray[np.int64]
    blocks: NDArray[np.int64]


def read(folder: Path) -> Cases:
    """Read the list.

    Raises:
        EvaluationError: If there is no row, a label is none, or a row has not exactly one of the five.
    """
    found = listed_rows(first_file(folder, FILES), ("Path", IMPRESSION, *FIVE))
    rows = [row for _, row in found]
    classes = [_class_of(row, where) for where, row in found]
    return Cases(
        frontal_studies(row["Path"] for row in rows),
        [gloria_clean(row[IMPRESSION]) for row in rows],
        np.array(classes, dtype=np.int64),
        np.arange(len(rows)) * len(FIVE) // len(rows),
    )


def run(systems: Mapping[str, Embedder], folder: Path, options: Options) -> Result:
    """Retrieval and zero-shot of every system."""
    cases, prompts = read(folder), load_prompts(options.prompts or "gloria-classes")
    missing = [name for name in FIVE if name not in prompts.classes]
    if missing:
        raise EvaluationError(f"The prompt set {prompts.name!r} has no [[class]] {missing[0]!r}; add it.")
    numbers: dict[tuple[str, str], dict[Name, Number]] = {}
    for name, system in systems.items():
        images = embed_frontals(system, cases.studies, folder, options)
        reports = np.asarray(system.embed_texts(cases.reports), np.float32)
        scores = dot_products(images, reports)
        if options.similarity != "global":
            local = compare_words(system, cases.studies, folder, cases.reports, options)
            scores = mixed(scores, local, options.similarity)
        numbers[name, "image to text"] = _retrieval(scores, cases, options)
        asked = _class_scores(system, images, cases, prompts, folder, options)
        numbers[name, "zero-shot, 5 classes"] = _zero_shot(asked, cases)
    patients = [study.patient_id for study in cases.studies]
    measures, gaps = compare(numbers, Resamples(patients, options.resamples, options.seed))
    facts = {
        "studies": len(patients), "patients": len(set(patients)),
        "similarity": options.similarity,
        "pooling": (options.pooling or prompts.pooling).value, "prompts": prompts.name,
        "prompts_sha256": prompts.sha256, "prompts_source": prompts.source,
        "list_sha256": sha256_of("\n".join(study.id for study in cases.studies)),
    }  # fmt: skip
    return Result(PROTOCOL.name, options.mode, measures, gaps, facts, notes=_notes(cases, options))


def _retrieval(scores: Scores, cases: Cases, options: Options) -> dict[Name, Number]:
    classes = (cases.blocks if options.mode == "paper" else cases.classes).tolist()
    patients = [study.patient_id for study in cases.studies]
    hidden = SameGroup(patients, patients) if options.mode == "strict" else None
    ranked = rank_scores(scores, {"": SameGroup(classes, classes)}, KS, hidden)[""]
    return {(f"P@{k}", ""): mean_number(ranked.precision(k), chance.precision(ranked, k)) for k in KS}


def _class_scores(
    system: Embedder, images: NDArray[np.float32], cases: Cases, prompts: PromptSet, folder: Path,
    options: Options,
) -> Floats:  # fmt: skip
    """Scores of every image for the five classes, [N, 5], by the similarity that was asked for."""
    pooling = options.pooling or prompts.pooling
    cleaned = [[gloria_clean(p) for p in prompts.classes[name]] for name in FIVE]
    scores = class_scores(images, [embed_prompts(system, sentences) for sentences in cleaned], pooling)
    if options.similarity == "global":
        return scores
    every = [sentence for sentences in cleaned for sentence in sentences]
    words = compare_words(system, cases.studies, folder, every, options)
    local = pooled_columns(words, [len(sentences) for sentences in cleaned], pooling)
    return local if options.similarity == "local" else (scores + local) / 2


def _zero_shot(scores: Floats, cases: Cases) -> dict[Name, Number]:
    predicted = scores.argmax(axis=1)
    found: dict[Name, Number] = {
        ("accuracy", ""): Number(metrics.accuracy(predicted, cases.classes), 1 / len(FIVE))
    }
    found["macro F1", ""] = Number(metrics.macro_f1(predicted, cases.classes))
    for c, name in enumerate(FIVE):
        if (cases.classes == c).any():
            found["AUC", name] = Number(metrics.auc(scores[:, c], cases.classes == c), 0.5)
    return found


def _class_of(row: Mapping[str, str], where: str) -> int:
    present = [name for name in positives(row, where) if name in FIVE]
    if len(present) != 1:
        raise EvaluationError(
            f"{row['Path']} has {len(present)} of the five labels; 5x200 needs exactly one (build it again)."
        )
    return FIVE.index(present[0])


def _notes(cases: Cases, options: Options) -> tuple[str, ...]:
    moved = int((cases.blocks != cases.classes).sum())
    notes = []
    if moved:
        notes.append(
            f"{moved} rows are not in the block of their label; paper mode counts them by row order."
        )
    if options.mode == "paper":
        notes.append("A study's own report is among the candidates and counts.")
    return tuple(notes)


PROTOCOL = Protocol(
    "chexpert-5x200",
    "CheXpert 5x200 image-to-text and zero-shot",
    "chexpert_5x200.csv (Path, the label columns, Report Impression) and the images.",
    run,
    "Classes by row order, own report counts.",
)
