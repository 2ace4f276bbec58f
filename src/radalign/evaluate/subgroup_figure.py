"""Subgroups as a figure: one row per group with its size and interval, a line where all studies stand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from radalign.evaluate.plots import COLOURS, save
from radalign.evaluate.results import Measure, Result

MARK = ": "  # a subgroup is `kind: value`, a label is a name


def subgroup_plot(result: Result, path: str | Path) -> Path | None:
    """One panel per task and metric that has subgroups; None when the result has none.

    Args:
        result: Of a task that reports subgroups.
        path: Where the PNG goes.
    """
    rows = [m for m in result.measures if MARK in m.group and not m.metric.startswith("gap of")]
    panels = list(dict.fromkeys((m.task, m.metric) for m in rows))
    if not panels:
        return None
    from matplotlib.figure import Figure

    groups = list(dict.fromkeys(m.group for m in rows))
    height = 1.0 + len(groups) * (0.14 + 0.14 * len(result.systems))
    figure = Figure(figsize=(1.6 + 3.7 * len(panels), height), dpi=150, layout="constrained")
    drawn = figure.subplots(1, len(panels), squeeze=False, sharey=True).ravel()
    for panel, (task, metric) in zip(drawn, panels, strict=True):
        _draw_panel(panel, [m for m in rows if (m.task, m.metric) == (task, metric)], groups, result)
        panel.set_title(f"{task}, {metric}", fontsize=9, loc="left")
    handles, names = drawn[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return save(figure, path)


def _draw_panel(panel: Any, rows: list[Measure], groups: list[str], result: Result) -> None:
    step = 0.7 / len(result.systems)
    sizes = {m.group: m.n for m in rows}
    for s, system in enumerate(result.systems):
        colour, offset = COLOURS[s % len(COLOURS)], (s - (len(result.systems) - 1) / 2) * step
        own = [m for m in rows if m.system == system and not math.isnan(m.value)]
        panel.errorbar(
            [m.value for m in own], [groups.index(m.group) + offset for m in own],
            xerr=[[max(m.value - _bound(m.low, m), 0) for m in own],
                  [max(_bound(m.high, m) - m.value, 0) for m in own]],
            fmt="o", markersize=4, color=colour, elinewidth=1.3, label=system,
        )  # fmt: skip
        every = [m for m in result.measures if m.key == (system, rows[0].task, rows[0].metric, "")]
        for m in every:
            panel.axvline(m.value, color=colour, linewidth=1, linestyle="--", label=f"{system}, all studies")
    labels = [f"{group}  (n = {sizes[group]})" if group in sizes else group for group in groups]
    panel.set_yticks(range(len(groups)), labels, fontsize=8)
    panel.set_ylim(len(groups) - 0.5, -0.5)
    panel.tick_params(axis="x", labelsize=8)
    panel.grid(axis="x", color="#dddddd", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)


def _bound(bound: float | None, m: Measure) -> float:
    return m.value if bound is None or math.isnan(bound) else bound
