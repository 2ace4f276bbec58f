"""CheXpert 8x200: image-to-image and text-to-image retrieval over 1,600 images with one label each.

    image-retrieval/query.csv      Variable (class), Path     80 image queries
    text-retrieval/query.csv       Variable (class), Text     40 text queries, taken as they are
    image-retrieval/candidate.csv  CheXpert's columns         1,600 candidates, one positive label each

P@k (k = 5, 10, 50): mean over queries of the share of the top k whose only positive label is the query's
class. Strict mode hides candidates of the query's own patient (six query patients are also candidates).
Text to image may compare words and patches instead; two images have no words, and are compared as ever.
Intervals resample query patients; the text queries are resampled one by one.

References:
    ConVIRT (Zhang et al., 2020), data release; ALTA (arXiv:2506.08990), evaluation code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from radalign.data.sources.csv_rows import Row
from radalign.evaluate import chance
from radalign.evaluate.bootstrap import Resamples
from radalign.evaluate.comparison import Number, compare, mean_number
from radalign.evaluate.embeddings import Embedder, EvaluationError
from radalign.evaluate.protocols.chexpert import LABELS, positives
from radalign.evaluate.protocols.protocol import (
    Options,
    Protocol,
    compare_words,
    embed_frontals,
    frontal_studies,
    listed_rows,
)
from radalign.evaluate.provenance import sha256_of
from radalign.evaluate.ranking import Scores, dot_products, mixed, rank_scores
from radalign.evaluate.relevance import Relevance, SameGroup
from radalign.evaluate.results import Result, joined
from radalign.study import Study

KS = (5, 10, 50)


@dataclass(frozen=True)
class Lists:
    """The benchmark's three lists."""

    images: list[Study]
    image_classes: list[str]
    texts: list[str]
    text_classes: list[str]
    candidates: list[Study]
    candidate_classes: list[str]


def read(folder: Path) -> Lists:
    """Read the three lists.

    Raises:
        EvaluationError: If a list is empty, a label is none, a candidate has not exactly one positive label,
            or a class has no candidate.
    """
    queries = _rows(folder / "image-retrieval" / "query.csv", ("Variable", "Path"))
    texts = _rows(folder / "text-retrieval" / "query.csv", ("Variable", "Text"))
    found = listed_rows(folder / "image-retrieval" / "candidate.csv", ("Path", *LABELS))
    rows = [row for _, row in found]
    classes = [_one(positives(row, where), row["Path"]) for where, row in found]
    unknown = sorted({row["Variable"] for row in [*queries, *texts]} - set(classes))
    if unknown:
        raise EvaluationError(
            f"No candidate is positive for the query class {', '.join(unknown)}; check the lists."
        )
    return Lists(
        frontal_studies(row["Path"] for row in queries), [row["Variable"] for row in queries],
        [row["Text"] for row in texts], [row["Variable"] for row in texts],
        frontal_studies(row["Path"] for row in rows), classes,
    )  # fmt: skip


def run(systems: Mapping[str, Embedder], folder: Path, options: Options) -> Result:
    """Both retrievals of every system."""
    lists = read(folder)
    images: dict[str, NDArray[np.float32]] = {}
    pools: dict[str, NDArray[np.float32]] = {}
    for name, system in systems.items():
        images[name] = embed_frontals(system, lists.images, folder, options)
        pools[name] = embed_frontals(system, lists.candidates, folder, options)
    texts = {name: np.asarray(system.embed_texts(lists.texts)) for name, system in systems.items()}
    strict = options.mode == "strict"
    patients = [study.patient_id for study in lists.images]
    own_patient = SameGroup(patients, [study.patient_id for study in lists.candidates]) if strict else None
    image_right = SameGroup(lists.image_classes, lists.candidate_classes)
    text_right = SameGroup(lists.text_classes, lists.candidate_classes)
    by_image = {name: dot_products(images[name], pools[name]) for name in systems}
    by_text = {
        name: _asked(systems[name], texts[name], pools[name], lists, folder, options) for name in systems
    }
    return joined([
        _retrieval("image to image", by_image, image_right, own_patient, patients, lists, options),
        _retrieval("text to image", by_text, text_right, None, lists.texts, lists, options),
    ])  # fmt: skip


def _asked(
    system: Embedder, texts: NDArray[np.float32], pool: NDArray[np.float32], lists: Lists, folder: Path,
    options: Options,
) -> Scores:  # fmt: skip
    """Scores of the candidates for every text query, by the similarity that was asked for."""
    scores = dot_products(texts, pool)
    if options.similarity == "global":
        return scores
    local = compare_words(system, lists.candidates, folder, lists.texts, options).T
    return mixed(scores, local, options.similarity)


def _retrieval(
    task: str, scores: Mapping[str, Scores], right: Relevance, hidden: Relevance | None, witnesses: list[str],
    lists: Lists, options: Options,
) -> Result:  # fmt: skip
    """One task for every system; `witnesses` are what the bootstrap resamples (patients, or texts)."""
    numbers: dict[tuple[str, str], dict[tuple[str, str], Number]] = {}
    for name, rows in scores.items():
        ranked = rank_scores(rows, {"": right}, KS, hidden)[""]
        numbers[name, task] = {
            (f"P@{k}", ""): mean_number(ranked.precision(k), chance.precision(ranked, k)) for k in KS
        }
    measures, gaps = compare(numbers, Resamples(witnesses, options.resamples, options.seed))
    facts = {
        "candidates": len(lists.candidates), "image queries": len(lists.images),
        "text queries": len(lists.texts),
        "resampled": "query patients, and text queries one by one",
        "similarity": options.similarity,
        "candidates_sha256": sha256_of("\n".join(s.id for s in lists.candidates)),
    }  # fmt: skip
    return Result(PROTOCOL.name, options.mode, measures, gaps, facts)


def _rows(path: Path, needs: tuple[str, ...]) -> list[Row]:
    return [row for _, row in listed_rows(path, needs)]


def _one(labels: list[str], path: str) -> str:
    if len(labels) != 1:
        raise EvaluationError(
            f"The candidate {path} has {len(labels)} positive labels; 8x200 needs exactly one."
        )
    return labels[0]


PROTOCOL = Protocol(
    "chexpert-8x200",
    "CheXpert 8x200 retrieval",
    "image-retrieval/query.csv, image-retrieval/candidate.csv, text-retrieval/query.csv, and the images.",
    run,
    "Candidates of the query's own patient count.",
)
