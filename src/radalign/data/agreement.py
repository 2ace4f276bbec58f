"""How far one study's report also describes another study: the soft targets of a contrastive objective.

"No acute disease" is right for a third of a screening collection; treating every other report as wrong
teaches a system to tell apart what nobody can tell apart.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence, Set

import torch
from torch import Tensor

from radalign.data.settings import SoftTargetSettings
from radalign.reports.sentences import split_sentences
from radalign.study import Study

_NOT_A_WORD = re.compile(r"[\W_]+")


def normalise(text: str) -> str:
    """Lower case, words only, one space between them, de-identification marks dropped.

    >>> normalise("  The LUNGS are clear; XXXX.")
    'the lungs are clear'
    """
    words = _NOT_A_WORD.sub(" ", text.lower()).split()
    return " ".join(word for word in words if word.strip("x"))


def agreement_key(study: Study, settings: SoftTargetSettings) -> frozenset[Hashable]:
    """What is compared between two studies: sentences, the whole text, or the present labels.

    Args:
        study: The study.
        settings: The rule.

    Returns:
        A set; an empty one agrees with nothing (the rule is `none`, or there is no text or label to compare).

    >>> from radalign.study import Report
    >>> study = Study("a", "p", report=Report("Clear. Heart normal."))
    >>> sorted(agreement_key(study, SoftTargetSettings(rule="sentences")))
    ['clear', 'heart normal']
    """
    if settings.rule == "labels":
        return frozenset([study.positives]) if study.positives else frozenset()
    if settings.rule == "sentences":
        return frozenset(filter(None, map(normalise, split_sentences(study.report.body))))
    whole = normalise(study.report.body) if settings.rule == "identical" else ""
    return frozenset([whole]) if whole else frozenset()


def jaccard(keys: Sequence[Set[Hashable]]) -> Tensor:
    """Overlap of every pair of sets: size of the intersection over size of the union, 0 for two empty sets.

    Args:
        keys: N sets.

    Returns:
        float32 [N, N].

    >>> jaccard([{"a", "b"}, {"b"}, set()]).tolist()
    [[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    column = {item: i for i, item in enumerate(dict.fromkeys(item for key in keys for item in key))}
    holds = torch.zeros(len(keys), max(1, len(column)))
    for row, key in enumerate(keys):
        holds[row, [column[item] for item in key]] = 1
    both = holds @ holds.T  # [N, N]
    size = holds.sum(dim=1)
    return both / (size[:, None] + size - both).clamp(min=1)


def agreement(keys: Sequence[Set[Hashable]], settings: SoftTargetSettings) -> Tensor | None:
    """The agreement matrix of a batch: 1 on the diagonal, `weight` where the rule holds, 0 elsewhere.

    Args:
        keys: One `agreement_key` per study, in batch order.
        settings: Rule, weight and threshold.

    Returns:
        float32 [B, B], symmetric; None when the rule is `none`.

    >>> settings = SoftTargetSettings(rule="identical", weight=0.5)
    >>> agreement([{"clear"}, {"clear"}, {"mass"}], settings)[0].tolist()
    [1.0, 0.5, 0.0]
    """
    if settings.rule == "none":
        return None
    least = settings.threshold if settings.rule == "sentences" else 1.0
    same = (jaccard(keys) >= least).float() * settings.weight
    return same.fill_diagonal_(1.0)
