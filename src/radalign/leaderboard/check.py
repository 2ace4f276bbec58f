"""`radalign evaluate --check` of a board's cell: judge it again as its result says, and compare every number.

cells/<arm>-<seed>/result.json ── judged_as ──┐
cells/<arm>-<seed>/run/best ──────────────────┴─ judge ──> another result ── compare ──> what differs
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from radalign.evaluate.check import TOLERANCE, Check, compare_results
from radalign.evaluate.embeddings import Progress
from radalign.evaluate.results import Result
from radalign.leaderboard.judge import judge
from radalign.leaderboard.plan import LeaderboardError, TestSet, make_judging
from radalign.study import Manifest


def is_of_a_board(path: Path) -> bool:
    """Whether a file is the result of a board's cell, or the record of one."""
    if zipfile.is_zipfile(path):
        return True
    try:
        made = json.loads(path.read_text(encoding="utf-8"))["made_by"]
        return "judged_as" in made
    except (OSError, ValueError, LookupError, TypeError):
        return False  # whoever reads it as a plain result says what is wrong


def check_cell(
    path: Path, run: str = "", data: Path | None = None, tolerance: float = TOLERANCE,
    progress: Progress | None = None,
) -> Check:  # fmt: skip
    """Judge a cell again by the rules in its result and compare.

    Args:
        path: Its `result.json`.
        run: Where its run is now, if it has moved; the cell's own `run` by default.
        data: Where the manifest is now, if it has moved.
        tolerance: Largest difference of a number that still counts as the same.
        progress: Wraps loops.

    Raises:
        LeaderboardError: If there are no weights, or no manifest, that could be judged.
        ResultError: If the result cannot be read.
    """
    if zipfile.is_zipfile(path):
        raise LeaderboardError(
            f"{path} is a record: it has a cell's numbers and no weights, so they cannot be made again from "
            "it. Train the cell with `radalign leaderboard`, a new --out and no --records, and check that."
        )
    before = Result.read(path)
    rules, arm = before.made_by["judged_as"], str(before.made_by.get("arm", ""))
    judging = make_judging(**rules["judging"])
    system = _weights(path, run, judging.weights)
    manifest = data or Path(str(before.made_by.get("data", "")))
    if not manifest.is_file():
        raise LeaderboardError(
            f"{path} was judged on the manifest {manifest}, which is not there; say where it is with --data."
        )
    tests = [TestSet.model_validate(test) for test in rules["tests"]]
    from radalign.systems.base import load

    judged, _ = judge(
        load(system),
        arm,
        Manifest.read(manifest),
        judging,
        tests,
        tuple(rules["tasks"]),
        progress,
        manifest.parent,
    )
    return compare_results(before, judged.result, tolerance)


def _weights(path: Path, run: str, name: str) -> Path:
    """The system of a cell, at its best or as it was last.

    Raises:
        LeaderboardError: If it is not there.
    """
    folder = (Path(run) if run else path.absolute().parent / "run") / name
    if not folder.is_dir():
        raise LeaderboardError(
            f"{path} has no weights beside it ({folder}): the cell came from a record, or they were removed, "
            "so its numbers cannot be made again. Say where its run is (`radalign evaluate RUN --check ...`) "
            "or remove the cell's folder and train it with `radalign leaderboard` without --records."
        )
    return folder
