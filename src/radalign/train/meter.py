"""Speed of a run: studies per second, the share of time spent waiting for data, and the time left."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


class Meter:
    """Counts studies and time; recent steps weigh more than old ones.

    Args:
        total_steps: Steps of the whole run.
        done_steps: Steps taken before the last interruption.
    """

    def __init__(self, total_steps: int, done_steps: int = 0) -> None:
        self._total, self._done = total_steps, done_steps
        self._since = time.perf_counter()
        self._wait_s = 0.0
        self._recent: list[float] = []  # seconds, waiting seconds and studies of a step

    def waiting(self, batches: Iterable[Item]) -> Iterator[Item]:
        """Pass batches on and time how long each was waited for."""
        iterator = iter(batches)
        while True:
            begin = time.perf_counter()
            try:
                item = next(iterator)
            except StopIteration:
                return
            finally:
                self._wait_s += time.perf_counter() - begin
            yield item

    def restart(self) -> None:
        """Start timing now: what came before (a validation) is not a step."""
        self._since, self._wait_s = time.perf_counter(), 0.0

    def step(self, studies: int) -> dict[str, float]:
        """A step is done: how fast are we?

        Args:
            studies: Studies in this step, of all processes.

        Returns:
            `studies_per_s`, `wait_percent` and `left_s`, smoothed over about ten steps.
        """
        now = time.perf_counter()
        latest = [now - self._since, self._wait_s, float(studies)]
        self._done += 1
        self.restart()
        old = self._recent or latest
        self._recent = [0.9 * before + 0.1 * new for before, new in zip(old, latest, strict=True)]
        seconds, wait_s, count = self._recent
        seconds = max(seconds, 1e-9)
        return {
            "studies_per_s": count / seconds,
            "wait_percent": 100 * wait_s / seconds,
            "left_s": seconds * max(0, self._total - self._done),
        }
