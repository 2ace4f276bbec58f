"""Report to report: does the findings section find its own impression, and reports of the same label?

    a manifest (Parquet) whose studies have both sections

Findings to impression: R@k, MRR and median rank of the own impression; `same text@k` counts any impression
with the same words. Report to report: P@k over the eight most frequent labels and `normal`, whole reports.
The local similarity lets the candidate's words attend to the query's words.

| | paper | strict |
|---|---|---|
| studies | all | the split `test` |
| reports of the own patient | candidates of P@k, the query itself aside | hidden |
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np

from radalign.data.agreement import normalise
from radalign.evaluate.bootstrap import Resamples
from radalign.evaluate.comparison import Name, Number, compare
from radalign.evaluate.embeddings import Embedder, EvaluationError
from radalign.evaluate.grounding import LocalSystem
from radalign.evaluate.local_similarity import text_scores
from radalign.evaluate.protocols.protocol import Options, Protocol
from radalign.evaluate.ranking import Scores, dot_products, mixed, rank_scores
from radalign.evaluate.relevance import Relevance, SameGroup, own
from radalign.evaluate.results import Result
from radalign.evaluate.retrieval import (
    RetrievalSettings,
    frequent_labels,
    label_numbers,
    pair_numbers,
    shared_label_relevances,
)
from radalign.study import Manifest, Study

SECTIONS, REPORTS = "findings to impression", "report to report"


def run(systems: Mapping[str, Embedder], path: Path, options: Options) -> Result:
    """Both tasks of every system; images are not looked at."""
    manifest = Manifest.read(path)
    split = manifest.where(split="test") if options.mode == "strict" else manifest
    studies = [s for s in split if s.report.findings.strip() and s.report.impression.strip()]
    if len(studies) < 2:
        raise EvaluationError(
            f"{path} has {len(studies)} studies with findings and impression here; two are needed."
        )
    numbers: dict[tuple[str, str], dict[Name, Number]] = {}
    for name, system in systems.items():
        numbers[name, SECTIONS] = _sections(system, studies, options)
        labelled = _reports(system, studies, options)
        if labelled:
            numbers[name, REPORTS] = labelled
    patients = [study.patient_id for study in studies]
    measures, gaps = compare(numbers, Resamples(patients, options.resamples, options.seed))
    facts = {"studies": len(studies), "patients": len(set(patients)), "similarity": options.similarity}
    return Result(PROTOCOL.name, options.mode, measures, gaps, facts)


def _sections(system: Embedder, studies: list[Study], options: Options) -> dict[Name, Number]:
    findings, impressions = [s.report.findings for s in studies], [s.report.impression for s in studies]
    same = [normalise(s.report.impression) for s in studies]
    right: dict[str, Relevance] = {"own": own(len(studies)), "same": SameGroup(same, same)}
    settings = RetrievalSettings()
    ranked = rank_scores(_scores(system, findings, impressions, options), right, settings.recall_ks)
    return pair_numbers(ranked, settings.recall_ks)


def _reports(system: Embedder, studies: list[Study], options: Options) -> dict[Name, Number]:
    positives = [frozenset(s.positives) for s in studies]
    alike = shared_label_relevances(positives, frequent_labels(positives))
    if not alike:
        return {}
    bodies = [s.report.body for s in studies]
    patients = [s.patient_id for s in studies]
    hidden = SameGroup(patients, patients) if options.mode == "strict" else own(len(studies))
    settings = RetrievalSettings()
    scores = _scores(system, bodies, bodies, options)
    return label_numbers(rank_scores(scores, alike, settings.precision_ks, hidden, True), settings)


def _scores(system: Embedder, queries: list[str], candidates: list[str], options: Options) -> Scores:
    """Scores of the candidates for every query, by the similarity that was asked for."""
    left = np.asarray(system.embed_texts(queries), np.float32)
    right = left if queries is candidates else np.asarray(system.embed_texts(candidates), np.float32)
    scores = dot_products(left, right)
    if options.similarity == "global":
        return scores
    local = text_scores(cast("LocalSystem", system), queries, candidates, options.progress)
    return mixed(scores, local, options.similarity)


PROTOCOL = Protocol(
    "report-to-report",
    "CXR report-to-report retrieval",
    "A manifest whose studies have findings and impression.",
    run,
    "Every study counts, and other reports of the own patient are candidates.",
)
