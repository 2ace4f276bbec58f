"""`radalign evaluate --check result.json`: evaluate again as the file says, and compare every number."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from radalign.evaluate.embeddings import Progress
from radalign.evaluate.plan import Plan
from radalign.evaluate.protocols import PROTOCOLS
from radalign.evaluate.results import Result, ResultError
from radalign.evaluate.run import evaluate_run

TOLERANCE = 1e-4
Key = tuple[str, str, str, str]


@dataclass(frozen=True)
class Check:
    """What became of a result when it was made again.

    Args:
        compared: Numbers that both have.
        largest: Largest difference of a value or bound.
        differences: One sentence per difference; empty when the result repeats.
        changed: What is not the same about how it was made (versions, data, system), one sentence each.
    """

    compared: int
    largest: float
    differences: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def repeats(self) -> bool:
        """Whether every number came out the same."""
        return not self.differences

    def text(self) -> str:
        """For a person."""
        verdict = "repeats" if self.repeats else f"does not repeat: {len(self.differences)} differences"
        lines = [
            f"{self.compared} numbers compared, largest difference {self.largest:.2g}: the result {verdict}."
        ]
        return "\n".join([*lines, *self.changed, *self.differences])


def check_result(
    path: str | Path, run: str = "", data: Path | None = None, tolerance: float = TOLERANCE,
    progress: Progress | None = None,
) -> Check:  # fmt: skip
    """Evaluate again with the settings in a result file and compare.

    Args:
        path: A `result.json` that `radalign evaluate` wrote.
        run: Where the system is now, if it has moved.
        data: Where the data are now, if they have moved.
        tolerance: Largest difference of a number that still counts as the same.
        progress: Wraps loops.

    Raises:
        ResultError: If the file does not say how it was made.
    """
    before = Result.read(path)
    after = evaluate_run(plan_of(before, path, run, data), progress)
    return compare_results(before, after, tolerance)


def plan_of(result: Result, path: str | Path, run: str = "", data: Path | None = None) -> Plan:
    """The plan that a result records.

    Raises:
        ResultError: If it records none that can be followed.
    """
    asked = result.made_by.get("plan")
    if not asked and "cells" in result.settings:
        raise ResultError(
            f"{path} is a table of `radalign few-shot`, which trains its systems; repeat that command "
            "into another folder, or check one of its runs with `radalign evaluate`."
        )
    if not asked or not isinstance(asked, dict) or not {"run", "data"} <= asked.keys():
        raise ResultError(f"{path} does not say how it was made; evaluate again with `radalign evaluate`.")
    known = {f.name: f for f in fields(Plan)}
    options = {name: _thawed(value) for name, value in asked.items() if name in known}
    for name, value in options.items():
        usual = "" if name in ("run", "data") else known[name].default
        if type(value) is not type(usual):
            raise ResultError(f"{path}: the recorded option {name} = {value!r} is none; evaluate again.")
    if asked.get("task") in PROTOCOLS and "prompts" not in result.settings:
        options["prompts"] = (
            ""  # recorded by a version whose protocols had their own prompts whatever was said
        )
    return Plan(**options | {"run": run or asked["run"], "data": data or Path(asked["data"])})


def _thawed(value: Any) -> Any:
    """JSON has lists where a plan has tuples."""
    return tuple(value) if isinstance(value, list) else value


def compare_results(before: Result, after: Result, tolerance: float = TOLERANCE) -> Check:
    """Compare two results number by number, and what they say of their rules and settings.

    Raises:
        ResultError: If the first one states a number twice.
    """
    _need_single(before)
    old, new = (_numbers(result) for result in (before, after))
    differences = [f"{_name(key)} is missing." for key in old.keys() - new.keys()]
    differences += [f"{_name(key)} is new." for key in new.keys() - old.keys()]
    both = [key for key in old if key in new]
    largest = 0.0
    for key in both:
        for bound in old[key]:
            was, now = old[key][bound], new[key][bound]
            gap = _distance(was, now)
            largest = max(largest, gap)
            if gap > tolerance:
                differences.append(f"{_name(key)}: {bound} was {was}, is {now}.")
    rules, added = _stated(before, after, tolerance)
    changed = (*_changes(before.made_by, after.made_by), *added)
    return Check(len(both), largest, tuple(sorted([*differences, *rules])), changed)


def _need_single(result: Result) -> None:
    keys = [m.key for m in result.measures]
    keys += [(f"{g.system} minus {g.against}", g.task, g.metric, g.group) for g in result.gaps]
    twice = next((key for key, times in Counter(keys).items() if times > 1), None)
    if twice:
        raise ResultError(f"The result states {_name(twice)} twice; evaluate again.")


def _stated(before: Result, after: Result, tolerance: float) -> tuple[list[str], list[str]]:
    """Sentences on what is said of protocol, mode and settings and is otherwise now; and on what is new."""
    old = json.loads(before.to_json())
    new = json.loads(after.to_json())
    different = [f"{n}: was {old[n]}, is {new[n]}." for n in ("protocol", "mode") if old[n] != new[n]]
    was, now = old["settings"], new["settings"]
    if before.protocol in PROTOCOLS and "split" not in now:
        was.pop(
            "split", None
        )  # written by a version that put the option there, although no protocol heeds it
    for name in was:
        if name not in now:
            different.append(f"settings.{name}: was {was[name]}, is not there.")
        elif not _alike(was[name], now[name], tolerance):
            why = "; the prompts were changed" if name == "prompts_sha256" else ""
            different.append(f"settings.{name}: was {was[name]}, is {now[name]}{why}.")
    asked, done = (made.get("plan") or {} for made in (old["made_by"], new["made_by"]))
    # The run and the data may have moved; their hashes tell whether they are the same.
    plan = [n for n in asked if n in done and n not in ("run", "data", "prompts") and asked[n] != done[n]]
    different += [f"plan.{n}: was {asked[n]}, is {done[n]}." for n in plan]
    return different, [f"settings.{n}: was not recorded, is {now[n]}." for n in now if n not in was]


def _alike(was: Any, now: Any, tolerance: float) -> bool:
    """Equal, numbers within the tolerance; above 1 (a temperature), within that share of the number."""
    if isinstance(was, dict) and isinstance(now, dict):
        return was.keys() == now.keys() and all(_alike(was[k], now[k], tolerance) for k in was)
    if isinstance(was, list) and isinstance(now, list):
        return len(was) == len(now) and all(map(_alike, was, now, [tolerance] * len(was)))
    if isinstance(was, float) and isinstance(now, float):
        return _distance(was, now) <= tolerance * max(1.0, abs(was))
    return bool(was == now)


def _numbers(result: Result) -> dict[Key, dict[str, float | None]]:
    """Every number that a result states: measures with bounds and chance, differences with bounds and p."""
    found: dict[Key, dict[str, float | None]] = {}
    for m in result.measures:
        found[m.key] = {"value": m.value, "low": m.low, "high": m.high, "n": m.n, "chance": m.chance}
        found[m.key]["patients"] = m.patients
    for g in result.gaps:
        key = f"{g.system} minus {g.against}", g.task, g.metric, g.group
        found[key] = {"value": g.value, "low": g.low, "high": g.high, "p": g.p}
    return found


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    names = ("radalign", "commit", "manifest_sha256", "packages", "python", "platform", "device")
    changed = [
        f"{n}: was {before.get(n)}, is {after.get(n)}." for n in names if before.get(n) != after.get(n)
    ]
    old, new = before.get("systems", {}), after.get("systems", {})
    identity = [n for n in old if n in new and old[n].get("identity") != new[n].get("identity")]
    return changed + [f"The system {n} is not the one that was evaluated." for n in identity]


def _distance(was: float | None, now: float | None) -> float:
    missing = [v is None or math.isnan(v) for v in (was, now)]
    if all(missing):
        return 0.0
    return math.inf if any(missing) or was is None or now is None else abs(was - now)


def _name(key: Key) -> str:
    system, task, metric, group = key
    return f"{system}, {task}, {metric}" + (f" [{group}]" if group else "")
