"""What a person sees of several cells at once: a line for each that runs, with how far it has come."""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from radalign.leaderboard.cells import Cell
from radalign.train.record import last_line


class Overview:
    """Lines at the foot of a terminal; without a terminal nothing.

    Args:
        quiet: Draw nothing on a terminal either.
        console: Where to draw; standard error by default.
    """

    def __init__(self, quiet: bool = False, console: Console | None = None) -> None:
        console = console or Console(file=sys.stderr, highlight=False)
        columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
        hidden = quiet or not console.is_terminal
        self._progress = Progress(*columns, console=console, transient=True, disable=hidden)
        self._tasks: dict[Path, tuple[Cell, TaskID]] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begin(self, cell: Cell) -> None:
        """Draw a line for a cell."""
        self._tasks[cell.folder] = cell, self._progress.add_task(cell.label)

    def end(self, cell: Cell) -> None:
        """Take its line away."""
        self._progress.remove_task(self._tasks.pop(cell.folder)[1])

    def look(self) -> None:
        """See how far every cell is."""
        for cell, task in self._tasks.values():
            self._progress.update(task, description=f"{cell.label}: {stage(cell)}")


def stage(cell: Cell) -> str:
    """How far a cell has come, by the log of its training."""
    for run, verb in ((cell.run, "training"), (cell.pretrained, "training its vision encoder")):
        line = last_line(run / "log.jsonl")
        if run == cell.run and line.get("kind") == "end":
            return "judging"
        if line:
            return f"{verb}, step {line['step']}" if "step" in line else verb
    return "beginning"
