"""A person makes a leaderboard, the machine dies or somebody stops it, and the same command goes on where it was."""

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
from radalign.train.checkpoint import read_resume_point
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
    plan = head + '[[arm]]\nname = "heads"\nrecipe = "clinvla-heads"\n'
    (folder / "plan.toml").write_text(plan)
    (folder / "two.toml").write_text(plan.replace("[0]", "[0, 1]").replace("= 15", "= 500"))
    return folder


def steps(run: Path) -> list[tuple[int, float]]:
    return [(line["step"], line["total"]) for line in read_log(run / "log.jsonl") if line["kind"] == "step"]


def ended(folder: Path, cells: int, by: int, *words: str) -> tuple[int, str]:
    """Start the command a person would type and end it once each cell took some steps: exit code, standard error."""
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "src"), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "radalign", "leaderboard", *words, "--data", "m.parquet"],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        while cells_with_six_steps(folder / words[-1]) < cells:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.005)
        process.send_signal(by)
        said = process.stderr.read()  # which ends when the processes of the cells are gone too
    return process.returncode, said


def cells_with_six_steps(board: Path) -> int:
    logs = board.glob("cells/*/run/log.jsonl")
    return sum(log.read_bytes().count(b'"kind": "step"') >= 6 for log in logs)


def test_a_killed_board_goes_on_in_the_middle_of_its_cell(folder):
    run = folder / "killed" / "cells" / "heads-0" / "run"
    ended(folder, 1, signal.SIGKILL, "plan.toml", "--json", "--out", "killed")
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


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_all_cells_side_by_side_save_where_they_are(folder, by):
    code, said = ended(folder, 2, by, "two.toml", "--at-once", "2", "--out", f"stopped by {by}")
    assert code == 130
    assert said.splitlines() == [
        "Cell 1 of 2: heads, seed 0: training ...",
        "Cell 2 of 2: heads, seed 1: training ...",
        "Stopping: what is under way is saved. Asked again, it ends at once.",
        "",
        "Stopped. What was finished is kept; the same command goes on where it can.",
    ]
    for seed in (0, 1):
        run = folder / f"stopped by {by}" / "cells" / f"heads-{seed}" / "run"
        last = read_log(run / "log.jsonl")[-1]
        assert (last["kind"], last["stopped_by"]) == ("end", "interrupt")
        assert read_resume_point(run / "resume.safetensors")[0].step == steps(run)[-1][0]


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
