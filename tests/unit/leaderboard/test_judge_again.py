"""After an update, cells that an earlier version judged are judged anew from their weights; none is trained."""

from __future__ import annotations

import json
import shutil

import pytest

from radalign.evaluate.results import Result
from radalign.leaderboard import cell_run
from radalign.leaderboard.board import BoardOptions, make_board
from radalign.leaderboard.plan import load_plan

pytestmark = pytest.mark.timeout(600)  # the first test waits for the board of all
ARMS = ("heads", "frontal only")


@pytest.fixture
def updated(board, tmp_path, monkeypatch):
    """A copy of the board of which some cells were judged by earlier code, and a way to go on with it."""
    shutil.copytree(board.out, tmp_path / "board")
    cells = tmp_path / "board" / "cells"
    judged_by(cells / "heads-0", radalign="0.0.1")
    judged_by(cells / "heads-1", commit="f" * 40)
    judged_by(cells / "adapters-d-0", commit="f" * 40)
    for cell in ("heads-0", "heads-1"):
        rewrite(cells / cell, lambda table: table["measures"][0].update(value=0.987))

    def train(*_):
        raise AssertionError("a finished cell was trained again")

    monkeypatch.setattr(cell_run, "_train", train)

    def again(**options):
        said = []
        how = BoardOptions(gallery=False, quiet=True, isolate=False, arms=ARMS, **options)
        make_board(load_plan(board.plan), board.data, tmp_path / "board", how, said.append)
        return [line for line in said if "..." in line], said

    again.cells = cells
    return again


def rewrite(cell, change):
    table = json.loads((cell / "result.json").read_text())
    change(table)
    (cell / "result.json").write_text(json.dumps(table))


def judged_by(cell, **version):
    rewrite(cell, lambda table: table["made_by"].update(version))


def test_cells_that_earlier_code_judged_are_judged_anew_once(updated, board):
    assert updated()[0] == []
    begun, _ = updated(judge_again=True)
    assert begun == ["Cell 1 of 3: heads, seed 0: judging ...", "Cell 3 of 3: heads, seed 1: judging ..."]
    for name in ("heads-0", "heads-1"):
        before = Result.read(board.out / "cells" / name / "result.json")
        after = Result.read(updated.cells / name / "result.json")
        assert after.made_by["radalign"] == before.made_by["radalign"]
        assert after.made_by["commit"] == before.made_by["commit"]
        assert [m.key for m in after.measures] == [m.key for m in before.measures]
        assert [m.value for m in after.measures] == pytest.approx(
            [m.value for m in before.measures], nan_ok=True
        )
    assert Result.read(updated.cells / "adapters-d-0" / "result.json").made_by["commit"] == "f" * 40
    assert updated(judge_again=True)[0] == []


def test_a_cell_without_weights_stays_as_it_was_judged_and_is_named(updated):
    for name in ("best", "last"):
        shutil.rmtree(updated.cells / "heads-0" / "run" / name)
    begun, said = updated(judge_again=True)
    assert begun == ["Cell 3 of 3: heads, seed 1: judging ..."]
    assert (
        "Judged by another version and without weights, so that they stay as they are: heads, seed 0." in said
    )
    assert Result.read(updated.cells / "heads-0" / "result.json").made_by["radalign"] == "0.0.1"
