"""A result compared with a second one: what differs, by how much, and what changed in between."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from radalign.evaluate.check import compare_results, plan_of
from radalign.evaluate.embeddings import EvaluationError
from radalign.evaluate.plan import make_plan
from radalign.evaluate.provenance import data_sha256
from radalign.evaluate.results import Gap, Measure, Result, ResultError

MADE = {"radalign": "1", "commit": "c", "systems": {"s": {"identity": "x"}}, "packages": {"torch": "2"}}
BEFORE = Result(
    "retrieval",
    "strict",
    (Measure("s", "t", "R@1", 0.5, 0.4, 0.6), Measure("s", "t", "MRR", 0.2)),
    made_by=MADE,
)


def test_the_same_numbers_repeat():
    found = compare_results(BEFORE, BEFORE)
    assert found.repeats
    assert (found.compared, found.largest, found.changed) == (2, 0.0, ())
    assert "repeats" in found.text()


def test_a_moved_bound_a_missing_number_and_another_system_are_told():
    made = MADE | {"systems": {"s": {"identity": "y"}}, "packages": {"torch": "3"}}
    after = replace(
        BEFORE,
        measures=(Measure("s", "t", "R@1", 0.5, 0.4, 0.61), Measure("s", "t", "R@5", 0.9)),
        made_by=made,
    )
    found = compare_results(BEFORE, after)
    assert not found.repeats
    assert found.differences == (
        "s, t, MRR is missing.", "s, t, R@1: high was 0.6, is 0.61.", "s, t, R@5 is new.",
    )  # fmt: skip
    assert found.largest == pytest.approx(0.01)
    assert found.changed == (
        "packages: was {'torch': '2'}, is {'torch': '3'}.", "The system s is not the one that was evaluated.",
    )  # fmt: skip
    assert compare_results(BEFORE, replace(after, measures=BEFORE.measures)).repeats


def test_a_changed_difference_or_chance_is_told_too():
    gap = Gap("s", "b", "t", "R@1", 0.1, 0.0, 0.2, p=0.04)
    before = replace(BEFORE, gaps=(gap,))
    assert compare_results(before, before).compared == 3
    tampered = compare_results(replace(before, gaps=(replace(gap, p=0.001),)), before)
    assert tampered.differences == ("s minus b, t, R@1: p was 0.001, is 0.04.",)
    assert compare_results(before, BEFORE).differences == ("s minus b, t, R@1 is missing.",)
    easier = replace(BEFORE, measures=(replace(BEFORE.measures[0], chance=0.1), BEFORE.measures[1]))
    assert not compare_results(easier, BEFORE).repeats


def test_a_number_that_became_undefined_differs():
    after = replace(BEFORE, measures=(replace(BEFORE.measures[0], low=None), BEFORE.measures[1]))
    assert not compare_results(BEFORE, after).repeats


def test_a_result_that_does_not_say_how_it_was_made_cannot_be_repeated():
    with pytest.raises(ResultError, match="how it was made"):
        plan_of(BEFORE, "result.json")


def test_a_recorded_plan_comes_back_and_may_have_moved():
    plan = {
        "run": "runs/x",
        "data": "m.parquet",
        "task": "retrieval",
        "labels": ["A"],
        "split": "test",
        "unknown": 1,
    }
    result = replace(BEFORE, made_by=MADE | {"plan": plan})
    found = plan_of(result, "r.json")
    assert (found.run, found.data, found.labels) == ("runs/x", Path("m.parquet"), ("A",))
    assert plan_of(result, "r.json", run="other", data=Path("n.parquet")).run == "other"


def test_a_plan_needs_a_run_and_data_and_a_known_mode():
    rest = {"split": "all", "baselines": None, "labels": None}
    with pytest.raises(EvaluationError, match="Name the run"):
        make_plan(run="", data=None, mode="strict", **rest)
    with pytest.raises(EvaluationError, match="no mode 'loose'"):
        make_plan(run="r", data=Path("m"), mode="loose", **rest)
    assert make_plan(run="r", data=Path("m"), mode="strict", **rest).split == ""
    assert make_plan(run="r", data=Path("m"), mode="strict", **rest | {"split": None}).split == "test"


def test_similarity_and_subgroups_are_checked_before_anything_is_loaded():
    rest = {
        "run": "r",
        "data": Path("m"),
        "mode": "strict",
        "split": "all",
        "baselines": None,
        "labels": None,
    }
    with pytest.raises(EvaluationError, match="no similarity 'cosine'"):
        make_plan(**rest, similarity="cosine")
    with pytest.raises(EvaluationError, match="ignores --similarity"):
        make_plan(**rest, similarity="local", task="space")
    with pytest.raises(EvaluationError, match="no subgroup 'colour'"):
        make_plan(**rest, subgroups=["colour"])
    assert make_plan(**rest, task="zero-shot", similarity="both").similarity == "both"
    assert make_plan(**rest).subgroups == ("sex", "age", "view", "device")
    assert make_plan(**rest, subgroups=["view", "sex"]).subgroups == ("view", "sex")
    assert make_plan(**rest, subgroups=["none"]).subgroups == ()


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"task": "rsna", "split": "train"}, "lists of studies; leave --split"),
        ({"mode": "paper"}, "'retrieval' has no paper mode"),
        ({"pooling": "mean_of_logits"}, "'retrieval' ignores --pooling; it is for zero-shot"),
        ({"task": "ms-cxr", "prompts": "p.toml"}, "ignores --prompts"),
        ({"task": "rsna", "labels": ["Edema"]}, "ignores --label; it is for retrieval"),
        ({"task": "space", "exclude_own_report": True}, "ignores --exclude-own-report"),
        ({"task": "rsna", "fine_tune": True}, "ignores --fine-tune; it is for nih"),
        ({"task": "zero-shot", "pooling": "foo"}, "no pooling 'foo'; choose mean_then_normalise"),
        ({"seed": -1}, "A seed is 0 or more"),
        ({"task": "probe", "split": "validate"}, "'probe' learns on the split train.*leave --split out"),
        ({"task": "fine-tune", "split": "test"}, "'fine-tune' learns on the split train"),
        ({"probes": 0}, "'retrieval' ignores --probes; it is for sensitivity"),
        ({"task": "space", "subgroups": ["none"]}, "'space' ignores --subgroups"),
        (
            {"task": "rsna", "subgroups": ["sex"]},
            "ignores --subgroups; it is for retrieval, zero-shot, openi",
        ),
    ],
)
def test_an_option_that_the_task_would_ignore_is_refused(asked, sentence):
    rest = {"run": "r", "data": Path("m"), "mode": "strict", "split": None, "baselines": None, "labels": None}
    with pytest.raises(EvaluationError, match=sentence):
        make_plan(**rest | asked)
    heeded = {
        "task": "rsna",
        "pooling": "mean_of_logits",
        "prompts": "p.toml",
        "similarity": "both",
        "mode": "paper",
    }
    assert make_plan(**rest | heeded).split == ""
    assert make_plan(**rest | {"task": "openi", "subgroups": ["none"]}).subgroups == ()
    assert make_plan(**rest | {"task": "sensitivity", "probes": 7}).probes == 7
    assert make_plan(**rest, task="sensitivity", probes=None).probes == 60


def test_the_data_of_a_folder_are_its_tables(tmp_path):
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "test.txt").write_text("a.dcm 1")
    (tmp_path / "a.dcm").write_bytes(b"pixels")
    before = data_sha256(tmp_path)
    (tmp_path / "a.dcm").write_bytes(b"other pixels")
    assert data_sha256(tmp_path) == before
    (tmp_path / "lists" / "test.txt").write_text("a.dcm 0")
    assert data_sha256(tmp_path) != before


def test_a_file_that_is_no_result_is_refused(tmp_path):
    (tmp_path / "r.json").write_text("[1, 2]")
    with pytest.raises(ResultError, match="evaluate again"):
        Result.read(tmp_path / "r.json")
    with pytest.raises(ResultError, match="not a readable result"):
        Result.read(tmp_path / "none.json")


@pytest.mark.parametrize("gone", ["gaps", "measures", "notes", "protocol"])
def test_a_result_without_a_part_is_refused(tmp_path, gone):
    BEFORE.write(tmp_path / "r.json")
    table = json.loads((tmp_path / "r.json").read_text())
    del table[gone]
    (tmp_path / "r.json").write_text(json.dumps(table))
    with pytest.raises(ResultError, match="not a complete result"):
        Result.read(tmp_path / "r.json")


@pytest.mark.parametrize("row", [{"value": "high"}, {"low": [1]}, {"shade": 1}])
def test_a_row_that_is_no_number_is_refused(tmp_path, row):
    BEFORE.write(tmp_path / "r.json")
    table = json.loads((tmp_path / "r.json").read_text())
    table["measures"][0] |= row
    (tmp_path / "r.json").write_text(json.dumps(table))
    with pytest.raises(ResultError, match="not a complete result"):
        Result.read(tmp_path / "r.json")


def test_what_a_result_says_of_its_rules_is_compared():
    stated = {"split": "test", "prompts_sha256": "a", "threshold": 0.5, "labels": ["A"]}
    before = replace(BEFORE, settings=stated)
    assert compare_results(before, replace(before, settings=stated | {"threshold": 0.50001})).repeats
    hot = [replace(before, settings={"temperatures": {"s": {"edema": t}}}) for t in (80.0, 80.001, 80.1)]
    assert compare_results(hot[0], hot[1]).repeats  # a flat optimum moves with rounding
    assert not compare_results(hot[0], hot[2]).repeats
    one = BEFORE.measures[0]
    for changed, sentence in (
        ({"mode": "paper"}, "mode: was strict, is paper."),
        ({"protocol": "space"}, "protocol: was retrieval, is space."),
        ({"settings": stated | {"labels": ["B"]}}, "settings.labels: was ['A'], is ['B']."),
        ({"settings": stated | {"prompts_sha256": "b"}},
         "settings.prompts_sha256: was a, is b; the prompts were changed."),
        ({"settings": {k: v for k, v in stated.items() if k != "split"}},
         "settings.split: was test, is not there."),
        ({"measures": (replace(one, patients=9), BEFORE.measures[1])}, "s, t, R@1: patients was 0, is 9."),
    ):  # fmt: skip
        assert compare_results(before, replace(before, **changed)).differences == (sentence,)


def test_a_setting_that_an_older_version_did_not_record_is_told_and_is_no_difference():
    found = compare_results(BEFORE, replace(BEFORE, settings={"resampled": "patients"}))
    assert found.repeats
    assert found.changed == ("settings.resampled: was not recorded, is patients.",)
    old = replace(BEFORE, protocol="rsna", settings={"split": "test"})
    assert compare_results(old, replace(old, settings={})).repeats


def test_a_number_that_is_stated_twice_is_refused():
    twice = replace(BEFORE, measures=(*BEFORE.measures, replace(BEFORE.measures[0], value=0.9)))
    with pytest.raises(ResultError, match="states s, t, R@1 twice"):
        compare_results(twice, BEFORE)


def test_a_recorded_plan_of_wrong_kinds_is_refused():
    good = {"run": "r", "data": "m", "task": "rsna", "prompts": "chest-findings"}
    for name, value in (("resamples", "many"), ("labels", "A"), ("data", 3)):
        with pytest.raises(ResultError, match=f"option {name} = "):
            plan_of(replace(BEFORE, made_by={"plan": good | {name: value}}), "r.json")
    assert plan_of(replace(BEFORE, made_by={"plan": good}), "r.json").prompts == ""
    with pytest.raises(ResultError, match="how it was made"):
        plan_of(replace(BEFORE, made_by={"plan": {"task": "rsna"}}), "r.json")


def test_a_table_of_few_shot_says_how_it_is_repeated():
    with pytest.raises(ResultError, match="radalign few-shot"):
        plan_of(replace(BEFORE, protocol="few-shot", settings={"cells": []}), "few-shot.json")
