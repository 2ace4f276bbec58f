"""An arm whose vision encoder is trained first, out of the same budget."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from radalign.leaderboard.board import BoardOptions, make_board
from radalign.leaderboard.cells import Job, needs_pretraining
from radalign.leaderboard.plan import LeaderboardError, load_plan
from radalign.systems.base import load
from radalign.train.folder import RESUME, read_run
from radalign.weights.hub import load_vision
from tests.unit.leaderboard.conftest import PLAN, finished_board

ARMS = """
[[arm]]
name = "heads"
recipe = "linear-heads"
seeds = [0]

[[arm]]
name = "rebuilt, then heads"
recipe = "linear-heads"
pretrain = { recipe = "mrm", settings = ["model.decoder_depth=1", "model.decoder_heads=2"] }
seeds = [0]
ablates = "heads"
"""
TEXT = PLAN.split("[[arm]]")[0].replace('reference = "heads"', "").replace("epochs = 2", "epochs = 4")


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    made = finished_board(tmp_path_factory.mktemp("pretrained"), TEXT + ARMS)
    made.cell = made.out / "cells" / "rebuilt-then-heads-0"
    return made


QUIET = BoardOptions(quiet=True, isolate=False)


def test_each_training_has_its_share_of_the_budget(board):
    first, then = read_run(board.cell / "pretrained"), read_run(board.cell / "run")
    assert (first["epochs"], then["epochs"]) == (2, 2)
    assert (first["details"]["recipe"]["system"], then["details"]["recipe"]["system"]) == (
        "mrm",
        "two_towers",
    )


def test_the_arm_sees_with_the_encoder_that_was_trained_first(board):
    made = load_vision(str(board.cell / "pretrained"))
    assert load(board.cell / "run" / "best").vision.identity == made.identity
    alone = load(board.out / "cells" / "heads-0" / "run" / "best")
    assert alone.vision.identity != made.identity


def test_the_page_counts_both_trainings(board):
    markdown = (board.out / "table.md").read_text()
    steps = [read_run(board.cell / name)["steps"] for name in ("pretrained", "run")]
    row = next(line for line in markdown.splitlines() if line.startswith("| rebuilt, then heads | 0 |"))
    assert f" {sum(steps)} " in row
    assert "are of both trainings" in markdown
    assert "| mrm, then linear-heads |" in markdown
    assert "at most 4 epochs of training for every arm" in markdown


def test_a_second_time_nothing_is_trained(board):
    said: list[str] = []
    make_board(load_plan(board.plan), board.data, board.out, QUIET, said.append)
    assert all("done before" in line for line in said)


def test_a_board_may_be_moved(board, tmp_path):
    moved = shutil.copytree(board.out, tmp_path / "elsewhere")
    make_board(load_plan(board.plan), board.data, moved, replace(QUIET, page_only=True))
    assert "| rebuilt, then heads | 0 |" in (moved / "table.md").read_text()


def test_a_larger_budget_does_not_pull_the_encoder_from_under_a_run(board):
    record = board.cell / "pretrained" / "run.json"
    before = record.read_text()
    stopped = json.loads(before) | {"finished": False}
    record.write_text(json.dumps(stopped))
    (board.cell / "pretrained" / RESUME).touch()
    try:
        with pytest.raises(LeaderboardError, match="remove the cell's folder"):
            needs_pretraining(board.cell, Job.read(board.cell))
    finally:
        record.write_text(before)
        (board.cell / "pretrained" / RESUME).unlink()


def test_a_record_tells_of_both_trainings(board, tmp_path):
    keep = BoardOptions(quiet=True, isolate=False, page_only=True, records=tmp_path / "records")
    whole = make_board(load_plan(board.plan), board.data, board.out, keep)["table.md"].read_text()
    other = make_board(load_plan(board.plan), board.data, tmp_path / "other", keep)["table.md"].read_text()
    for title in ("## Cost", "## How it was made"):
        assert other.split(title)[1].split("\n## ")[0] == whole.split(title)[1].split("\n## ")[0]
