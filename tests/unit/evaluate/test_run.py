"""Which systems an evaluation compares, and by which names."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from radalign.evaluate.embeddings import EvaluationError
from radalign.evaluate.plan import Plan
from radalign.evaluate.run import _systems, distinguishing_ends, evaluate_run


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
    with pytest.raises(EvaluationError, match="The device 'tpu9' cannot be used"):
        evaluate_run(Plan(run="runs/a", data=tmp_path, task="rsna", device="tpu9"))
