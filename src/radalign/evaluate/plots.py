"""Figures of a result as PNG: numbers with intervals, and reliability curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from radalign.evaluate.results import DEVIATION, Measure, Result
from radalign.files import whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by readers with any colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")


def interval_plot(result: Result, path: str | Path) -> Path:
    """Every task's metrics as dots with 95 % intervals, one colour per system, chance as a grey tick.

    Args:
        result: What to draw; metrics that are ranks are left to the table.
        path: Where the PNG goes.
    """
    from matplotlib.figure import Figure

    tasks = result.tasks
    rows = {task: _metrics(result, task) for task in tasks}
    height = (
        sum(len(m) for m in rows.values()) * (0.16 + 0.11 * len(result.systems)) + 0.75 * len(tasks) + 0.7
    )
    figure = Figure(figsize=(7.5, max(2.6, height)), dpi=150, layout="constrained")
    ratios = [max(1, len(rows[task])) for task in tasks]
    panels = figure.subplots(len(tasks), 1, squeeze=False, gridspec_kw={"height_ratios": ratios})[:, 0]
    for panel, task in zip(panels, tasks, strict=True):
        _draw_task(panel, result, task, rows[task])
    _one_scale(list(panels))
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside lower center", ncols=min(3, len(names)), frameon=False, fontsize=8
    )
    figure.suptitle(f"{result.protocol} ({result.mode}), 95 % intervals by patient", fontsize=10)
    return save(figure, path)


def save(figure: Figure, path: str | Path) -> Path:
    """Write a figure as PNG; a reader never sees half of it."""
    path = Path(path)
    with whole_file(path) as partial:
        figure.savefig(partial, format="png", facecolor="white")
    return path


def _metrics(result: Result, task: str) -> list[str]:
    """Metrics of a task whose values lie within -1..1, in order of appearance; no standard deviations."""
    own = [m for m in result.measures if m.task == task and not m.group]
    own = [m for m in own if not m.metric.startswith(DEVIATION)]
    large = {m.metric for m in own if abs(m.value) > 1}
    return [c for c in dict.fromkeys(m.metric for m in own) if c not in large and "rank" not in c]


def _draw_task(panel: Any, result: Result, task: str, metrics: Sequence[str]) -> None:
    step = 0.8 / max(len(result.systems), 1)
    cell = {m.key: m for m in result.measures}
    for s, system in enumerate(result.systems):
        found = [cell.get((system, task, metric, "")) for metric in metrics]
        offset = (s - (len(result.systems) - 1) / 2) * step
        _draw_system(panel, system, found, offset, COLOURS[s % len(COLOURS)])
    expected = [
        next((m.chance for m in result.measures if m.key[1:] == (task, c, "")), None) for c in metrics
    ]
    _draw_chance(panel, expected)
    panel.set_yticks(range(len(metrics)), metrics, fontsize=8)
    panel.set_ylim(len(metrics) - 0.5, -0.5)
    panel.set_xlim(left=min(0.0, panel.get_xlim()[0]))
    panel.tick_params(axis="x", labelsize=8)
    panel.set_title(task, fontsize=9, loc="left")
    panel.grid(axis="x", color="#dddddd", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.spines[["top", "right", "left"]].set_visible(False)


def _one_scale(panels: Sequence[Any]) -> None:
    """The same horizontal axis everywhere, so that tasks can be compared by eye."""
    limits = [panel.get_xlim() for panel in panels]
    for panel in panels:
        panel.set_xlim(min(low for low, _ in limits), max(high for _, high in limits))


def _draw_system(
    panel: Any, system: str, found: Sequence[Measure | None], offset: float, colour: str
) -> None:
    dots = [(i + offset, m) for i, m in enumerate(found) if m is not None and not math.isnan(m.value)]
    y, value = [d[0] for d in dots], np.array([d[1].value for d in dots])
    low = np.array([m.value if m.low is None else m.low for _, m in dots])
    high = np.array([m.value if m.high is None else m.high for _, m in dots])
    reach = np.clip([value - low, high - value], 0, None) if dots else None
    panel.errorbar(value, y, xerr=reach, fmt="o", markersize=4, color=colour, elinewidth=1.4, label=system)


def _draw_chance(panel: Any, expected: Sequence[float | None]) -> None:
    known = [(i, value) for i, value in enumerate(expected) if value is not None]
    if known:
        panel.scatter(
            [v for _, v in known], [i for i, _ in known], marker="|", s=260, color="#888888", label="chance"
        )
