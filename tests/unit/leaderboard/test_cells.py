"""A cell that is done stays done, also when its run says more than its plan did."""

import json
from dataclasses import replace

import pytest

from radalign.files import WriteRefused
from radalign.leaderboard import cell_run
from radalign.leaderboard.cells import Job, needs_training
from radalign.leaderboard.plan import LeaderboardError
from radalign.systems.recipe import load_recipe


def job(**changes) -> Job:
    first = Job(
        arm="Tip-Adapter", seed=0, recipe="tip-adapter-offline", settings=("train.seed=0",), data="m.parquet",
        cache="pixels", tasks=("zero-shot",), tests=({"name": "all"},), judging={}, flops=0.0, data_sha256="",
    )  # fmt: skip
    return replace(first, **changes)


@pytest.fixture
def run(tmp_path):
    recipe = load_recipe("tip-adapter-offline", ["train.seed=0"]).model_dump(mode="json")
    recipe["model"]["classes"] = ["Cardiomegaly", "normal"]  # the training data filled it in
    record = {"finished": True, "stopped_by": "epochs", "details": {"recipe": recipe}}
    (tmp_path / "run.json").write_text(json.dumps(record))
    (tmp_path / "log.jsonl").write_text("")
    return tmp_path


def test_classes_that_the_data_added_are_no_other_setting(run):
    assert not needs_training(run, job())


def test_classes_that_the_plan_names_otherwise_are(run):
    with pytest.raises(LeaderboardError, match=r"model\.classes"):
        needs_training(run, job(settings=("train.seed=0", 'model.classes=["normal"]')))


def test_so_is_another_seed(run):
    with pytest.raises(LeaderboardError, match=r"train\.seed"):
        needs_training(run, job(settings=("train.seed=1",)))


def test_a_full_disk_is_one_sentence_and_no_second_error(tmp_path, monkeypatch, capsys):
    sentence = "Could not write log.jsonl: the disk is full. Free some space and run the same command again."

    def full(*args):
        raise WriteRefused(sentence)

    monkeypatch.setattr(cell_run, "run_cell", full)
    monkeypatch.setattr(cell_run, "write_failure", full)
    monkeypatch.setattr(cell_run, "end_with", lambda parent: None)
    assert cell_run.main([str(tmp_path)]) == cell_run.FAILED
    assert capsys.readouterr().err == sentence + "\n"
