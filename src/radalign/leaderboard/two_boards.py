"""Two boards, arm by arm: what more time, other data or another encoder does to every system.

board or records A ─┐  arms and seeds
board or records B ─┴─ that both have ──> draws subtract by patient ──> gaps by arm and number
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from radalign.data.provenance import provenance
from radalign.evaluate.results import Gap
from radalign.leaderboard.alike import unlike
from radalign.leaderboard.cells import Cell, Job
from radalign.leaderboard.plan import Arm, LeaderboardError
from radalign.leaderboard.records import unpacked, write_files
from radalign.leaderboard.scores import Judged, Key, Scores, read_cell, scores_of
from radalign.leaderboard.winners import columns_of


@dataclass(frozen=True)
class BoardComparison:
    """What was found.

    Args:
        names: Of the two boards.
        seeds: Arm to the seeds that both have.
        scores: Of both boards, over those seeds.
        columns: Numbers of the tables.
        gaps: First board minus second, paired by patient, by arm and number.
        alone: Cells that one board has and the other has not.
        unlike: Arm to the rules by which it was judged otherwise; then nothing of it is paired.
    """

    names: tuple[str, str]
    seeds: Mapping[str, tuple[int, ...]]
    scores: tuple[Scores, Scores]
    columns: tuple[Key, ...]
    gaps: Mapping[tuple[str, Key], Gap]
    alone: tuple[str, ...]
    unlike: Mapping[str, Mapping[str, tuple[Any, Any]]]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        rows = [
            {"arm": arm, "task": key[0], "metric": key[1], "first": one[key].value, "second": two[key].value}
            | ({k: v for k, v in asdict(gap).items() if k in ("value", "low", "high", "p")} if gap else {})
            for arm, one in self.scores[0].items()
            for two in [self.scores[1][arm]]
            for key in self.columns
            if key in one and key in two
            for gap in [self.gaps.get((arm, key))]
        ]
        return {
            "first": self.names[0],
            "second": self.names[1],
            "seeds": {arm: list(seeds) for arm, seeds in self.seeds.items()},
            "differences": rows,
            "alone": list(self.alone),
            "unlike": {arm: {k: list(v) for k, v in rules.items()} for arm, rules in self.unlike.items()},
            "made_by": provenance(),
        }


def is_board(path: Path) -> bool:
    """Whether a folder holds the cells of a board, or records of them."""
    return (path / "cells").is_dir() or (path.is_dir() and any(path.glob("*.zip")))


def read_board(path: Path) -> list[Judged]:
    """Every cell that has a result, of a board's folder or of a folder of records.

    Raises:
        LeaderboardError: If there is none, or a record cannot be read.
    """
    if (path / "cells").is_dir():
        found = [_read(folder.parent) for folder in sorted(path.glob("cells/*/result.json"))]
    else:
        found = [_read_record(record) for record in sorted(path.glob("*.zip"))]
    if not found:
        raise LeaderboardError(f"No cell of {path} has a result.")
    return found


def _read(folder: Path) -> Judged:
    job = Job.read(folder)
    return read_cell(Cell(Arm(name=job.arm, recipe=job.recipe), job.seed, folder, job))


def _read_record(record: Path) -> Judged:
    with tempfile.TemporaryDirectory() as place:
        write_files(Path(place), unpacked(record))
        return _read(Path(place))


def compare_boards(
    first: Sequence[Judged], second: Sequence[Judged], names: tuple[str, str]
) -> BoardComparison:
    """Subtract the second board from the first, arm by arm, over the seeds that both have.

    Raises:
        LeaderboardError: If they have no cell in common.
    """
    one, two = ({(j.cell.arm.name, j.cell.seed): j for j in board} for board in (first, second))
    both = [place for place in one if place in two]
    if not both:
        raise LeaderboardError(f"{names[0]} and {names[1]} have no arm with a seed in common.")
    scores = scores_of([one[p] for p in both]), scores_of([two[p] for p in both])
    rules = {arm: _unlike([(one[p], two[p]) for p in both if p[0] == arm]) for arm in scores[0]}
    columns = [key for key in columns_of(scores[0]) if key in columns_of(scores[1])]
    gaps = {
        (arm, key): gap
        for arm, mine in scores[0].items()
        for key in columns
        if not rules[arm] and key in mine and key in scores[1][arm]
        if (gap := mine[key].minus(scores[1][arm][key])) is not None
    }
    alone = [
        f"{arm}, seed {seed}, only in {name}"
        for name, own, other in ((names[0], one, two), (names[1], two, one))
        for arm, seed in own
        if (arm, seed) not in other
    ]
    seeds = {arm: tuple(sorted(seed for a, seed in both if a == arm)) for arm in scores[0]}
    found = {arm: differing for arm, differing in rules.items() if differing}
    return BoardComparison(names, seeds, scores, tuple(columns), gaps, tuple(alone), found)


def _unlike(pairs: Sequence[tuple[Judged, Judged]]) -> dict[str, tuple[Any, Any]]:
    """What the cells of an arm were judged by otherwise."""
    found: dict[str, tuple[Any, Any]] = {}
    for a, b in pairs:
        tasks = {m.task for m in a.result.measures} & {m.task for m in b.result.measures}
        found |= unlike(a.result, b.result, sorted(tasks))
    return found
