"""What a person sees while a system trains: one bar with the loss terms, and a line per validation."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, track


class Bar:
    """A progress bar on standard error; without a terminal only the lines, and when quiet nothing.

    Args:
        quiet: Say nothing at all.
        console: Where to write; standard error by default.
    """

    def __init__(self, quiet: bool = False, console: Console | None = None) -> None:
        self._console = console or Console(file=sys.stderr, highlight=False, soft_wrap=True)
        self._quiet = quiet
        self._progress: Progress | None = None
        self._task = TaskID(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    @property
    def _is_drawn(self) -> bool:
        return not self._quiet and self._console.is_terminal

    def around(self, items: Iterable[Any], label: str) -> Iterable[Any]:
        """A bar of its own around a loop before the training (decoding, frozen features)."""
        return track(items, label, console=self._console, transient=True) if self._is_drawn else items

    def start(self, total_steps: int, done_steps: int) -> None:
        """Show the bar of the training steps."""
        if not self._is_drawn:
            return
        columns = (
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=20),
            TextColumn("{task.completed}/{task.total}"),
            TextColumn("{task.fields[terms]}"),
            TextColumn("{task.fields[speed]}"),
            TimeElapsedColumn(),
            TextColumn("left {task.fields[left]}"),
        )
        self._progress = Progress(*columns, console=self._console, transient=True)
        self._task = self._progress.add_task(
            "train", total=total_steps, completed=done_steps, epoch=1, terms="", speed="", left="?"
        )
        self._progress.start()

    def step(self, epoch: int, terms: Mapping[str, float], speed: Mapping[str, float]) -> None:
        """Move on by one step."""
        if self._progress is not None:
            self._progress.update(
                self._task,
                advance=1,
                epoch=epoch,
                terms=" ".join(f"{name} {value:.3f}" for name, value in terms.items()),
                speed=f"{speed['studies_per_s']:.1f} studies/s, waiting {speed['wait_percent']:.0f} %",
                left=clock(speed["left_s"]),
            )

    def say(self, sentence: str) -> None:
        """Write a line above the bar."""
        if not self._quiet:
            self._console.print(sentence, markup=False)


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss or m:ss.

    >>> clock(59.6), clock(3725)
    ('1:00', '1:02:05')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
