"""Which systems an evaluation compares, and by which names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from radalign.evaluate.embeddings import EvaluationError, StudyEmbeddings
from radalign.evaluate.plan import Plan
from radalign.evaluate.provenance import Stopwatch
from radalign.evaluate.results import Result
from radalign.evaluate.run import _signed, _systems, distinguishing_ends, evaluate_run
from radalign.evaluate.space import evaluate_space
from radalign.evaluate.tasks import TASKS
from radalign.study import Manifest, Study
from radalign.systems.devices import DeviceError


def plan(run, *baselines, **rest):
    return Plan(run=str(run), data=Path("m"), baselines=tuple(map(str, baselines)), **rest)


def test_runs_of_one_recipe_keep_their_own_names(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "radalign.systems.base.load",
        lambda path, device: SimpleNamespace(recipe=SimpleNamespace(name="alta"), path=path),
    )
    found = _systems(plan(tmp_path / "0/run", tmp_path / "1/run", tmp_path / "2/run", tmp_path / "other"))
    assert {name: Path(s.path).relative_to(tmp_path).parts[0] for name, s in found.items()} == {
        "alta": "0", "alta (1/run)": "1", "alta (2/run)": "2", "alta (other)": "other",
    }  # fmt: skip


def test_a_system_that_is_named_twice_is_refused(tmp_path):
    for again in ("runs/a", "runs/../runs/a"):
        with pytest.raises(EvaluationError, match="named twice"):
            distinguishing_ends(["runs/a", "runs/b", again])
    with pytest.raises(EvaluationError, match="unadapted is named twice"):
        distinguishing_ends(["runs/a", "unadapted", "unadapted"])


def test_a_device_that_does_not_exist_is_one_sentence(tmp_path):
    with pytest.raises(DeviceError, match="The device tpu9 cannot be used"):
        evaluate_run(Plan(run="runs/a", data=tmp_path, task="rsna", device="tpu9"))


def test_labels_that_the_manifest_lacks_are_named(tmp_path):
    manifest = Manifest([Study("a", "p", labels={"Edema": 1}), Study("b", "q", labels={"Mass": 0})], tmp_path)
    asked = Plan(run="r", data=tmp_path, labels=("Mass", "Nonsense"))
    for task in ("retrieval", "probe"):
        with pytest.raises(EvaluationError, match="has the label 'Nonsense'; they have Edema, Mass"):
            TASKS[task](asked, {}, manifest, manifest, Stopwatch(), None)


def test_embeddings_that_are_not_finite_are_refused():
    z = np.eye(3, dtype=np.float32)
    bad = z.copy()
    bad[1, 1] = np.nan
    ids, labels = ("a", "b", "c"), ({}, {}, {})
    with pytest.raises(EvaluationError, match="'broken' gives embeddings that are not finite"):
        evaluate_space(
            {
                "good": StudyEmbeddings(z, z, ids, ids, labels),
                "broken": StudyEmbeddings(z, bad, ids, ids, labels),
            }
        )


def test_only_tasks_on_a_manifest_record_the_split():
    result = Result("rsna", "strict", ())
    signed = [_signed(result, Plan("r", Path("m"), task=t), {}, "", Stopwatch()) for t in ("rsna", "space")]
    assert [s.settings for s in signed] == [{}, {"split": "test"}]


@pytest.mark.parametrize("task", ["probe", "fine-tune"])
def test_what_learns_from_labels_reports_on_the_test_split_whatever_was_asked(task, monkeypatch, tmp_path):
    manifest = Manifest([Study(s, s, split=s) for s in ("train", "validate", "test")], tmp_path)
    manifest.write(tmp_path / "m.parquet")
    monkeypatch.setattr("radalign.evaluate.run._systems", lambda plan: {})
    monkeypatch.setattr("radalign.evaluate.run.provenance", lambda systems, sha256, *rest: {"sha256": sha256})
    monkeypatch.setitem(TASKS, task, lambda *given: Result("linear probe", "strict", ()))
    for split in ("test", "validate"):
        signed = evaluate_run(Plan("r", tmp_path / "m.parquet", task=task, split=split))
        assert signed.settings == {"split": "test"}
        assert signed.made_by["sha256"] == manifest.where(split="test").sha256()
    assert Plan("r", Path("m"), task=task, split="validate").default_folder.name == f"{task}-test"


def test_a_switch_that_no_system_has_is_refused(tmp_path, monkeypatch):
    system = SimpleNamespace(recipe=SimpleNamespace(name="alta"))
    monkeypatch.setattr("radalign.systems.base.load", lambda path, device: system)
    with pytest.raises(EvaluationError, match=r"\(alta\) heeds --allow-transductive.*leave it out"):
        _systems(plan(tmp_path / "run", allow_transductive=True))
    system.allow_transductive = False
    assert _systems(plan(tmp_path / "run", allow_transductive=True))["alta"].allow_transductive


def test_what_only_some_tasks_need_is_not_imported_for_all():
    code = "import sys, radalign.evaluate.run; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True
    )
    loaded = set(done.stdout.split())
    assert "radalign.evaluate.retrieval" in loaded
    assert not {"radalign.data.phantom", "pydicom", "matplotlib"} & loaded
