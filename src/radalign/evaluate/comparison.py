"""Numbers of several systems become measures with intervals and gaps with p-values, on shared resamples."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from radalign.evaluate.bootstrap import Draw, Resamples
from radalign.evaluate.results import Gap, Measure
from radalign.evaluate.statistic import Floats, Statistic, mean_of


@dataclass(frozen=True)
class Number:
    """A statistic and what a system that knows nothing is expected to score."""

    statistic: Statistic
    chance: float | None = None


Cell = tuple[str, str]  # (system, task)
Name = tuple[str, str]  # (metric, group)
Numbers = Mapping[Cell, Mapping[Name, Number]]


Key = tuple[str, str, str, str]  # (system, task, metric, group), as `Measure.key`


@dataclass
class KeptDraws:
    """The resampled numbers of an evaluation, so that another one on the same patients can be paired with it.

    Args:
        draws: By what identifies the number.
        patients: By the same, a hash of who was drawn how often; equal hashes may be paired.
    """

    draws: dict[Key, Draw] = field(default_factory=dict)
    patients: dict[Key, str] = field(default_factory=dict)


_KEPT: ContextVar[KeptDraws | None] = ContextVar("kept draws", default=None)


@contextmanager
def keeping_draws() -> Iterator[KeptDraws]:
    """Collect the draws of every comparison within a `with` block."""
    kept = KeptDraws()
    token = _KEPT.set(kept)
    try:
        yield kept
    finally:
        _KEPT.reset(token)


def mean_number(values: Floats, expected: Floats) -> Number:
    """The mean of a per-query metric and of its expectation by chance."""
    return Number(mean_of(values), mean_of(expected).value)


def compare(numbers: Numbers, resamples: Resamples) -> tuple[tuple[Measure, ...], tuple[Gap, ...]]:
    """Measures of every number, and gaps of the first system to each other one.

    Args:
        numbers: By (system, task), then by (metric, group); the first system is the one under test.
        resamples: Over the items that every statistic covers.
    """
    flat = {(cell, name): number for cell, found in numbers.items() for name, number in found.items()}
    draws = dict(zip(flat, resamples.draw([n.statistic for n in flat.values()]), strict=True))
    _keep(draws, resamples)
    measures = tuple(_measure(*key, number, draws[key], resamples) for key, number in flat.items())
    return measures, _gaps(draws, [system for system, _ in numbers])


def _keep(draws: Mapping[tuple[Cell, Name], Draw], resamples: Resamples) -> None:
    kept = _KEPT.get()
    if kept is None:
        return
    digest = hashlib.sha256(next(resamples.blocks()).tobytes())
    digest.update(f"{resamples.count} {resamples.seed}".encode())
    for ((system, task), (metric, group)), draw in draws.items():
        key = (system, task, metric, group)
        kept.draws[key], kept.patients[key] = draw, digest.hexdigest()


def _measure(cell: Cell, name: Name, number: Number, draw: Draw, resamples: Resamples) -> Measure:
    found = draw.interval
    system, task = cell
    metric, group = name
    return Measure(
        system, task, metric, found.value, found.low, found.high,
        number.statistic.known, resamples.patients, number.chance, group,
    )  # fmt: skip


def _gaps(draws: Mapping[tuple[Cell, Name], Draw], systems: list[str]) -> tuple[Gap, ...]:
    tested = systems[0]
    gaps = []
    for (system, task), (metric, group) in draws:
        mine = draws.get(((tested, task), (metric, group)))
        if system == tested or group or mine is None:
            continue
        d = mine.minus(draws[(system, task), (metric, group)])
        gaps.append(Gap(tested, system, task, metric, d.value, d.low, d.high, d.p))
    return tuple(gaps)
