"""A result file: every number with its interval, what it is compared with, and how it was made.

Measure  one number of one system: value, interval, chance, n
Gap      a paired difference between two systems
Result   protocol + mode + measures + gaps + provenance  <──>  JSON
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from radalign.files import whole_file

Mode = Literal["paper", "strict"]
RESULT_VERSION = 1
DEVIATION = "SD of "
"""Begins the metric of a standard deviation over draws; the rest is the metric whose mean it belongs to."""


class ResultError(ValueError):
    """A result file cannot be read; the message says what to do."""


@dataclass(frozen=True)
class Measure:
    """One number of one system.

    Args:
        system: Its name in this evaluation.
        task: What was asked (`image to text`, `zero-shot`, ...).
        metric: `R@5`, `AUC`, ...
        value: On the data as it is.
        low: Lower bound of the 95 % interval, None without one.
        high: Upper bound.
        n: Queries or cases that the number is made of.
        patients: Patients they come from.
        chance: What a system that knows nothing is expected to score, None if not defined.
        group: A label or subgroup that the number is restricted to, "" for all.
    """

    system: str
    task: str
    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    n: int = 0
    patients: int = 0
    chance: float | None = None
    group: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What identifies the number within a result."""
        return self.system, self.task, self.metric, self.group


@dataclass(frozen=True)
class Gap:
    """First system minus second on the same resampled patients."""

    system: str
    against: str
    task: str
    metric: str
    value: float
    low: float
    high: float
    p: float
    group: str = ""


@dataclass(frozen=True)
class Result:
    """Everything one evaluation found.

    Args:
        protocol: Name of the rules.
        mode: `paper` (as published, bug for bug) or `strict`.
        measures: The numbers.
        gaps: Paired differences between systems.
        settings: Options that decide the numbers.
        made_by: Versions, hashes, device, time; see `provenance`.
        notes: Sentences a reader must know (excluded studies, reversed labels, ...).
        curves: What a figure is drawn from, by figure (`reliability`, `space`) and then by system.
    """

    protocol: str
    mode: Mode
    measures: tuple[Measure, ...]
    gaps: tuple[Gap, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    made_by: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    curves: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, key: tuple[str, str, str]) -> Measure:
        """The measure of (system, task, metric) over all cases."""
        return next(m for m in self.measures if m.key == (*key, ""))

    @property
    def systems(self) -> list[str]:
        """Names in order of appearance."""
        return list(dict.fromkeys(m.system for m in self.measures))

    @property
    def tasks(self) -> list[str]:
        """Tasks in order of appearance."""
        return list(dict.fromkeys(m.task for m in self.measures))

    def to_json(self) -> str:
        """JSON text; a number that is not defined is null."""
        return json.dumps(
            {"radalign_result": RESULT_VERSION} | _plain(asdict(self)), indent=1, allow_nan=False
        )

    def write(self, path: str | Path) -> None:
        """Write the JSON file; a reader never sees half of it."""
        with whole_file(path) as partial:
            partial.write_text(self.to_json() + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: str | Path) -> Result:
        """Read what `write` wrote.

        Raises:
            ResultError: If the file is missing, is not a result of this version, or is not complete.
        """
        try:
            table = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ResultError(
                f"{path} is not a readable result ({error}); make one with `radalign evaluate`."
            ) from error
        if not isinstance(table, dict) or table.pop("radalign_result", None) != RESULT_VERSION:
            raise ResultError(f"{path} is not a radalign result of version {RESULT_VERSION}; evaluate again.")
        try:
            measures = tuple(Measure(**_numbers(row)) for row in table.pop("measures"))
            gaps = tuple(Gap(**_numbers(row)) for row in table.pop("gaps"))
            return cls(measures=measures, gaps=gaps, notes=tuple(table.pop("notes")), **table)
        except (KeyError, TypeError) as error:
            raise ResultError(
                f"{path} is not a complete result (wrong or missing: {error}); evaluate again."
            ) from error


def joined(parts: Iterable[Result]) -> Result:
    """The measures, gaps and notes of several results under the first one's name; settings are joined."""
    results = list(parts)
    first = results[0]
    return Result(
        first.protocol,
        first.mode,
        tuple(m for r in results for m in r.measures),
        tuple(g for r in results for g in r.gaps),
        {key: value for r in reversed(results) for key, value in r.settings.items()},
        first.made_by,
        tuple(dict.fromkeys(n for r in results for n in r.notes)),
        {name: curve for r in results for name, curve in r.curves.items()},
    )


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value


def _numbers(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the file; a value that is not defined is NaN again.

    Raises:
        TypeError: If a number is something else.
    """
    for name in ("value", "low", "high", "chance", "p", "n", "patients"):
        given = row.get(name) if isinstance(row, dict) else row
        if isinstance(given, bool) or not isinstance(given, int | float | None):
            raise TypeError(f"{name} is {given!r}")
    return row | {"value": math.nan if row["value"] is None else row["value"]}
