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


pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from radalign.study import Manifest

    folder = tmp_path_factory.mktemp("board")
    Manifest(drawn_studies(folder), folder).write(folder / "m.parquet")
    head = PLAN.split("[[test]]")[0].replace("epochs = 2", "epochs = 15").replace("[0, 1]", "[0]")
    (folder / "plan.toml").write_text(head + '[[arm]]\nname = "heads"\nrecipe = "clinvla-heads"\n')
    return folder


def steps(run: Path) -> list[tuple[int, float]]:
    return [(line["step"], line["total"]) for line in read_log(run / "log.jsonl") if line["kind"] == "step"]


def killed(folder: Path, run: Path) -> None:
    """Start the command a person would type; kill it and its cell's process once some steps are taken."""
    words = ["leaderboard", "plan.toml", "--data", "m.parquet", "--out", "killed", "--json"]
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "src"), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "radalign", *words],
        cwd=folder,
        env=environment,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    log = run / "log.jsonl"
    with process:
        while not log.is_file() or log.read_bytes().count(b'"kind": "step"') < 6:
            assert process.poll() is None, process.stderr.read().decode()
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGKILL)


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


def test_a_cell_ends_when_nobody_waits_for_it():
    child = (
        "import os, sys, time; from radalign.leaderboard.cell_run import end_with; "
        "end_with(os.getppid()); print(os.getpid(), flush=True); time.sleep(500)"
    )
    starter = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "src")}
    with subprocess.Popen(
        [sys.executable, "-c", starter], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline().strip().isdigit()
        process.send_signal(signal.SIGKILL)
        assert process.stdout.read() == ""  # the pipe closes when the child is gone too
