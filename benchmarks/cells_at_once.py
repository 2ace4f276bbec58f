"""How much more do cells of a board learn side by side, a core each, than in turn with all cores?

    python benchmarks/cells_at_once.py [--cells 2] [--rounds 5] [--steps 4] [--out cells_at_once.json]

Worker processes take training steps of ClinVLA (the batches of `training_step.py`, precision as `train` would
choose it). In turn: one process with as many threads as there are cells; then that many processes with one
thread each, at the same time. The ratio is of studies per second of wall time, all processes together. Both
need as many idle cores as there are cells.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from interleaved import interleave, ratio


class Worker:
    """A process that takes steps when it is told to."""

    def __init__(self, threads: int) -> None:
        words = [sys.executable, __file__, "--work"]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.wait()

    def ask(self, steps: int) -> None:
        """Begin; do not wait."""
        self._process.stdin.write(f"{steps}\n")
        self._process.stdin.flush()

    def wait(self) -> None:
        """Until the steps are taken."""
        if not self._process.stdout.readline():
            raise RuntimeError("A worker ended before its steps were taken; see the lines above.")

    def end(self) -> None:
        """Close its input, which ends it."""
        self._process.stdin.close()
        self._process.wait()


def work() -> None:
    """The worker's own loop: a number of steps per line."""
    from training_step import batches, our_step

    given = batches(4, 32)
    step = our_step("auto", given, dropout=True)
    step(0)
    print("ready", flush=True)
    for line in sys.stdin:
        for number in range(int(line)):
            step(number)
        print("done", flush=True)


def together(workers: list[Worker], steps: int) -> None:
    """All take their steps at the same time."""
    for worker in workers:
        worker.ask(steps)
    for worker in workers:
        worker.wait()


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4, help="Of every cell in a round.")
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work()
        return
    from radalign.data.provenance import provenance

    count = options.cells
    whole, parts = [Worker(threads=count)], [Worker(threads=1) for _ in range(count)]
    ways = {
        "one after the other": lambda number: together(whole, count * options.steps),
        "side by side": lambda number: together(parts, options.steps),
    }
    begin = time.perf_counter()
    times = interleave(ways, options.rounds)
    for worker in (*whole, *parts):
        worker.end()
    studies = 32 * count * options.steps
    found = {
        "cells": count,
        "studies_per_s": {name: round(studies / t.medians()["wall_s"], 2) for name, t in times.items()},
        "side_by_side_against_one_after_the_other": ratio(
            times["one after the other"], times["side by side"], of="wall_s"
        ),
        "seconds": round(time.perf_counter() - begin, 1),
        "made_by": provenance(),
    }
    text = json.dumps(found, indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
