"""Cells in processes of their own, one after the other or several side by side.

A process of its own makes a cell's memory its own, and keeps its failure from the others. A request to stop
(Ctrl-C, a cluster's signal) is passed on once, so that every cell saves where it is; a second one ends all.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import torch

from radalign.data.provenance import usable_cores
from radalign.leaderboard.cell_run import FAILED, STOPPED
from radalign.leaderboard.cells import Cell, write_failure
from radalign.train.interrupt import polite_interrupts

Process = subprocess.Popen[bytes]
_LOOK_EVERY_S = 0.2


class Watcher(Protocol):
    """Who wants to know how cells are doing."""

    def begin(self, cell: Cell) -> None:
        """A cell is about to begin."""

    def look(self) -> None:
        """Some time has passed."""

    def end(self, cell: Cell, code: int) -> None:
        """A cell has ended by itself, with this exit code."""

    def stop(self) -> None:
        """Somebody asked to stop; cells are about to save where they are."""


def run_processes(cells: Sequence[Cell], at_once: int, quiet: bool, watcher: Watcher) -> None:
    """Run every cell, each in a process of its own.

    Args:
        cells: In the order in which they begin.
        at_once: How many run side by side; several share the cores, or the graphics cards, and show no bars.
        quiet: No progress.
        watcher: Is told of every cell; not of the end of one that was stopped.

    Raises:
        KeyboardInterrupt: If somebody asked to stop, once every cell has saved where it is.
    """
    waiting, running = deque(cells), dict[int, tuple[Cell, Process]]()
    with polite_interrupts() as interrupt:
        try:
            while waiting or running:
                for place in range(at_once):
                    if waiting and place not in running:
                        cell = waiting.popleft()
                        watcher.begin(cell)
                        own = part_of_machine(place, at_once, usable_cores(), _cards(), os.environ)
                        running[place] = cell, _start(cell, quiet or at_once > 1, own)
                time.sleep(_LOOK_EVERY_S)
                watcher.look()
                for cell, code in _take_ended(running):
                    if code == STOPPED:
                        interrupt.asked = True
                        continue
                    _note_failure(cell, code)
                    watcher.end(cell, code)
                if interrupt.asked:
                    watcher.stop()
                    _stop([process for _, process in running.values()])
                    raise KeyboardInterrupt
        finally:
            for _, process in running.values():
                process.kill()


def part_of_machine(
    place: int, at_once: int, cores: int, cards: Sequence[str], environment: Mapping[str, str]
) -> dict[str, str]:
    """The environment of the process at a place: with its part of the cores, and one graphics card.

    Args:
        place: From 0 to `at_once` - 1.
        at_once: How many run side by side; one has the whole machine.
        cores: That this process may use.
        cards: Names of graphics cards that this process may use.
        environment: Of this process; a number of threads that it names stays.

    >>> part_of_machine(2, 3, cores=8, cards=["0", "1"], environment={"HOME": "/root"})
    {'OMP_NUM_THREADS': '2', 'HOME': '/root', 'CUDA_VISIBLE_DEVICES': '0'}
    >>> part_of_machine(0, 1, cores=8, cards=["0", "1"], environment={})
    {}
    """
    if at_once == 1:
        return dict(environment)
    found = {"OMP_NUM_THREADS": str(max(1, cores // at_once)), **environment}
    return found | ({"CUDA_VISIBLE_DEVICES": cards[place % len(cards)]} if cards else {})


def _cards() -> list[str]:
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = torch.cuda.device_count()
    return [card.strip() for card in named.split(",")][:count] if named else [str(k) for k in range(count)]


def _start(cell: Cell, quiet: bool, environment: dict[str, str]) -> Process:
    """Start a cell where no key of the terminal reaches it: it is asked to stop once, by this process."""
    words = [sys.executable, "-m", "radalign.leaderboard.cell_run", str(cell.folder)]
    return subprocess.Popen(
        [*words, *(["--quiet"] if quiet else [])],
        stdout=subprocess.DEVNULL, env=environment, start_new_session=True,
    )  # fmt: skip


def _take_ended(running: dict[int, tuple[Cell, Process]]) -> Iterator[tuple[Cell, int]]:
    """Cells that have ended, with their exit codes; their places become free."""
    for place, (cell, process) in list(running.items()):
        code = process.poll()
        if code is not None:
            del running[place]
            yield cell, code


def _stop(processes: Iterable[Process]) -> None:
    """Ask all to stop, then wait until they have saved where they are."""
    asked = list(processes)
    for process in asked:
        process.send_signal(signal.SIGINT)
    for process in asked:
        process.wait()


def _note_failure(cell: Cell, code: int) -> None:
    """Say why a cell has no result, where it could not do so itself."""
    if code not in (0, FAILED):
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        write_failure(cell.folder, f"Its process ended with {how}; see whether memory ran out.")
    elif code == FAILED and not cell.failure():
        write_failure(cell.folder, "Its process could not start; see the lines above.")
