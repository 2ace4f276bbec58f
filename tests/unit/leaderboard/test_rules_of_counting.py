"""A rule of counting that has changed keeps what was counted before apart from what is counted now."""

from __future__ import annotations

from dataclasses import replace

import pytest

from radalign.evaluate import report_edits
from radalign.evaluate.results import Result
from radalign.leaderboard import judge
from radalign.leaderboard.alike import mixed_rules
from radalign.leaderboard.plan import Judging
from radalign.leaderboard.plan import TestSet as Subset
from radalign.systems.base import create
from tests.few_labels import APART, CALM, labelled_manifest


def result(**rules):
    return Result("board", "strict", (), settings={"tasks": {task: {"rule": r} for task, r in rules.items()}})


def test_the_page_names_who_was_counted_by_which_rule():
    old, new = result(edits=None, retrieval=None), result(edits=3, retrieval=None)
    assert mixed_rules({"A, seed 0": new, "B, seed 0": new}) == []
    assert mixed_rules({"A, seed 0": old, "B, seed 0": old}) == []
    assert mixed_rules({"A, seed 0": new, "B, seed 0": old, "C, seed 0": old}) == [
        "edits was counted by different rules, which are not subtracted: 3: A, seed 0; "
        "an earlier one: B, seed 0, C, seed 0."
    ]


@pytest.fixture
def edited(tmp_path):
    """Judges one system's `report-edits` on a few reports."""
    manifest = labelled_manifest(tmp_path, 1, 1, 4)
    reports = ["Small left pleural effusion.", "No pneumothorax.", "Mild pulmonary edema."]
    studies = [replace(s, report=replace(s.report, findings=reports[i % 3])) for i, s in enumerate(manifest)]
    manifest = type(manifest)(studies, manifest.root)
    system = create("clip-full", [*APART, *CALM]).eval()

    def once():
        found, _ = judge.judge(
            system, "s", manifest, Judging(resamples=10), [Subset(name="all")], ["report-edits"]
        )
        return found.patients

    return once


def test_edits_of_another_rule_are_not_paired(edited, monkeypatch):
    now = edited()
    monkeypatch.setattr(report_edits, "RULE", report_edits.RULE + 1)
    later = edited()
    assert now.keys() == later.keys()
    assert all(now[key] != later[key] for key in now)
    monkeypatch.undo()
    assert edited() == now
