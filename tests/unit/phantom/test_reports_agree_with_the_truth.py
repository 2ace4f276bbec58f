"""Every present finding is stated with its side, nothing absent as present: reports read by simple rules."""

from __future__ import annotations

import re

import pytest

from radalign.data.phantom.course import patient_cases
from radalign.data.phantom.report import write_report
from radalign.data.phantom.truth import FINDINGS, SIDED, Placed
from radalign.data.phantom.wording import phrases, statement

TERMS = {
    "Effusion": r"effusion|pleural fluid",
    "Pneumothorax": r"pneumothorax|PTX",
    "Consolidation": r"consolidation|airspace|pneumonia",
    "Atelectasis": r"atelectasis|lobar collapse",
    "Cardiomegaly": r"cardiomegaly|enlargement of the cardiac silhouette",
    "Edema": r"edema|vascular congestion",
    "Nodule": r"nodule",
    "Pacemaker": r"pacemaker",
    "Central line": r"central (venous catheter|line)",
    "Endotracheal tube": r"endotracheal tube|\bETT\b",
    "Enteric tube": r"enteric tube",
}
NEGATED = re.compile(r"^(\d )?(no|there is no|no evidence of|negative for)\b", re.I)
CHANGE = re.compile(r"^no (significant |interval )*change in", re.I)
GONE = re.compile(r"resolution|resolved|no longer seen|(?<!partly )cleared|clearing|removed|removal", re.I)
LEFT, RIGHT = re.compile(r"\bleft\b|\bL[UL]L\b|lingula", re.I), re.compile(r"\bright\b|\bR[UML]L\b", re.I)
BOTH = re.compile(r"bilateral|bibasilar|b/l", re.I)
SIZES = ("small", "moderate", "large")
CASES = [case for patient in range(220) for case in patient_cases(11, patient, prior_share=0.5)]


def sentences(text):
    return [s for s in re.split(r"\.(?:\s+|$)", text) if s and not s.isdigit()]


def affirmed(text, name):
    """The sentences that say a finding is there."""
    return [
        s
        for s in sentences(text)
        if re.search(TERMS[name], s, re.I)
        and (not NEGATED.search(s) or CHANGE.search(s))
        and not GONE.search(s)
    ]


def sides(sentence):
    sentence = re.sub(r"right (atrium|ventricle)", "", sentence, flags=re.I)
    if BOTH.search(sentence):
        return {"both"}
    return {name for name, word in (("left", LEFT), ("right", RIGHT)) if word.search(sentence)}


@pytest.fixture(scope="module")
def reports():
    return [(case, write_report(case)) for case in CASES]


def test_every_present_finding_is_stated(reports):
    for case, report in reports:
        for p in case.present:
            assert affirmed(report.body, p.name), (p, report.body)


def test_nothing_absent_is_stated_as_present(reports):
    for case, report in reports:
        for name in set(FINDINGS) - {p.name for p in case.present}:
            assert not affirmed(report.body, name), (name, report.body)


def test_every_statement_names_the_right_side(reports):
    for case, report in reports:
        for p in (p for p in case.present if p.name in SIDED):
            said = affirmed(report.body, p.name)
            alone = [s for s in said if sum(bool(re.search(t, s, re.I)) for t in TERMS.values()) == 1]
            assert any(p.side in sides(s) for s in said), (p, report.body)
            assert all(sides(s) == {p.side} for s in alone), (p, report.body)


def test_size_words_are_those_of_the_severity(reports):
    for case, report in reports:
        for p in (p for p in case.present if p.severity):
            table = phrases()[p.name]
            others = {w for size in SIZES if size != p.severity for w in table[size]} - set(table[p.severity])
            for sentence in affirmed(report.body, p.name):
                if sum(bool(re.search(t, sentence, re.I)) for t in TERMS.values()) == 1:
                    wrong = [w for w in others if re.search(rf"\b{w}\b", sentence, re.I)]
                    assert not wrong, (p, sentence)


def test_a_stated_number_is_the_truth(reports):
    checked = 0
    for case, report in reports:
        for name in ("Nodule", "Endotracheal tube"):
            p = case.find(name)
            for sentence in affirmed(report.body, name) if p else ():
                for number, unit in re.findall(r"(\d+(?:\.\d)?) (mm|cm)", sentence):
                    assert float(number) * (10 if unit == "cm" else 1) == pytest.approx(p.size_mm, abs=0.51)
                    checked += 1
    assert checked > 30


def test_resolved_findings_are_said_to_be_gone(reports):
    checked = 0
    for case, report in reports:
        for p in (p for p in case.placed if not p.is_present):
            assert any(GONE.search(s) for s in sentences(report.body) if re.search(TERMS[p.name], s, re.I))
            checked += 1
    assert checked > 10


def test_normal_studies_say_so_in_many_ways(reports):
    impressions = {r.impression for c, r in reports if not c.placed}
    assert len(impressions) > 8
    assert all(r.body for _, r in reports)


def test_reports_vary_and_have_sections(reports):
    bodies = {r.body for _, r in reports}
    assert len(bodies) > 0.9 * len(reports)
    assert sum(bool(r.findings and r.impression) for _, r in reports) > 0.75 * len(reports)
    assert sum(bool(r.indication) for _, r in reports) == len(reports)
    assert any(" w/ " in r.body or "PTX" in r.body or "RUL" in r.body for _, r in reports)
    assert any(
        re.search(r"possible|likely|may (reflect|represent)|cannot be excluded", r.body, re.I)
        for _, r in reports
    )


def test_a_comparison_names_the_prior_and_only_when_there_is_one(reports):
    for case, report in reports:
        named = bool(re.search(r"\d", report.comparison))
        assert named == (case.prior is not None)


def test_the_same_case_always_gets_the_same_words():
    assert write_report(CASES[3]) == write_report(CASES[3])


def test_no_phrase_leaves_a_hole(reports):
    for _, report in reports:
        for text in (report.findings, report.impression, report.indication, report.comparison):
            assert "{" not in text
            assert "  " not in text
            assert " ." not in text


@pytest.mark.parametrize("name", SIDED)
def test_statements_about_the_two_sides_differ_in_the_side_alone(name):
    places = {"Central line": "subclavian", "Consolidation": "upper lobe", "Nodule": "upper lobe"}
    left, right = (
        statement(Placed(name, side, places.get(name, ""), 0.5, 12.0)) for side in ("left", "right")
    )
    assert left != right
    assert left.lower().replace("left", "right") == right.lower()
