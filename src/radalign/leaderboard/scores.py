"""From cells to arms: the mean over seeds with an interval by patient, and paired differences.

cell's draws, seed 0 ─┐
cell's draws, seed 1 ─┴─ mean, resample by resample ──> Score of the arm ── minus another's ──> Gap

All cells were judged on the same resamples of the same patients, so draws subtract pairwise. An interval
covers the choice of patients; the spread of the seeds stands beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from radalign.evaluate.bootstrap import Draw
from radalign.evaluate.report_edits import OTHERS
from radalign.evaluate.report_edits import TASKS as EDITED
from radalign.evaluate.results import Gap, Measure, Result
from radalign.leaderboard.cell_files import read_result, reading
from radalign.leaderboard.cells import Cell

Floats = NDArray[np.float64]
Key = tuple[str, str, str]  # (task, metric, group)
SMALLER_IS_BETTER = (
    "median rank", "SD of", "ECE", "mean ECE", "gap of", "hubness", "modality gap", "cosine to other",
    "reports never found",
)  # fmt: skip
WORDINGS = (*EDITED, *(OTHERS.format(task) for task in EDITED))  # one may be liked whatever the image


@dataclass(frozen=True)
class Drawn:
    """A cell's numbers on every resample.

    Args:
        samples: By key, [R].
        patients: By key, a hash; equal hashes may be paired.
    """

    samples: Mapping[Key, Floats]
    patients: Mapping[Key, str]

    @classmethod
    def read(cls, folder: Path) -> Drawn:
        """Read a cell's `draws.npz`; empty when there is none.

        Raises:
            DamagedFile: If it cannot be read.
        """
        path = folder / "draws.npz"
        if not path.is_file():
            return cls({}, {})
        with reading(path), path.open("rb") as file, np.load(file) as stored:
            keys: list[Key] = [(k[0], k[1], k[2]) for k in json.loads(str(stored["keys"]))]
            hashes = json.loads(str(stored["patients"]))
            samples = stored["samples"]
            return cls(dict(zip(keys, samples, strict=True)), dict(zip(keys, hashes, strict=True)))


def write_draws(file: BinaryIO, drawn: Drawn) -> None:
    """Write what `Drawn.read` reads."""
    keys = list(drawn.samples)
    np.savez_compressed(
        file,
        samples=np.stack([drawn.samples[key] for key in keys]) if keys else np.zeros((0, 0)),
        keys=np.array(json.dumps(keys)),
        patients=np.array(json.dumps([drawn.patients[key] for key in keys])),
    )


@dataclass(frozen=True)
class Score:
    """One number of one arm, the mean over its seeds.

    Args:
        arm: Its name.
        key: Task, metric, group.
        value: Mean over seeds.
        low: Of the 95 % interval, None where there is none.
        high: Upper bound.
        spread: Standard deviation over seeds, None for one.
        chance: What knowing nothing scores, None if not defined.
        n: Queries or cases.
        patients: They come from.
        seeds: Of the cells.
        samples: On every resample, [R], None without draws.
        drawn_from: A hash; only equal ones may be paired.
        lacks_draws: Whether every seed has an interval, and only their mean has none.
    """

    arm: str
    key: Key
    value: float
    low: float | None
    high: float | None
    spread: float | None
    chance: float | None
    n: int
    patients: int
    seeds: tuple[int, ...]
    samples: Floats | None = None
    drawn_from: str = ""
    lacks_draws: bool = False

    def minus(self, other: Score) -> Gap | None:
        """The paired difference, None when the two were not judged on the same studies."""
        if self.samples is None or other.samples is None or self.drawn_from != other.drawn_from:
            return None
        found = Draw(self.value, self.samples).minus(Draw(other.value, other.samples))
        task, metric, group = self.key
        return Gap(self.arm, other.arm, task, metric, found.value, found.low, found.high, found.p, group)


@dataclass(frozen=True)
class Judged:
    """A cell with its result.

    Args:
        cell: Which.
        result: Its numbers.
        drawn: The same on every resample.
        run: Its `run.json`.
        pretrained: `run.json` of the training that made its vision encoder, empty without one.
    """

    cell: Cell
    result: Result
    drawn: Drawn
    run: Mapping[str, Any]
    pretrained: Mapping[str, Any] = field(default_factory=dict)


Scores = dict[str, dict[Key, Score]]


def read_cell(cell: Cell) -> Judged:
    """Read a cell that has a result.

    Raises:
        DamagedFile: If a file of its judging cannot be read.
        RunFolderError: If that is one of its training.
    """
    from radalign.train.folder import held_run, read_run

    result = read_result(cell.folder)
    first = read_run(cell.pretrained) if held_run(cell.pretrained) else {}
    return Judged(cell, result, Drawn.read(cell.folder), read_run(cell.run), first)


def scores_of(cells: Sequence[Judged]) -> Scores:
    """Every arm's scores, arms and keys in order of appearance."""
    arms = dict.fromkeys(judged.cell.arm.name for judged in cells)
    return {arm: arm_scores(arm, [j for j in cells if j.cell.arm.name == arm]) for arm in arms}


def arm_scores(arm: str, cells: Sequence[Judged]) -> dict[Key, Score]:
    """The scores of one arm: numbers that all of its cells have."""
    tables = [{_key(m): m for m in judged.result.measures} for judged in cells]
    shared = [key for key in tables[0] if all(key in table for table in tables)]
    return {key: _score(arm, key, [t[key] for t in tables], cells) for key in shared}


def _score(arm: str, key: Key, measures: Sequence[Measure], cells: Sequence[Judged]) -> Score:
    values = np.array([m.value for m in measures], dtype=np.float64)
    samples = [j.drawn.samples.get(key) for j in cells]
    known = [s for s in samples if s is not None]
    hashes = {j.drawn.patients.get(key, "") for j in cells}
    mean = np.mean(known, axis=0) if len(known) == len(cells) and len(hashes) == 1 else None
    value = float(values.mean())
    first = measures[0]
    bounds = (None, None) if mean is None else _bounds(value, mean)
    if mean is None and len(cells) == 1:  # as it was judged: records leave resamples of single findings out
        bounds = first.low, first.high
    lacks_draws = mean is None and len(cells) > 1 and all(m.low is not None for m in measures)
    return Score(
        arm, key, value, *bounds, float(values.std(ddof=1)) if len(values) > 1 else None,
        first.chance, first.n, first.patients, tuple(j.cell.seed for j in cells), mean, hashes.pop(),
        lacks_draws,
    )  # fmt: skip


def _bounds(value: float, samples: Floats) -> tuple[float | None, float | None]:
    found = Draw(value, samples).interval
    return (None, None) if np.isnan(found.low) else (found.low, found.high)


def _key(measure: Measure) -> Key:
    return measure.task, measure.metric, measure.group


def gaps_to(scores: Scores, reference: str, keys: Iterable[Key]) -> dict[tuple[str, Key], Gap]:
    """Every other arm minus the reference, by arm and key; pairs judged on other studies are left out."""
    base = scores.get(reference, {})
    wanted = list(keys)
    found = {
        (arm, key): mine[key].minus(base[key])
        for arm, mine in scores.items()
        if arm != reference
        for key in wanted
        if key in mine and key in base
    }
    return {place: gap for place, gap in found.items() if gap is not None}


def is_smaller_better(metric: str) -> bool:
    """Whether a smaller number of a metric is the better one.

    >>> is_smaller_better("median rank"), is_smaller_better("R@10")
    (True, False)
    >>> is_smaller_better("cosine to other reports"), is_smaller_better("cosine to own report")
    (True, False)
    """
    return metric.startswith(SMALLER_IS_BETTER)


def is_about_wording(task: str) -> bool:
    """Whether a task's numbers mix the liking of a wording with what the image says: none is better.

    >>> is_about_wording("sentence [with frontal]"), is_about_wording("sentence, own image minus another's")
    (True, False)
    """
    return task.partition(" [")[0] in WORDINGS


def verdict(gap: Gap) -> str:
    """`better`, `worse`, or `tie` when the interval includes 0; `higher` or `lower` of wordings.

    >>> verdict(Gap("a", "b", "t", "R@1", 0.1, low=0.05, high=0.2, p=0.01))
    'better'
    >>> verdict(Gap("a", "b", "t", "R@1", 0.1, low=0.0, high=0.2, p=1.0))
    'tie'
    """
    if not (gap.low > 0 or gap.high < 0):
        return "tie"
    if is_about_wording(gap.task):
        return "higher" if gap.low > 0 else "lower"
    return "better" if (gap.low > 0) != is_smaller_better(gap.metric) else "worse"
