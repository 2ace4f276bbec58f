"""Several cells at once: each has a line that tells how far it is."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from radalign.leaderboard.cells import Cell, Job
from radalign.leaderboard.overview import Overview, stage
from radalign.leaderboard.plan import Arm
from radalign.train.record import RunLog, last_line

START = {"kind": "start", "resumed_at_step": 0}


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    job = Job("ClinVLA", 1, "clinvla", (), "m.parquet", "pixels", (), (), {})
    return Cell(Arm(name="ClinVLA", recipe="clinvla"), 1, tmp_path / "clinvla-1", job)


def log(run: Path, *lines: dict) -> None:
    run.mkdir(parents=True)
    (run / "log.jsonl").write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines))


@pytest.mark.parametrize(
    ("folder", "lines", "words"),
    [
        ("run", [], "beginning"),
        ("run", [START], "training"),
        ("run", [START, {"kind": "step", "step": 7, "total": 2.5}], "training, step 7"),
        ("run", [START, {"kind": "step", "step": 7}, {"kind": "end", "stopped_by": "time"}], "judging"),
        ("pretrained", [{"kind": "step", "step": 3}], "training its vision encoder, step 3"),
        ("pretrained", [{"kind": "end"}], "training its vision encoder"),
    ],
)
def test_a_cell_is_as_far_as_the_log_of_its_training_says(cell, folder, lines, words):
    log(cell.folder / folder, *lines)
    assert stage(cell) == words


def test_a_cell_without_a_folder_is_beginning(cell):
    assert stage(cell) == "beginning"


def test_the_last_line_of_a_log_is_a_whole_one(tmp_path):
    path = tmp_path / "log.jsonl"
    writer = RunLog(path)
    for step in range(3000):
        writer.write("step", step=step, total=1 / 3)
    writer.close()
    assert path.stat().st_size > 2**16
    with path.open("ab") as file:
        file.write(b'{"kind": "step", "st')
    assert last_line(path) == {"kind": "step", "step": 2999, "total": 1 / 3}


@pytest.mark.parametrize("quiet", [False, True])
def test_a_terminal_shows_a_line_per_running_cell_and_takes_it_away(cell, quiet):
    written = io.StringIO()
    overview = Overview(quiet, Console(file=written, force_terminal=True, width=80))
    with overview:
        overview.begin(cell)
        log(cell.run, {"kind": "step", "step": 12})
        overview.look()
        overview._progress.refresh()
        overview.end(cell)
    assert ("ClinVLA, seed 1: training, step 12" in written.getvalue()) is not quiet
