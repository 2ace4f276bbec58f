"""Who is ill with what, and what becomes of it: shares, links and changes of the drawn truth."""

from __future__ import annotations

from collections import Counter
from datetime import date

import pytest

from radalign.data.phantom.course import patient_cases
from radalign.data.phantom.truth import DEVICES, FINDINGS, SIDED, labels_of

CASES = [case for patient in range(500) for case in patient_cases(2, patient, prior_share=0.4)]
SECOND = [case for case in CASES if case.prior]


def test_about_a_third_is_normal_and_every_finding_occurs():
    assert 0.28 < sum(not c.present for c in CASES) / len(CASES) < 0.43
    counts = Counter(p.name for c in CASES for p in c.present)
    assert set(counts) == set(FINDINGS)
    assert min(counts.values()) > 5
    assert sum(len(c.present) > 1 for c in CASES) > 0.2 * len(CASES)


def test_the_share_of_patients_with_a_prior_is_the_asked_one():
    patients = {c.patient for c in CASES}
    assert len(SECOND) / len(patients) == pytest.approx(0.4, abs=0.07)
    assert all(
        c.prior is None for c in (case for p in range(20) for case in patient_cases(2, p, prior_share=0.0))
    )


def test_a_change_is_what_happened_since_the_prior():
    seen = Counter()
    for case in SECOND:
        before = {p.name: p for p in case.prior.present}
        for p in case.placed:
            seen[p.change] += 1
            if p.change == "new":
                assert p.name not in before
                continue
            old = before[p.name]
            assert (p.side, p.location, p.texture) == (old.side, old.location, old.texture)
            if p.change == "worse":
                assert p.extent >= old.extent + 0.2
                assert p.size_mm >= old.size_mm
            elif p.change == "better":
                assert p.extent <= old.extent - 0.2
                assert p.size_mm <= old.size_mm
            elif p.change == "stable":
                assert (p.extent, p.size_mm) == (old.extent, old.size_mm)
            else:
                assert p.change == "resolved"
        assert {p.name for p in case.placed} >= set(before)
    assert min(seen[c] for c in ("new", "better", "worse", "stable", "resolved")) > 10


def test_first_studies_have_no_change():
    assert all(not p.change for c in CASES if not c.prior for p in c.placed)


def test_the_second_study_is_later_and_of_the_same_patient():
    for case in SECOND:
        assert date.fromisoformat(case.date) > date.fromisoformat(case.prior.date)
        assert (date.fromisoformat(case.date) - date.fromisoformat(case.prior.date)).days == case.days
        assert case.anatomy == case.prior.anatomy
        assert case.patient_id == case.prior.patient_id


def test_sides_and_severities_are_stated_where_they_make_sense():
    for p in (p for c in CASES for p in c.present):
        assert (p.side != "") == (p.name in SIDED or p.name == "Edema")
        assert (p.severity == "") == (p.name in DEVICES)
        assert p.finding.severity == p.severity


def test_labels_are_one_or_zero_for_every_finding():
    for case in CASES:
        labels = labels_of(case.placed)
        assert set(labels) == {*FINDINGS, "normal"}
        assert labels["normal"] == int(not case.present)
        assert all(labels[n] == int(any(p.name == n for p in case.present)) for n in FINDINGS)


def test_intubated_patients_lie_in_bed():
    positions = [
        c.acquisition.position for c in CASES if any(p.name == "Endotracheal tube" for p in c.present)
    ]
    assert positions.count("AP") >= 0.8 * len(positions)


def test_a_case_does_not_depend_on_the_shares_that_were_asked_for():
    one, other = (patient_cases(4, 9, prior_share=s)[0] for s in (0.0, 1.0))
    assert one == other
