"""A cell's result is made again from its own rules and weights, and every number is compared."""

from __future__ import annotations

import json
import shutil

import pytest
from typer.testing import CliRunner

from radalign.cli import build_app
from radalign.leaderboard.board import BoardOptions, make_board
from radalign.leaderboard.check import check_cell
from radalign.leaderboard.plan import LeaderboardError, load_plan

pytestmark = pytest.mark.timeout(600)  # the first test waits for the board of all


@pytest.fixture
def cell(board, tmp_path):
    """A cell with two test sets and two tasks, to spoil."""
    shutil.copytree(board.out / "cells" / "heads-0", tmp_path / "heads-0")
    return tmp_path / "heads-0"


def rewrite(path, change):
    table = json.loads(path.read_text())
    change(table)
    path.write_text(json.dumps(table))


def check(*words):
    return CliRunner().invoke(build_app(), ["evaluate", "--json", *map(str, words)])


def test_a_cell_repeats_as_the_board_judged_it(cell):
    found = check("--check", cell / "result.json")
    assert found.exit_code == 0, found.output
    table = json.loads(found.stdout.splitlines()[-1])
    stated = json.loads((cell / "result.json").read_text())
    assert table["compared"] == len(stated["measures"]) + len(stated["gaps"])
    assert table["differences"] == []
    assert any("[with frontal]" in m["task"] for m in stated["measures"])


def test_a_number_that_was_changed_is_told(cell):
    rewrite(cell / "result.json", lambda table: table["measures"][0].update(value=0.987))
    found = check("--check", cell / "result.json")
    assert found.exit_code == 1
    assert "was 0.987, is " in found.stdout


def test_a_run_and_data_that_moved_are_named(cell, board, tmp_path):
    shutil.move(cell / "run", tmp_path / "moved")
    for path in [*board.data.parent.glob("*.png"), board.data]:
        (tmp_path / "data").mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / "data")
    rewrite(cell / "result.json", lambda table: table["made_by"].update(data="gone.parquet"))
    with pytest.raises(LeaderboardError, match=r"manifest gone.parquet, which is not there; say .* --data"):
        check_cell(cell / "result.json", str(tmp_path / "moved"))
    data = tmp_path / "data" / board.data.name
    assert check_cell(cell / "result.json", str(tmp_path / "moved"), data).repeats


def test_without_weights_it_is_said_and_what_to_do(cell, board, tmp_path):
    shutil.rmtree(cell / "run" / "best")
    with pytest.raises(LeaderboardError, match=r"no weights beside it .*came from a record.*train it with"):
        check_cell(cell / "result.json")
    page_only = BoardOptions(quiet=True, isolate=False, page_only=True, records=tmp_path / "records")
    make_board(load_plan(board.plan), board.data, board.out, page_only)
    found = check("--check", tmp_path / "records" / "heads-0.zip")
    assert isinstance(found.exception, LeaderboardError)
    assert "is a record: it has a cell's numbers and no weights" in str(found.exception)
