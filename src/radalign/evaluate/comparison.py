"""Numbers of several systems become measures with intervals and gaps with p-values, on shared resamples."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import numpy as np

from radalign.evaluate.bootstrap import Draw, Resamples
from radalign.evaluate.results import Gap, Measure
from radalign.evaluate.statistic import Floats, Statistic, mean_of, over


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


def compare(
    numbers: Numbers, resamples: Resamples, paired: Collection[str] = ("",)
) -> tuple[tuple[Measure, ...], tuple[Gap, ...]]:
    """Measures of every number, and gaps of the first system to each other one.

    Args:
        numbers: By (system, task), then by (metric, group); the first system is the one under test.
        resamples: Over the items that every statistic covers.
        paired: The groups whose numbers are subtracted: "" for those of all cases. A label or a subgroup is
            left to its own table, but where a group is all there is (a data set), it belongs here.
    """
    flat = {(cell, name): number for cell, found in numbers.items() for name, number in found.items()}
    draws = dict(zip(flat, resamples.draw([n.statistic for n in flat.values()]), strict=True))
    _keep(draws, resamples)
    measures = tuple(_measure(*key, number, draws[key], resamples) for key, number in flat.items())
    return measures, _gaps(draws, next(iter(numbers))[0], paired)


def side_by_side(
    parts: Sequence[tuple[Mapping[Cell, Statistic], Sequence[str]]],
) -> tuple[dict[Cell, list[Statistic]], list[str]]:
    """Numbers of several sets of items, as numbers of the items of all sets.

    A patient with items in two sets is drawn for both, so a number made of several has an interval.

    Args:
        parts: Per set, a number of every cell, and the patient of every item.

    Returns:
        Every cell's numbers in the sets' order, where it has one in each; and the patients of all items.

    >>> first, second = mean_of(np.array([1.0])), mean_of(np.array([0.0, 3.0]))
    >>> cell = ("s", "t")
    >>> numbers, patients = side_by_side([({cell: first}, ["a"]), ({cell: second}, ["a", "b"])])
    >>> [s.value for s in numbers["s", "t"]], patients
    ([1.0, 1.5], ['a', 'a', 'b'])
    """
    patients = [patient for _, own in parts for patient in own]
    found: dict[Cell, list[Statistic]] = {}
    start = 0
    for numbers, own in parts:
        rows = np.arange(start, start + len(own))
        for cell, statistic in numbers.items():
            found.setdefault(cell, []).append(over(rows, statistic, len(patients)))
        start += len(own)
    return {cell: each for cell, each in found.items() if len(each) == len(parts)}, patients


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


def _gaps(draws: Mapping[tuple[Cell, Name], Draw], tested: str, paired: Collection[str]) -> tuple[Gap, ...]:
    gaps = []
    for (system, task), (metric, group) in draws:
        mine = draws.get(((tested, task), (metric, group)))
        if system == tested or group not in paired or mine is None:
            continue
        d = mine.minus(draws[(system, task), (metric, group)])
        gaps.append(Gap(tested, system, task, metric, d.value, d.low, d.high, d.p, group))
    return tuple(gaps)
