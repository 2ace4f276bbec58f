"""Edited reports against images, counted by hand for systems that look, only read, or do neither."""

from __future__ import annotations

import numpy as np
import pytest

from radalign.data.settings import TextSettings
from radalign.evaluate.embeddings import EvaluationError
from radalign.evaluate.report_edits import edited_studies, evaluate_edits
from radalign.evaluate.sensitivity import ALL, CardSettings
from radalign.study import Report, Study

FEW = CardSettings(resamples=50)
LEFT = Report(findings="Heart size is unremarkable today. Small left pleural effusion.")
NONE = Report(findings="No pneumothorax.")


@pytest.fixture
def studies():
    reports = [LEFT, NONE, Report(findings="Clear."), LEFT]
    return [Study(f"s{n}", f"p{n}", report=report) for n, report in enumerate(reports)]


def scores_of(studies, judge):
    """A matrix per study: judge(study id, text) for every image and text of its group."""
    return [np.array([[judge(i, text) for text in s.group.texts] for i in s.group.ids]) for s in studies]


def test_which_edits_a_report_allows_and_what_the_report_becomes(studies):
    edited = edited_studies(studies, TextSettings())
    assert [s.study_id for s in edited] == ["s0", "s1", "s3"]
    first = edited[0]
    assert [e.kind for e in first.edits] == ["side", "severity", "negation"]
    assert first.reports[0] == LEFT.findings
    assert first.reports[1] == "Heart size is unremarkable today. Small right pleural effusion."
    assert len(first.group.texts) == 2 * 3 + 4
    assert all(other != s.study_id for s in edited for other in s.stranger_ids)


def test_the_other_patient_has_the_finding_whose_degree_or_side_turns():
    severe = Report(findings="Large right pleural effusion.")
    reports = [LEFT, NONE, NONE, NONE, severe, Report(findings="Mild pulmonary edema.")]
    found = edited_studies([Study(f"s{n}", f"p{n}", report=r) for n, r in enumerate(reports)], TextSettings())
    asked = {
        (s.study_id, e.kind): (other, matched)
        for s in found
        for e, other, matched in zip(s.edits, s.stranger_ids, s.matched, strict=True)
    }
    assert asked["s0", "side"] == asked["s0", "severity"] == ("s4", True)
    assert asked["s4", "severity"] == ("s0", True)
    assert asked["s5", "severity"][1] is False  # nobody else has edema
    notes = evaluate_edits(found, {"constant": scores_of(found, lambda i, text: 0.0)}, FEW).notes
    assert "No other patient has the finding of some edits, so anybody's image is asked: severity 1." in notes


def test_hearing_presence_alone_is_no_degree():
    # Likes "severe" on whoever has edema: without matching it would stand 1 below the images without any.
    reports = [Report(findings="Mild pulmonary edema.")] * 3 + [NONE] * 9
    found = edited_studies([Study(f"s{n}", f"p{n}", report=r) for n, r in enumerate(reports)], TextSettings())
    has = {f"s{n}" for n in range(3)}
    presence = scores_of(found, lambda i, text: (i in has) * (1.0 + ("evere" in text)))
    added = evaluate_edits(found, {"hears presence": presence}, FEW)[
        "hears presence", "sentence, own image minus another's", "severity"
    ]
    assert (added.value, added.n) == (0.0, 3)


def test_a_system_that_looks_stands_above_its_control(studies):
    edited = edited_studies(studies, TextSettings())
    own = {s.study_id: set(s.group.texts[: 2 * len(s.edits) : 2]) | {s.reports[0]} for s in edited}
    found = evaluate_edits(edited, {"looks": scores_of(edited, lambda i, text: text in own[i])}, FEW)
    for task in ("sentence", "report"):
        assert found["looks", task, ALL].value == 1.0
        assert found["looks", task, "side"].n == 2
    assert found.settings["edits"] == {"side": 2, "severity": 2, "negation": 3}
    added = found["looks", "sentence, own image minus another's", "negation"]
    other = found["looks", "sentence, another patient's image", "negation"]
    assert added.value == pytest.approx(1.0 - other.value)
    assert added.chance == 0.0
    assert "negation 3" in found.notes[0]
    assert "size, device, change" in found.notes[1]
    assert "say little" in found.notes[2]


def test_a_system_that_only_reads_adds_nothing(studies):
    edited = edited_studies(studies, TextSettings())
    likes_no = scores_of(edited, lambda i, text: text.count("No ") + 0.01 * len(text))
    found = evaluate_edits(edited, {"reads": likes_no}, FEW)
    # sentence by sentence: "No left ..." beats the small effusion twice, "No pneumothorax." stays: 1 of 3
    assert found["reads", "sentence", "negation"].value == pytest.approx(1 / 3)
    for kind in ("side", "severity", "negation"):
        assert found["reads", "sentence, own image minus another's", kind].value == 0.0


def test_a_constant_system_scores_chance(studies):
    edited = edited_studies(studies, TextSettings())
    found = evaluate_edits(edited, {"constant": scores_of(edited, lambda i, text: 0.0)}, FEW)
    assert {m.value for m in found.measures if m.task in ("sentence", "report")} == {0.5}


def test_reports_that_allow_no_edit_are_refused(studies):
    with pytest.raises(EvaluationError, match="0 of 1 studies"):
        edited_studies(studies[2:3], TextSettings())
