"""Timing of several ways to do one thing, in turn (A B C A B C ...), in processor time and wall time.

On a busy machine a slow minute then hits all of them alike. Ratios are taken round by round; the median is
given with the smallest and the largest.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch


@dataclass
class Times:
    """Seconds of every round."""

    processor_s: list[float] = field(default_factory=list)
    wall_s: list[float] = field(default_factory=list)

    def medians(self) -> dict[str, float]:
        """Median seconds of a round."""
        return {
            "processor_s": round(statistics.median(self.processor_s), 4),
            "wall_s": round(statistics.median(self.wall_s), 4),
        }


def interleave(
    ways: Mapping[str, Callable[[int], object]], rounds: int, warm_up: int = 1
) -> dict[str, Times]:
    """Call every way with the round's number, in turn; the first rounds are not counted."""
    times = {name: Times() for name in ways}
    for number in range(-warm_up, rounds):
        for name, way in ways.items():
            used, begin = time.process_time(), time.perf_counter()
            way(max(number, 0))
            if number >= 0:
                times[name].processor_s.append(time.process_time() - used)
                times[name].wall_s.append(time.perf_counter() - begin)
    return times


def ratio(slow: Times, fast: Times, of: str = "processor_s") -> dict[str, float]:
    """How many times as fast over the rounds: in processor time, or `wall_s` of what other processes do."""
    pairs = [s / f for s, f in zip(getattr(slow, of), getattr(fast, of), strict=True)]
    wall = [s / f for s, f in zip(slow.wall_s, fast.wall_s, strict=True)]
    return {
        "median": round(statistics.median(pairs), 2),
        "smallest": round(min(pairs), 2),
        "largest": round(max(pairs), 2),
        "wall_median": round(statistics.median(wall), 2),
    }


def matmul_peak(dtype: torch.dtype) -> float:
    """FLOPs per processor second of square matrix products, the best of three sizes (median of each)."""
    best = 0.0
    for side in (512, 1024, 2048):
        a, b = torch.randn(side, side).to(dtype), torch.randn(side, side).to(dtype)
        a @ b
        seconds = []
        for _ in range(5):
            used = time.process_time()
            a @ b
            seconds.append(time.process_time() - used)
        best = max(best, 2 * side**3 / statistics.median(seconds))
    return best
