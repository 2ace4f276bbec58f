"""Whether two results were judged alike; what was not must be neither paired nor called better."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from radalign.evaluate.results import Result

Rules = dict[str, Any]
MADE, ASKED = ("split", "prompts"), ("similarity", "labels", "pooling")


def unlike(first: Result, second: Result, tasks: Iterable[str]) -> dict[str, tuple[Any, Any]]:
    """What was judged by other rules, name to both values; what one side does not tell is passed over.

    Args:
        first: One result.
        second: The other.
        tasks: Those that both have.
    """
    one, two = rules(first), rules(second)
    found = {k: (one[k], two[k]) for k in one if k in two and one[k] != two[k]}
    if "prompts sha256" in one and one["prompts sha256"] == two.get("prompts sha256"):
        found.pop("prompts", None)  # the same sentences under another name
    for task in tasks:
        for what, a, b in zip(
            ("protocol", "mode"), _protocol_of(first, task), _protocol_of(second, task), strict=True
        ):
            if a != b:
                found.setdefault(what, (a, b))
    a, b = _data(first, second), _data(second, first)
    if "split" not in found and a and b and a != b:
        found["data sha256"] = (a[:12], b[:12])
    return found


def rules(result: Result) -> Rules:
    """Split, prompts and options of a result, as far as it tells them."""
    asked = result.made_by.get("plan") or (result.made_by.get("judged_as") or {}).get("judging") or {}
    found = {name: result.settings[name] for name in MADE if result.settings.get(name) is not None}
    found |= {name: asked[name] for name in ASKED if asked.get(name) is not None}
    if asked:  # a cell that was judged by the set's own way does not name it
        found["pooling"] = asked.get("pooling") or "the set's own"
    if "labels" in found:  # as asked for: a result's settings hold those that were found in the data
        found["labels"] = ", ".join(map(str, found["labels"])) or "the frequent ones"
    if result.settings.get("prompts_sha256"):
        found["prompts sha256"] = str(result.settings["prompts_sha256"])[:12]
    return found


def label(result: Result) -> dict[str, Any]:
    """What a reader of its numbers must know, as plain values."""
    settings = result.settings
    return rules(result) | {
        "protocol": result.protocol,
        "mode": result.mode,
        "manifest_sha256": result.made_by.get("manifest_sha256", ""),
        "resamples": settings.get("resamples"),
        "bootstrap_seed": settings.get("bootstrap_seed", settings.get("seed")),
    }


def mixed_rules(results: Mapping[str, Result]) -> list[str]:
    """A sentence about every task that some were counted by an earlier rule for than others.

    Args:
        results: By what a reader calls each.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for name, result in results.items():
        for task, facts in (result.settings.get("tasks") or {}).items():
            found.setdefault(task, {}).setdefault(str(facts.get("rule") or "an earlier one"), []).append(name)
    return [
        f"{task} was counted by different rules, which are not subtracted: "
        + "; ".join(f"{rule}: {', '.join(names)}" for rule, names in by_rule.items())
        + "."
        for task, by_rule in found.items()
        if len(by_rule) > 1
    ]


def _protocol_of(result: Result, task: str) -> tuple[str, str]:
    """Protocol and mode of a task; a cell of a board has several."""
    parts: Mapping[str, Mapping[str, Any]] = result.settings.get("tasks") or {}
    for facts in parts.values() if isinstance(parts, Mapping) else ():
        if task in facts.get("tasks", ()):
            return str(facts.get("protocol")), str(facts.get("mode"))
    return result.protocol, result.mode


def _data(result: Result, other: Result) -> str:
    """SHA-256 of the judged studies; of two cells that of their manifest, as test sets may differ by task."""
    both = [(r.made_by.get("judged_as") or {}).get("data_sha256") for r in (result, other)]
    return str(both[0] if all(both) else result.made_by.get("manifest_sha256") or "")
