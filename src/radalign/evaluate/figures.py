"""Figures beyond the interval plot: reliability curves, and the joint space."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from radalign.evaluate.plots import COLOURS, save
from radalign.evaluate.space import NEAREST


def reliability_plot(curves: Mapping[str, Mapping[str, Mapping[str, Any]]], path: str | Path) -> Path:
    """Predicted probability against observed share, one panel per finding, one line per system.

    Args:
        curves: System to finding to a `Reliability`'s fields.
        path: Where the PNG goes.
    """
    from matplotlib.figure import Figure

    findings = list(dict.fromkeys(finding for found in curves.values() for finding in found))
    columns = min(4, len(findings))
    rows = -(-len(findings) // columns)
    figure = Figure(figsize=(2.5 * columns, 2.6 * rows + 0.5), dpi=150, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for panel, finding in zip(panels, findings, strict=False):
        panel.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=1, linestyle="--")
        for s, (system, found) in enumerate(curves.items()):
            if finding in found:
                _draw_curve(panel, found[finding], system, COLOURS[s % len(COLOURS)])
        panel.set_title(finding, fontsize=9)
        panel.tick_params(labelsize=7, labelbottom=True)
    for panel in panels[len(findings) :]:
        panel.set_visible(False)
    _legend(figure, panels[0])
    figure.supxlabel("predicted probability", fontsize=8)
    figure.supylabel("share present", fontsize=8)
    return save(figure, path)


def space_plot(curves: Mapping[str, Mapping[str, Any]], path: str | Path) -> Path:
    """Per system: cosines of pairs and strangers, how often reports turn up, both modalities on one plane.

    Args:
        curves: System to what `space.evaluate_space` put into `curves["space"]`.
        path: Where the PNG goes.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 2.9 * len(curves) + 0.2), dpi=150, layout="constrained")
    grid = figure.subplots(len(curves), 3, squeeze=False)
    for (cosines, hubs, plane), (system, found) in zip(grid, curves.items(), strict=True):
        _draw_cosines(cosines, found, system)
        _draw_occurrences(hubs, found)
        _draw_plane(plane, found)
    for panel in grid.ravel():
        panel.tick_params(labelsize=7)
        panel.spines[["top", "right"]].set_visible(False)
    return save(figure, path)


def _draw_curve(panel: Any, curve: Mapping[str, Any], system: str, colour: str) -> None:
    count = np.array(curve["count"], dtype=float)
    seen = count > 0
    predicted, observed = (np.array(curve[k], dtype=float)[seen] for k in ("predicted", "observed"))
    panel.plot(predicted, observed, color=colour, linewidth=1.2, label=system)
    panel.scatter(predicted, observed, s=8 + 60 * count[seen] / count.sum(), color=colour, linewidths=0)


def _draw_cosines(panel: Any, found: Mapping[str, Any], system: str) -> None:
    edges = np.array(found["edges"])
    for name, colour in (("own", COLOURS[0]), ("others", "#888888")):
        count = np.array(found[name], dtype=float)
        label = "own report" if name == "own" else "other reports"
        panel.stairs(count / max(count.sum(), 1), edges, fill=True, alpha=0.55, color=colour, label=label)
    panel.set_title(f"{system}: effective rank {found['effective rank']:.1f}", fontsize=9, loc="left")
    panel.set_xticks([-1, -0.5, 0, 0.5, 1])
    panel.set_xlabel("cosine of image and report", fontsize=8)
    panel.set_ylabel("share", fontsize=8)
    panel.legend(fontsize=7, frameon=False)


def _draw_occurrences(panel: Any, found: Mapping[str, Any]) -> None:
    counts = found["occurrences"]
    panel.bar(range(len(counts)), counts, width=1.0, color=COLOURS[2], edgecolor="white", linewidth=0.3)
    panel.axvline(NEAREST, color="#444444", linewidth=1, linestyle="--", label="if all were found alike")
    never, skew = 100 * found["reports never found"], found["hubness (skewness)"]
    panel.set_title(f"hubness {skew:.2f}; {never:.0f} % never found", fontsize=9, loc="left")
    panel.set_xlabel(f"times among the {NEAREST} nearest of an image", fontsize=8)
    panel.set_ylabel("reports", fontsize=8)
    panel.set_ylim(0, 1.18 * max(counts))
    panel.xaxis.get_major_locator().set_params(integer=True)
    panel.legend(fontsize=7, frameon=False)


def _draw_plane(panel: Any, found: Mapping[str, Any]) -> None:
    middles = []
    for name, colour in (("images", COLOURS[0]), ("reports", COLOURS[1])):
        points = np.array(found[name])
        size = 4 if len(points) > 150 else 12
        panel.scatter(points[:, 0], points[:, 1], s=size, alpha=0.5, color=colour, linewidths=0, label=name)
        middles.append(points.mean(axis=0))
    panel.plot(*np.transpose(middles), color="#222222", linewidth=1.4, marker="x", markersize=5)
    panel.set_title(f"modality gap {found['modality gap']:.2f} (between the crosses)", fontsize=9, loc="left")
    panel.set_xlabel("first two principal directions", fontsize=8)
    panel.set_aspect("equal", adjustable="datalim")
    panel.legend(fontsize=7, frameon=False, markerscale=2)


def _legend(figure: Any, panel: Any) -> None:
    handles, names = panel.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=4, frameon=False, fontsize=8)
