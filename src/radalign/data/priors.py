"""Priors: each study is linked to the same patient's latest earlier one."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter

from radalign.study import Study

Order = Callable[[Study], float | None]
_Moment = tuple[float, bool, int]  # when, whether its time of day is known, the study's place
_DAY_CHARACTERS = len("2026-01-31")


def study_time_days(study: Study) -> float | None:
    """When a study was made, in days: by its date, else by its offset, else None."""
    if study.date:
        return datetime.fromisoformat(study.date).replace(tzinfo=UTC).timestamp() / 86400
    return study.time_offset_days


def link_priors(
    studies: Iterable[Study], order: Order = study_time_days, frontal_only: bool = True
) -> list[Study]:
    """Fill `prior_study_id` with the same patient's latest strictly earlier study.

    Studies at the same time are not each other's prior, nor are studies of one day where the time of one is
    not known. Dates and offsets are never compared with each other: of a patient whose studies are dated only
    in part, the dated ones are linked among themselves.

    Args:
        studies: Any order; returned in the same order.
        order: When a study was made, in days, or None when unknown.
        frontal_only: Only a study with a frontal view (or one of unknown position) can be a prior.

    >>> a, b = Study("a", "p", time_offset_days=0), Study("b", "p", time_offset_days=5)
    >>> [s.prior_study_id for s in link_priors([b, a], frontal_only=False)]
    ['a', '']
    """
    studies = list(studies)
    timeline: dict[tuple[str, bool], list[_Moment]] = defaultdict(list)
    for index, study in enumerate(studies):
        moment = order(study)
        if moment is not None:
            timed = len(study.date) != _DAY_CHARACTERS
            timeline[study.patient_id, bool(study.date)].append((moment, timed, index))
    linked = [replace(s, prior_study_id="") if s.prior_study_id else s for s in studies]
    for moments in timeline.values():
        for index, prior in _priors(sorted(moments), studies, frontal_only):
            linked[index] = replace(linked[index], prior_study_id=studies[prior].id)
    return linked


def _priors(moments: list[_Moment], studies: list[Study], frontal_only: bool) -> Iterable[tuple[int, int]]:
    """Pairs (study, prior) of one patient, walking through time.

    A study without a time of day stands at its midnight. It is a prior of what follows on later days, but of
    nothing on its own day.
    """
    latest: int | None = None
    sure: int | None = None
    today = -math.inf
    for moment, group in groupby(moments, key=itemgetter(0)):
        together = [(timed, index) for _, timed, index in group]
        if math.floor(moment) != today:
            sure, today = latest, math.floor(moment)
        if sure is not None:
            yield from ((index, sure) for _, index in together)
        for timed, index in together:
            if not frontal_only or _may_be_prior(studies[index]):
                latest = index
                sure = index if timed else sure


def _may_be_prior(study: Study) -> bool:
    return any(view.is_frontal or not view.position for view in study.views)
