"""A damaged file of one cell is named with its cell; the others go on."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from radalign.cli import build_app
from radalign.leaderboard.board import BoardOptions, make_board
from radalign.leaderboard.cell_files import DamagedFile
from radalign.leaderboard.cells import Job
from radalign.leaderboard.plan import load_plan
from radalign.leaderboard.two_boards import read_board

PAGE = BoardOptions(page_only=True, gallery=False, quiet=True, isolate=False)
pytestmark = pytest.mark.timeout(600)  # the first test waits for the board of all


def cut(path):
    """What a copy leaves that was cut short."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.fixture
def copy(board, tmp_path):
    """A copy of the board to spoil, and a way to make it again."""
    shutil.copytree(board.out, tmp_path / "board")

    def again(said=None, **options):
        say = None if said is None else said.append
        return make_board(load_plan(board.plan), board.data, copy_of, replace(PAGE, **options), say)

    copy_of = again.out = tmp_path / "board"
    return again


@pytest.mark.parametrize("name", ["result.json", "cell.json", "run/run.json", "draws.npz"])
@pytest.mark.parametrize("damage", [cut, lambda path: path.write_bytes(b"")], ids=["cut", "empty"])
def test_a_page_names_the_damaged_file_and_shows_the_other_cells(copy, name, damage):
    path = copy.out / "cells" / "heads-0" / name
    damage(path)
    table = copy()["table.md"].read_text()
    without = table.split("## Cells without a result\n")[1].split("\n## ")[0]
    line = next(line for line in without.splitlines() if line.endswith(": heads, seed 0."))
    assert str(path) in line
    assert "remove" in line
    assert "| heads, seed 1 |" in table
    assert "| heads, seed 0 |" not in table


def test_a_reason_that_cannot_be_read_is_told_as_such(copy):
    cut(copy.out / "cells" / "broken-0" / "failed.json")
    table = copy()["table.md"].read_text()
    assert "- broken, seed 0 failed: failed.json of the cell broken-0 cannot be read (" in table


def test_a_gallery_goes_on_without_damaged_pictures(copy):
    path = copy.out / "cells" / "heads-0" / "pictures.json"
    cut(path)
    assert "<img" not in copy(gallery=False)["page.html"].read_text()
    text = copy(gallery=True)["page.html"].read_text()
    assert "pictures.json of the cell heads-0 cannot be read (" in text
    path.write_text("{}")
    assert "pictures.json of the cell heads-0 cannot be read (" in copy(gallery=True)["page.html"].read_text()


@pytest.mark.parametrize("name", ["result.json", "cell.json", "draws.npz", "pictures.json"])
def test_a_trained_cell_is_judged_again(copy, name):
    before = json.loads((copy.out / "cells" / "closed-form-0" / "result.json").read_text())["measures"]
    cut(copy.out / "cells" / "closed-form-0" / name)
    said = []
    files = copy(said, page_only=False, arms=("closed form",))
    assert said == ["Cell 1 of 1: closed form, seed 0: judging ..."]
    assert json.loads(files["board.json"].read_text())["not_shown"] == {}
    after = json.loads((copy.out / "cells" / "closed-form-0" / "result.json").read_text())["measures"]
    assert after == before


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_damaged_run_is_a_sentence_of_its_cell_alone(copy, content):
    path = copy.out / "cells" / "closed-form-0" / "run" / "run.json"
    path.write_text(content)
    said = []
    table = copy(said, page_only=False, arms=("closed form",))["table.md"].read_text()
    assert f"failed. {path} " in said[-1]
    assert said[-1].endswith("train again.")
    assert f"- closed form, seed 0 failed: {path} " in table


def test_a_damaged_cell_that_came_from_a_record_takes_the_record_again(board, copy, tmp_path):
    records, out = tmp_path / "records", tmp_path / "other"
    copy(records=records)
    plan, options, said = load_plan(board.plan), replace(PAGE, records=records), []
    make_board(plan, board.data, out, options)
    cut(out / "cells" / "heads-0" / "result.json")
    make_board(plan, board.data, out, options, said.append)
    assert said == [f"Taken in: {records / 'heads-0.zip'}."]


@pytest.mark.parametrize(
    ("change", "words"),
    [({"colour": 1}, "too much or too little of colour"), ({"seed": None}, "too little of seed")],
)
def test_a_job_of_another_version_is_a_sentence(copy, change, words):
    path = copy.out / "cells" / "heads-0" / "cell.json"
    job = json.loads(path.read_text()) | change
    path.write_text(json.dumps({k: v for k, v in job.items() if v is not None}))
    with pytest.raises(DamagedFile, match=words):
        Job.read(path.parent)
    with pytest.raises(DamagedFile, match=words):
        read_board(copy.out)
    found = CliRunner().invoke(build_app(), ["compare", str(copy.out), str(copy.out)])
    assert isinstance(found.exception, DamagedFile)
