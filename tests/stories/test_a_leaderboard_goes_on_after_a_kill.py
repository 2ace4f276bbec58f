"""A person makes a leaderboard, the machine dies in a cell, and the same command goes on where it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from radalign.leaderboard.board import BoardOptions, make_board
from radalign.leaderboard.plan import load_plan
from radalign.train.record import read_log
from tests.unit.leaderboard.conftest import PLAN, drawn_studies

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from radalign.study import Manifest

    folder = tmp_path_factory.mktemp("board")
    Manifest(drawn_studies(folder), folder).write(folder / "m.parquet")
    head = PLAN.split("[[test]]")[0].replace("epochs = 2", "epochs = 40").replace("[0, 1]", "[0]")
    (folder / "plan.toml").write_text(head + '[[arm]]\nname = "heads"\nrecipe = "clinvla-heads"\n')
    return folder


def steps(run: Path) -> list[tuple[int, float]]:
    return [(line["step"], line["total"]) for line in read_log(run / "log.jsonl") if line["kind"] == "step"]


def killed(folder: Path, run: Path) -> None:
    """Start the command a person would type; kill it once its cell has taken some steps."""
    words = ["leaderboard", "plan.toml", "--data", "m.parquet", "--out", "killed", "--json"]
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "src"), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "radalign.cli", *words], cwd=folder, env=environment, stderr=subprocess.PIPE
    )
    log = run / "log.jsonl"
    with process:
        while not log.is_file() or log.read_bytes().count(b'"kind": "step"') < 6:
            assert process.poll() is None, process.stderr.read().decode()
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    while (length := log.stat().st_size) != (time.sleep(1.5), log.stat().st_size)[1]:
        assert length  # the cell's own process ends too: nobody waits for it any more


def test_a_killed_board_goes_on_in_the_middle_of_its_cell(folder):
    run = folder / "killed" / "cells" / "heads-0" / "run"
    killed(folder, run)
    assert not (run / "run.json").is_file()

    plan, data = load_plan(folder / "plan.toml"), folder / "m.parquet"
    said: list[str] = []
    quiet = BoardOptions(quiet=True, isolate=False)
    files = make_board(plan, data, folder / "killed", quiet, said.append)
    make_board(plan, data, folder / "whole", quiet)

    assert said == ["Cell 1 of 1: heads, seed 0: going on with its training ..."]
    starts = [line["resumed_at_step"] for line in read_log(run / "log.jsonl") if line["kind"] == "start"]
    assert starts[-1] >= 4
    assert steps(run) == steps(folder / "whole" / "cells" / "heads-0" / "run")
    tables = [path.read_text() for path in (files["table.md"], folder / "whole" / "table.md")]
    numbers = [table.split("## Systems and tasks")[1].split("## Cost")[0] for table in tables]
    assert numbers[0] == numbers[1]
