"""Result to Markdown: one table per task, systems as rows, each number with its interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from radalign.evaluate.comparison import Key
from radalign.evaluate.results import DEVIATION, Gap, Measure, Result

PERCENT = (
    "P@", "R@", "nDCG@", "same text@", "mAP", "accuracy", "share", "side", "severity", "negation",
    "size", "device", "change", "factors", "all edits", "HM",
)  # fmt: skip
WITHOUT = ("SD of ", "gap of ", "macro ", "mean ", "of ", "base ", "novel ", "class ")
"""Words before a metric's name that leave its unit as it is, in the order that they are taken off."""
WHOLE = ("median rank",)


def markdown(result: Result, details: bool = True) -> str:
    """The whole result as a page.

    Args:
        result: What to show.
        details: Also a table per label or subgroup.
    """
    parts = [f"# {result.protocol} ({result.mode} mode)", *[f"- {note}" for note in result.notes], ""]
    for task in result.tasks:
        parts += [f"## {task}", "", task_table(result, task), ""]
    if result.gaps:
        parts += [f"## Differences, paired by {_singular(result)}", "", gap_table(result.gaps), ""]
    if details and any(m.group for m in result.measures):
        parts += ["## By label or subgroup", "", group_table(result), ""]
    return "\n".join([*parts, footnote(result), ""])


def _singular(result: Result) -> str:
    """What was resampled, as one witness: `patient`, or `image` where no patient is known."""
    return (
        str(result.settings.get("resampled", "patients"))
        .replace("patients", "patient")
        .replace("images", "image")
    )


def task_table(result: Result, task: str) -> str:
    """Systems x metrics of one task, with a row for chance."""
    rows = [m for m in _scores(result.measures) if m.task == task and not m.group]
    spread_of = deviations(result.measures)
    metrics = list(dict.fromkeys(m.metric for m in rows))
    cell = {(m.system, m.metric): m for m in rows}
    lines = [
        [system, *(_cell(cell.get((system, c)), spread_of) for c in metrics)]
        for system in dict.fromkeys(m.system for m in rows)
    ]
    expected = {m.metric: m.chance for m in rows if m.chance is not None}
    if expected:
        lines.append(["chance", *(written(c, expected[c]) if c in expected else "" for c in metrics)])
    return grid(["system", *metrics], lines)


def gap_table(gaps: Sequence[Gap]) -> str:
    """One line per paired difference; a column for the data set or finding where there are several."""
    grouped = any(g.group for g in gaps)
    lines = [
        [f"{g.system} − {g.against}", g.task, g.metric, *([g.group] if grouped else []),
         spread(g.metric, g.value, g.low, g.high, signed=True), f"{g.p:.3f}"]
        for g in gaps
    ]  # fmt: skip
    of = ["group"] if grouped else []
    return grid(["systems", "task", "metric", *of, "difference (95 % interval)", "p"], lines)


def group_table(result: Result) -> str:
    """One line per task, metric and group; systems as columns."""
    rows = [m for m in _scores(result.measures) if m.group]
    spread_of = deviations(result.measures)
    cell = {m.key: m for m in rows}
    kinds = dict.fromkeys((m.task, m.metric, m.group) for m in rows)
    lines = []
    for task, metric, group in kinds:
        found = [cell.get((system, task, metric, group)) for system in result.systems]
        known = next(m for m in found if m is not None)
        chance = "" if known.chance is None else written(metric, known.chance)
        lines.append([task, metric, group, str(known.n), *(_cell(m, spread_of) for m in found), chance])
    return grid(["task", "metric", "group", "n", *result.systems, "chance"], lines)


def footnote(result: Result) -> str:
    """What a reader needs to repeat the numbers."""
    made = result.made_by
    bounded = any(m.low is not None for m in result.measures)
    sizes = [f"{counted(result.settings[k])} {k}" for k in ("studies", "patients") if k in result.settings]
    facts = [
        ", ".join(sizes),
        f"95 % intervals by resampling {result.settings.get('resampled', 'patients')}" if bounded else "",
        f"radalign {made['radalign']}" if made.get("radalign") else "",
        f"commit {str(made['commit'])[:12]}" if made.get("commit") else "",
        f"manifest {str(made['manifest_sha256'])[:12]}" if made.get("manifest_sha256") else "",
    ]
    return "; ".join(fact for fact in facts if fact) + "."


def counted(size: object) -> str:
    """A count, or the counts of the splits, in words.

    >>> counted(30), counted({"train": 105, "test": 30})
    ('30', '105 train, 30 test')
    """
    return ", ".join(f"{n} {part}" for part, n in size.items()) if isinstance(size, dict) else str(size)


def _scores(measures: Sequence[Measure]) -> list[Measure]:
    """All but standard deviations, which stand beside their means."""
    return [m for m in measures if not m.metric.startswith(DEVIATION)]


def deviations(measures: Sequence[Measure]) -> dict[Key, float]:
    """Standard deviations over two draws or more, by the key of the mean that they belong to.

    >>> deviations([Measure("a", "t", "SD of accuracy", 0.02, n=3)])
    {('a', 't', 'accuracy', ''): 0.02}
    """
    return {
        (m.system, m.task, m.metric.removeprefix(DEVIATION), m.group): m.value
        for m in measures
        if m.metric.startswith(DEVIATION) and m.n > 1
    }


def _cell(measure: Measure | None, spread_of: Mapping[Key, float]) -> str:
    return "" if measure is None else number(measure, spread_of.get(measure.key))


def number(measure: Measure, deviation: float | None = None) -> str:
    """A measure with its standard deviation and interval, percentages where the metric is one.

    >>> number(Measure("a", "t", "R@5", 0.125, 0.1, 0.15)), number(Measure("a", "t", "AUC", 0.5), 0.02)
    ('12.5 (10.0–15.0)', '0.500 ± 0.020')
    """
    return spread(measure.metric, measure.value, measure.low, measure.high, deviation=deviation)


def spread(
    metric: str, value: float, low: float | None, high: float | None, signed: bool = False,
    deviation: float | None = None,
) -> str:  # fmt: skip
    """Value, standard deviation and interval as text; the latter two only where there are any."""
    sign = "+" if signed else ""
    text = written(metric, value, sign) + (
        f" ± {written(metric, deviation)}" if deviation is not None else ""
    )
    if low is None or high is None or math.isnan(low):
        return text
    return f"{text} ({written(metric, low, sign)}{' to ' if signed else '–'}{written(metric, high, sign)})"


def written(metric: str, value: float, sign: str = "") -> str:
    """A number in its metric's unit: percent, rank, or three decimals.

    >>> written("P@5", 0.2), written("AUC", 0.8125), written("median rank", 12.5)
    ('20.0', '0.812', '12.5')
    >>> [written(m, 0.5) for m in ("base class accuracy", "mean of HM", "SD of macro accuracy", "macro F1")]
    ['50.0', '50.0', '50.0', '0.500']
    """
    if math.isnan(value):
        return "–"
    plain = metric
    for word in WITHOUT:
        plain = plain.removeprefix(word)
    if plain.startswith(PERCENT):
        return f"{100 * value:{sign}.1f}"
    return f"{value:{sign}.1f}" if metric.startswith(WHOLE) else f"{value:{sign}.3f}"


def grid(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table; first column left, the others right.

    >>> print(grid(["a", "b"], [["x", "1"]]))
    | a | b |
    |---|---:|
    | x | 1 |
    """
    rule = "|" + "|".join(["---", *["---:"] * (len(header) - 1)]) + "|"
    rows = ["| " + " | ".join(str(c).replace("|", "\\|") for c in row) + " |" for row in [header, *lines]]
    return "\n".join([rows[0], rule, *rows[1:]])
