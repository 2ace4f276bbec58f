"""Scores of a few images against a few texts, many times over: what a probe asks of a system.

    groups of (study ids, texts) ──embed each image and text once──> one small matrix per group

Global: cosine. Local: patches and words (`local_similarity`), computed for a batch of groups at a time, so
that memory does not grow with the number of groups. Both: their mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radalign.evaluate.embeddings import Progress
from radalign.evaluate.local_similarity import local_scores, patches_of, scales_of, words_of
from radalign.study import Manifest

Scores = NDArray[np.float32]
GROUPS_AT_ONCE = 16


@dataclass(frozen=True)
class Group:
    """Images and texts that are compared with each other.

    Args:
        ids: Of the studies.
        texts: Sentences or reports.
    """

    ids: tuple[str, ...]
    texts: tuple[str, ...]


def group_scores(
    system: Any, manifest: Manifest, groups: Sequence[Group], similarity: str = "global",
    progress: Progress | None = None,
) -> list[Scores]:  # fmt: skip
    """Per group, the score of every image (row) for every text (column), float32.

    Args:
        system: Embeds studies and texts.
        manifest: Holds the studies and their priors.
        groups: What to compare.
        similarity: `global`, `local` or `both`.
        progress: Wraps the loops.
    """
    found = [] if similarity == "local" else _global(system, manifest, groups, progress)
    if similarity == "global":
        return found
    local = _local(system, manifest, groups, progress)
    if similarity == "local":
        return local
    return [np.mean(pair, axis=0, dtype=np.float32) for pair in zip(found, local, strict=True)]


def _global(
    system: Any, manifest: Manifest, groups: Sequence[Group], progress: Progress | None
) -> list[Scores]:
    ids, texts = _places(i for g in groups for i in g.ids), _places(t for g in groups for t in g.texts)
    studies = [manifest[study_id] for study_id in ids]
    images = np.asarray(system.embed_studies(studies, manifest, progress=progress), np.float32)
    written = np.asarray(system.embed_texts(list(texts)), np.float32)
    return [images[[ids[i] for i in g.ids]] @ written[[texts[t] for t in g.texts]].T for g in groups]


def _local(
    system: Any, manifest: Manifest, groups: Sequence[Group], progress: Progress | None
) -> list[Scores]:
    found: list[Scores] = []
    scales = scales_of(system)
    starts: Iterable[int] = range(0, len(groups), GROUPS_AT_ONCE)
    for start in progress(starts, "Comparing patches and words") if progress else starts:
        part = groups[start : start + GROUPS_AT_ONCE]
        ids, texts = _places(i for g in part for i in g.ids), _places(t for g in part for t in g.texts)
        patches = patches_of(system, list(ids), manifest)
        words = words_of(system, list(texts))
        found += [
            local_scores(
                patches.at([ids[i] for i in g.ids]), words.at([texts[t] for t in g.texts]), None, scales
            )
            for g in part
        ]
    return found


def _places(names: Iterable[str]) -> dict[str, int]:
    """Every name once, in order of appearance, with its row."""
    return {name: row for row, name in enumerate(dict.fromkeys(names))}
