"""A progress bar on stderr, for a person at a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any


def progress_bar(quiet: bool = False) -> Callable[[Iterable[Any], str], Iterable[Any]]:
    """A function that wraps an iterable in a bar with a title; silent when quiet or not at a terminal.

    >>> list(progress_bar(quiet=True)([1, 2], "Counting"))
    [1, 2]
    """
    if quiet or not sys.stderr.isatty():
        return lambda items, title: items

    def wrapped(items: Iterable[Any], title: str) -> Iterable[Any]:
        from rich.console import Console
        from rich.progress import track

        return track(items, title, console=Console(stderr=True), transient=True)

    return wrapped


@contextmanager
def bytes_bar() -> Iterator[Callable[[str, int, int], None] | None]:
    """Gives a function (name, bytes there, bytes in all) that draws bars, or None away from a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

    tasks: dict[str, TaskID] = {}
    columns = (TextColumn("{task.description}"), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:

        def report(name: str, there: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name)
            progress.update(tasks[name], completed=there, total=total or None)

        yield report
