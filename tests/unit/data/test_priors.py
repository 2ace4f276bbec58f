"""Priors against the obvious rule, applied to all pairs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from radalign.data.priors import link_priors
from radalign.study import Study, View

TIMES = st.none() | st.integers(-3, 5).map(float)
PATIENTS = st.sampled_from(["p", "q"])
POSITIONS = st.sampled_from(["PA", "LL", ""])


@given(st.lists(st.tuples(PATIENTS, TIMES, POSITIONS), max_size=12))
def test_a_prior_is_the_latest_earlier_study_of_the_patient_with_a_frontal(
    rows: list[tuple[str, float | None, str]],
) -> None:
    studies = [
        Study(f"s{n}", patient, (View("a.png", position),), time_offset_days=time)
        for n, (patient, time, position) in enumerate(rows)
    ]
    for study, linked in zip(studies, link_priors(studies), strict=True):
        earlier = [
            other
            for other in studies
            if other.patient_id == study.patient_id
            and study.time_offset_days is not None
            and other.time_offset_days is not None
            and other.time_offset_days < study.time_offset_days
            and not other.views[0].is_lateral
        ]
        if not earlier:
            assert linked.prior_study_id == ""
        else:
            latest = max(other.time_offset_days or 0 for other in earlier)
            found = next(o for o in earlier if o.id == linked.prior_study_id)
            assert found.time_offset_days == latest


def test_dates_decide_with_their_time_of_day() -> None:
    studies = [
        Study("late", "p", date="2026-01-01T18:00:00"),
        Study("early", "p", date="2026-01-01T06:30:00"),
        Study("before", "p", date="2025-12-31"),
    ]
    linked = {s.id: s.prior_study_id for s in link_priors(studies, frontal_only=False)}
    assert linked == {"late": "early", "early": "before", "before": ""}


def test_a_day_without_a_time_is_not_before_a_time_of_that_day() -> None:
    studies = [
        Study("noon", "p", date="2026-01-02T12:00:00"),
        Study("some time", "p", date="2026-01-02"),
        Study("evening", "p", date="2026-01-02T18:00:00"),
        Study("before", "p", date="2026-01-01"),
        Study("after", "p", date="2026-01-03"),
    ]
    linked = {s.id: s.prior_study_id for s in link_priors(studies, frontal_only=False)}
    assert linked["some time"] == linked["noon"] == "before"
    assert linked["evening"] == "noon"
    assert linked["after"] == "evening"


def test_a_day_without_a_time_is_before_the_next_day() -> None:
    studies = [Study("next", "p", date="2026-01-03T07:00:00"), Study("day", "p", date="2026-01-02")]
    assert [s.prior_study_id for s in link_priors(studies, frontal_only=False)] == ["day", ""]


def test_dates_and_offsets_are_not_compared() -> None:
    studies = [Study("dated", "p", date="2026-01-01"), Study("offset", "p", time_offset_days=10)]
    assert [s.prior_study_id for s in link_priors(studies, frontal_only=False)] == ["", ""]


def test_an_order_of_ones_own() -> None:
    studies = [Study("a", "p", extra={"visit": "2"}), Study("b", "p", extra={"visit": "1"})]
    linked = link_priors(studies, order=lambda s: float(s.extra["visit"]), frontal_only=False)
    assert [s.prior_study_id for s in linked] == ["b", ""]
