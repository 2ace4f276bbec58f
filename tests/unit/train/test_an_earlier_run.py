"""What happens to the run that is already in the folder."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
import torch

from radalign.data.dataset import DataError
from radalign.data.examples import list_sha256
from radalign.study import Manifest, Report
from radalign.train.checkpoint import read_resume_point, write_resume_point
from radalign.train.folder import RESUME, RunFolderError, held_run, open_run_folder, remove_run
from radalign.train.loop import train
from radalign.train.start import TrainError
from tests.training_toy import ToySystem, toy_manifest, toy_recipe


@pytest.fixture(autouse=True)
def _no_curves(monkeypatch):
    monkeypatch.setattr("radalign.train.card.draw_curves", lambda *_: False)


@pytest.fixture
def run(tmp_path):
    manifest = toy_manifest(tmp_path / "images", 24)

    def go(system=None, manifest=manifest, **options):
        settings = {"epochs": 2, "save_every_steps": 1}
        system = system or ToySystem(toy_recipe(train=settings))
        return train(system, manifest, tmp_path / "run", tmp_path / "pixels", device="cpu", **options)

    go.folder, go.manifest = tmp_path / "run", manifest
    return go


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


class Failing(ToySystem):
    def warm_start(self, manifest, progress=None):
        raise ValueError("The features cannot be computed.")


def test_a_run_is_overwritten_only_by_one_that_can_begin(run):
    run()
    before = contents(run.folder)
    with pytest.raises(DataError, match=r"split `train`"):
        run(manifest=run.manifest.where(split="validate"), overwrite=True)
    with pytest.raises(ValueError, match=r"features cannot be computed"):
        run(Failing(toy_recipe()), overwrite=True)
    system = ToySystem(toy_recipe())
    system.extra = torch.nn.Linear(2, 2)
    with pytest.raises(ValueError, match=r"in no group"):
        run(system, overwrite=True)
    assert contents(run.folder) == before
    run(overwrite=True)
    assert contents(run.folder)["log.jsonl"] != before["log.jsonl"]


def test_a_kill_while_a_run_is_removed_leaves_a_run(run, monkeypatch):
    run()

    def killed(path, **_):
        real(path, ignore_errors=True)
        if path.name == "last":
            raise KeyboardInterrupt

    real = shutil.rmtree
    monkeypatch.setattr("radalign.train.folder.shutil.rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        remove_run(run.folder)
    monkeypatch.undo()
    assert held_run(run.folder)
    with pytest.raises(RunFolderError, match=r"--overwrite"):
        open_run_folder(run.folder, resume=False, overwrite=False)
    open_run_folder(run.folder, resume=False, overwrite=True)
    remove_run(run.folder)
    assert not list(run.folder.iterdir())


class Interrupted(ToySystem):
    steps = 0

    def after_step(self) -> None:
        super().after_step()
        self.steps += 1
        if self.steps == 2:
            raise KeyboardInterrupt


@pytest.fixture
def stopped(run):
    with pytest.raises(KeyboardInterrupt):
        run(Interrupted(toy_recipe(train={"epochs": 2, "save_every_steps": 1})))
    return run


def test_a_run_does_not_go_on_with_other_reports_under_the_same_ids(stopped):
    changed = [replace(s, report=Report(findings="Opacity at iota.")) for s in stopped.manifest]
    with pytest.raises(TrainError, match=r"began with run\.data"):
        stopped(manifest=Manifest(changed, stopped.manifest.root), resume=True)
    assert stopped(resume=True).is_finished


def test_a_run_that_kept_only_the_ids_still_goes_on(stopped):
    place, tensors = read_resume_point(stopped.folder / RESUME)
    parts = {name: stopped.manifest.where(split=name) for name in ("train", "validate")}
    place.fixed["run"]["data"] = list_sha256(s.id for part in parts.values() for s in part)
    write_resume_point(stopped.folder / RESUME, place, tensors)
    assert stopped(resume=True).is_finished


def test_a_run_that_began_before_a_setting_existed_goes_on_at_its_default(stopped):
    place, tensors = read_resume_point(stopped.folder / RESUME)
    del place.fixed["recipe"]["data"]["force_window"], place.fixed["recipe"]["train"]["zero_shot"]
    write_resume_point(stopped.folder / RESUME, place, tensors)
    assert stopped(resume=True).is_finished
