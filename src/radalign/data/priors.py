"""Priors: each study is linked to the same patient's latest earlier one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime

from radalign.study import Study

Order = Callable[[Study], float | None]


def study_time_days(study: Study) -> float | None:
    """When a study was made, in days: by its date, else by its offset, else None."""
    if study.date:
        return datetime.fromisoformat(study.date).replace(tzinfo=UTC).timestamp() / 86400
    return study.time_offset_days


def link_priors(
    studies: Iterable[Study], order: Order = study_time_days, frontal_only: bool = True
) -> list[Study]:
    """Fill `prior_study_id` with the same patient's latest strictly earlier study.

    Studies at the same time are not each other's prior. Dates and offsets are never compared with each other:
    of a patient whose studies are dated only in part, the dated ones are linked among themselves.

    Args:
        studies: Any order; returned in the same order.
        order: When a study was made, in days, or None when unknown.
        frontal_only: Only a study with a frontal view (or one of unknown position) can be a prior.

    >>> a, b = Study("a", "p", time_offset_days=0), Study("b", "p", time_offset_days=5)
    >>> [s.prior_study_id for s in link_priors([b, a], frontal_only=False)]
    ['a', '']
    """
    studies = list(studies)
    timeline: dict[tuple[str, bool], list[tuple[float, int]]] = defaultdict(list)
    for index, study in enumerate(studies):
        moment = order(study)
        if moment is not None:
            timeline[study.patient_id, bool(study.date)].append((moment, index))
    linked = [replace(s, prior_study_id="") if s.prior_study_id else s for s in studies]
    for moments in timeline.values():
        for index, prior in _priors(sorted(moments), studies, frontal_only):
            linked[index] = replace(linked[index], prior_study_id=studies[prior].id)
    return linked


def _priors(
    moments: list[tuple[float, int]], studies: list[Study], frontal_only: bool
) -> Iterable[tuple[int, int]]:
    """Pairs (study, prior) of one patient, walking through time."""
    latest: int | None = None
    start = 0
    while start < len(moments):
        end = start
        while end < len(moments) and moments[end][0] == moments[start][0]:
            end += 1
        together = [index for _, index in moments[start:end]]
        if latest is not None:
            yield from ((index, latest) for index in together)
        usable = [index for index in together if not frontal_only or _may_be_prior(studies[index])]
        latest = usable[-1] if usable else latest
        start = end


def _may_be_prior(study: Study) -> bool:
    return any(view.is_frontal or not view.position for view in study.views)
