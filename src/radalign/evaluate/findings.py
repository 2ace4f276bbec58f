"""One system's view of a set of findings: its scores, and what the manifest says is true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radalign.evaluate.embeddings import Embedder, EvaluationError, StudyEmbeddings
from radalign.evaluate.pooling import Pooling, class_scores, pooled_columns
from radalign.evaluate.prompt_sets import PromptSet
from radalign.evaluate.statistic import Floats


@dataclass(frozen=True)
class Prompted:
    """One system's studies and the prompts it embedded.

    Args:
        studies: The reported studies.
        present: Finding to embedded present sentences, [M, E], not at unit length.
        absent: Finding to embedded absent sentences.
        tuning: Validation studies for thresholds and temperature, or None.
        similarity: `global`, `local` (the studies' `local`, whose columns are the prompts in the order of
            `prompt_texts`; means of prompts become means of scores) or `both`, their mean.
    """

    studies: StudyEmbeddings
    present: Mapping[str, NDArray[np.float32]]
    absent: Mapping[str, NDArray[np.float32]]
    tuning: StudyEmbeddings | None = None
    similarity: str = "global"


def prompt_texts(prompts: PromptSet) -> list[str]:
    """All sentences of a set: of every finding the present ones, then the absent ones."""
    return [text for f in prompts.findings for text in (*f.present, *f.absent)]


def prompted(
    system: Embedder, studies: StudyEmbeddings, prompts: PromptSet, tuning: StudyEmbeddings | None = None,
    similarity: str = "global",
) -> Prompted:  # fmt: skip
    """Embed the prompt set with the system that embedded the studies."""
    present = {f.name: embed_prompts(system, f.present) for f in prompts.findings}
    absent = {f.name: embed_prompts(system, f.absent) for f in prompts.findings}
    return Prompted(studies, present, absent, tuning, similarity)


def embed_prompts(system: Embedder, prompts: Sequence[str]) -> NDArray[np.float32]:
    """Embed sentences as the heads give them, [M, E]: pooling decides when they get unit length."""
    return np.asarray(system.embed_texts(prompts, normalise=False), dtype=np.float32)


def finding_scores(given: Prompted, finding: str, pooling: Pooling, tuning: bool = False) -> Floats:
    """Cosine to present minus cosine to absent, in -2..2; above 0 means present, [N].

    Of a finding that the system was asked for by its own classes, log odds instead.
    """
    cosines = pair_cosines(given, finding, pooling, tuning)
    return cosines[:, 0] - cosines[:, 1]


def pair_cosines(given: Prompted, finding: str, pooling: Pooling, tuning: bool = False) -> Floats:
    """Cosines to the present and to the absent prompts, or the scores of the system's own classes, [N, 2]."""
    studies = given.tuning if tuning and given.tuning is not None else given.studies
    if finding in studies.by_class:
        return studies.by_class[finding]
    if given.similarity == "local":
        return _local_pair(given, studies, finding, pooling)
    cosines = class_scores(studies.image, [given.present[finding], given.absent[finding]], pooling)
    if given.similarity == "both":
        cosines = (cosines + _local_pair(given, studies, finding, pooling)) / 2
    return cosines


def _local_pair(given: Prompted, studies: StudyEmbeddings, finding: str, pooling: Pooling) -> Floats:
    """Local scores of the present and of the absent prompts, their mean or their maximum, [N, 2]."""
    if studies.local is None:
        raise EvaluationError("The local similarity was not computed; use `local_similarity.with_local`.")
    counts = [len(side[name]) for name in given.present for side in (given.present, given.absent)]
    first = 2 * list(given.present).index(finding)
    before, own = sum(counts[:first]), counts[first : first + 2]
    return pooled_columns(studies.local[:, before : before + sum(own)], own, pooling)  # [N, 2]


def finding_truth(labels: Sequence[Mapping[str, int]], names: Sequence[str]) -> NDArray[np.int8]:
    """1 present, 0 absent, -1 not known, [N], for a finding that goes by several label names.

    A study has the finding when any of the names is present there, and lacks it when all that are said are
    absent. Where a set never says "absent" for any of the names, a study that has labels at all, but none of
    these, counts as absent.

    >>> finding_truth([{"Edema": 1}, {"Edema": 0}, {"Edema": -1}, {}], ["Edema", "Oedema"]).tolist()
    [1, 0, -1, -1]
    >>> finding_truth([{"Edema": 1}, {"Mass": 1}, {}], ["Edema"]).tolist()
    [1, 0, -1]
    """
    listed = not any(row.get(name) == 0 for row in labels for name in names)

    def truth(row: Mapping[str, int]) -> int:
        said = {row[name] for name in names if name in row}
        if 1 in said:
            return 1
        if -1 in said or not row:
            return -1
        return 0 if said or listed else -1

    return np.array([truth(row) for row in labels], dtype=np.int8)
