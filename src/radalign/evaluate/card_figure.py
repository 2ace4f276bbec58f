"""The sensitivity card as a figure: a bar per factor with its interval, against chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from radalign.evaluate.plots import COLOURS, save
from radalign.evaluate.sensitivity import ALL, EVERY

Rows = Mapping[str, Sequence[float | None]]
COLUMNS = 2


def card_plot(curves: Mapping[str, Mapping[str, Rows]], path: str | Path) -> Path:
    """One panel per question, one bar per factor and system, its 95 % interval, and the line of chance.

    Args:
        curves: System to task to factor to (value, low, high, n, chance), from `sensitivity.card`.
        path: Where the PNG goes.
    """
    from matplotlib.figure import Figure

    tasks = list(dict.fromkeys(task for found in curves.values() for task in found))
    factors = list(dict.fromkeys(f for found in curves.values() for rows in found.values() for f in rows))
    lines = -(-len(tasks) // COLUMNS)
    height = 0.9 + lines * (0.7 + len(factors) * (0.2 + 0.17 * len(curves)))
    figure = Figure(figsize=(9, height), dpi=150, layout="constrained")
    panels = figure.subplots(lines, COLUMNS, squeeze=False, sharex=True, sharey=True).ravel()
    for panel, task in zip(panels, tasks, strict=False):
        _draw_panel(panel, task, factors, {system: found.get(task, {}) for system, found in curves.items()})
    for panel in panels[len(tasks) :]:
        panel.set_visible(False)
    if len(curves) > 1:
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
        title = "sensitivity"
    else:
        title = next(iter(curves))
    figure.suptitle(f"{title}: how often the right one wins, with 95 % intervals by patient", fontsize=10)
    return save(figure, path)


def _draw_panel(panel: Any, task: str, factors: Sequence[str], found: Mapping[str, Rows]) -> None:
    step = 0.8 / len(found)
    for s, (system, rows) in enumerate(found.items()):
        offset = (s - (len(found) - 1) / 2) * step
        _draw_bars(panel, factors, rows, offset, step, system, COLOURS[s % len(COLOURS)])
    rows = next(iter(found.values()))
    labels = [
        f"{f}  (n = {int(rows[f][3] or 0)})" if f in rows and f not in (ALL, EVERY) else f for f in factors
    ]
    panel.axvline(50, color="#444444", linewidth=1, linestyle="--", zorder=3)
    panel.text(50, -0.62, "chance", fontsize=7, color="#444444", ha="center", va="bottom")
    panel.set_yticks(range(len(factors)), labels, fontsize=8)
    panel.set_ylim(len(factors) - 0.45, -0.65)
    panel.set_xlim(0, 100)
    panel.set_xlabel("% of pairs", fontsize=8)
    panel.tick_params(axis="x", labelsize=8, labelbottom=True)
    panel.set_title(task, fontsize=9, loc="left", pad=12)
    panel.grid(axis="x", color="#dddddd", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)


def _draw_bars(
    panel: Any, factors: Sequence[str], rows: Rows, offset: float, step: float, system: str, colour: str
) -> None:
    known = [(i, rows[f]) for i, f in enumerate(factors) if f in rows and _is_number(rows[f][0])]
    value = [100 * float(row[0] or 0.0) for _, row in known]
    low = [100 * (row[0] if row[1] is None else row[1]) for _, row in known]  # type: ignore[operator]
    high = [100 * (row[0] if row[2] is None else row[2]) for _, row in known]  # type: ignore[operator]
    reach = [[max(v - a, 0.0) for v, a in zip(value, low, strict=True)],
             [max(b - v, 0.0) for v, b in zip(value, high, strict=True)]]  # fmt: skip
    panel.barh(
        [i + offset for i, _ in known], value, height=0.9 * step, color=colour, alpha=0.75, label=system,
        xerr=reach, error_kw={"elinewidth": 1.1, "capsize": 2, "ecolor": "#222222"},
    )  # fmt: skip


def _is_number(value: float | None) -> bool:
    return value is not None and not math.isnan(value)
