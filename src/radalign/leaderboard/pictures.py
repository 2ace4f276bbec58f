"""What a gallery of a cell shows, as ids and scores: no image and no sentence of a report is kept.

a finding's sentence ──> the nearest studies            an image ──> the nearest reports
a system with a trained local objective: a sentence's heat over one frontal view
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from radalign.evaluate.embeddings import StudyEmbeddings
from radalign.evaluate.findings import finding_truth
from radalign.evaluate.grounding import phrase_heatmap
from radalign.evaluate.prompt_sets import FindingPrompts, load_prompts
from radalign.leaderboard.plan import Judging
from radalign.leaderboard.remember import Remembering
from radalign.study import Manifest
from radalign.train.record import write_json

QUERIES, HITS, REPORTS, HEAT_CELLS = 4, 5, 3, 32


def write_pictures(
    path: Path, held: StudyEmbeddings | None, system: Remembering, manifest: Manifest, judging: Judging
) -> None:
    """Write the hits of some queries and the heat of some sentences; nothing for a system without texts."""
    if held is None or held.text is None:
        return
    findings = load_prompts(judging.prompts).findings
    asked = [f for f in findings if (finding_truth(held.labels, f.labels) == 1).any()][:QUERIES]
    texts = [_by_text(f, held, system) for f in asked]
    images = [_by_image(row, held) for row in _spread(len(held), REPORTS)]
    heat = _heat(asked, held, system, manifest) if sees_words(system.recipe) else []
    write_json(path, {"by_text": texts, "by_image": images, "heat": heat})


def sees_words(recipe: Any) -> bool:
    """Whether a recipe trains local embeddings; without, their heat means nothing."""
    return any("local" in name and weight for name, weight in recipe.objectives.items())


def _by_text(finding: FindingPrompts, held: StudyEmbeddings, system: Remembering) -> dict[str, Any]:
    sentence = finding.present[0]
    scores = held.image @ system.embed_texts([sentence])[0]
    truth = finding_truth(held.labels, finding.labels)
    best = np.argsort(-scores, kind="stable")[:HITS]
    hits = [
        {"study": held.study_ids[i], "score": float(scores[i]), "right": bool(truth[i] == 1)} for i in best
    ]
    return {"finding": finding.name, "sentence": sentence, "share": float((truth == 1).mean()), "hits": hits}


def _by_image(row: int, held: StudyEmbeddings) -> dict[str, Any]:
    assert held.text is not None
    scores = held.text @ held.image[row]
    best = np.argsort(-scores, kind="stable")[:REPORTS]
    rank = 1 + int((scores > scores[row]).sum())
    hits = [{"study": held.study_ids[i], "score": float(scores[i]), "right": bool(i == row)} for i in best]
    return {"study": held.study_ids[row], "rank": rank, "of": len(held), "hits": hits}


def _heat(
    findings: Sequence[FindingPrompts], held: StudyEmbeddings, system: Remembering, manifest: Manifest
) -> list[dict[str, Any]]:
    shown = []
    for finding in findings:
        if finding.name == "normal":
            continue
        rows = np.flatnonzero(finding_truth(held.labels, finding.labels) == 1)
        studies = [manifest[held.study_ids[i]] for i in rows]
        study = next((s for s in studies if s.frontal is not None), None)
        if study is None or study.frontal is None:
            continue
        alone = replace(study, views=(study.frontal,), prior_study_id="")
        heat = phrase_heatmap(system, alone, manifest, finding.present[0])
        shown.append({"study": study.id, "sentence": finding.present[0], "heat": _coarse(heat)})
    return shown


def _coarse(heat: Any) -> list[list[float]]:
    """The mean of the heat on a grid of at most 32 x 32."""
    rows, columns = (np.array_split(np.arange(n), min(n, HEAT_CELLS)) for n in heat.shape)
    return [[round(float(heat[np.ix_(r, c)].mean()), 4) for c in columns] for r in rows]


def _spread(count: int, wanted: int) -> list[int]:
    """Rows spread evenly.

    >>> _spread(10, 3)
    [1, 5, 8]
    """
    return sorted({int((i + 0.5) * count / wanted) for i in range(wanted)})
