"""A comparison for a person: a Markdown table, and one figure with curves and differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from radalign.evaluate.plots import COLOURS, save
from radalign.evaluate.results import Gap
from radalign.evaluate.tables import spread, written
from radalign.leaderboard.alike import label
from radalign.leaderboard.blocks import Block, Cell, Grid, Listing, Section, to_markdown
from radalign.leaderboard.compare import Comparison, Contestant
from radalign.leaderboard.scores import is_about_wording, verdict
from radalign.leaderboard.svg import smooth
from radalign.train.record import write_json

DRAWN = 16


def write_comparison(found: Comparison, folder: Path) -> dict[str, Path]:
    """Write `comparison.json`, `comparison.md` and `comparison.png`."""
    return write_three(folder, found.to_dict(), comparison_text(found), lambda p: draw_comparison(found, p))


def write_three(
    folder: Path, table: dict[str, Any], text: str, draw: Callable[[Path], object]
) -> dict[str, Path]:
    """A comparison for a script, for a reader, and as a picture."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: folder / f"comparison.{name}" for name in ("json", "md", "png")}
    write_json(files["json"], table)
    files["md"].write_text(text, encoding="utf-8")
    draw(files["png"])
    return files


def comparison_text(found: Comparison, details: bool = True) -> str:
    """The comparison as Markdown.

    Args:
        found: What was found.
        details: Also numbers of single labels and subgroups.
    """
    a, b = found.first.name, found.second.name
    settings = [f"{key}: {one} against {two}" for key, (one, two) in found.settings.items()]
    sections = [
        Section("In short", [in_short(found), *found.notes, _label(found)]),
        Section("Differences, paired by patient", _differences(found, details)),
        Section("Not paired", _unpaired(found)),
        Section("Queries won and lost", _wins(found)),
        Section("Settings that differ", [Listing(settings or ["None."])]),
    ]
    return to_markdown(f"{a} against {b}", sections)


def in_short(found: Comparison) -> str:
    """One sentence on what is better, what is worse, and what is not told apart."""
    overall = [gap for gap in found.gaps if not gap.group and not is_about_wording(gap.task)]
    if not overall:
        return "No difference was paired."
    said = {word: sum(verdict(gap) == word for gap in overall) for word in ("better", "worse", "tie")}
    return (
        f"Of {len(overall)} numbers over all cases, {found.first.name} is better in {said['better']}, "
        f"worse in {said['worse']}, and not told apart in {said['tie']} (the 95 % interval includes 0; no "
        "correction for their number)."
    )


def _label(found: Comparison) -> str:
    one, two = (_judged_as(side) for side in (found.first, found.second))
    a, b = found.first.name, found.second.name
    said = f"{one}." if one == two else f"{a}: {one}. {b}: {two}."
    return f"{said} p: twice the share of resamples in which the difference has the other sign."


def _judged_as(side: Contestant) -> str:
    known = label(side.result)
    prompts = known.get("prompts sha256")
    return (
        f"Mode {known['mode']}; split {known.get('split') or 'all'}; prompts {known.get('prompts', '?')}"
        f"{f' sha256 {prompts}' if prompts else ''}; data sha256 {known['manifest_sha256'][:12] or '?'}; "
        f"{known['resamples'] or '?'} resamples, bootstrap seed {_or(known['bootstrap_seed'])}"
    )


def _or(value: Any) -> str:
    return "?" if value is None else str(value)


def _differences(found: Comparison, details: bool) -> list[Block]:
    a, b = found.first, found.second
    header = ["task", "metric", a.name, b.name, "difference (95 %)", "p", ""]
    rows = [_gap_row(gap, a, b) for gap in found.gaps if details or not gap.group]
    return [Grid(header, rows)] if rows else []


def _gap_row(gap: Gap, a: Contestant, b: Contestant) -> list[Cell]:
    values = [_value(side, (gap.task, gap.metric, gap.group)) for side in (a, b)]
    name = f"{gap.metric} [{gap.group}]" if gap.group else gap.metric
    difference = spread(gap.metric, gap.value, gap.low, gap.high, signed=True)
    return [
        Cell(gap.task), Cell(name), *(Cell(written(gap.metric, v)) for v in values), Cell(difference),
        Cell(f"{gap.p:.3f}"), Cell(verdict(gap)),
    ]  # fmt: skip


def _value(side: Contestant, key: tuple[str, str, str]) -> float:
    return next(m.value for m in side.result.measures if (m.task, m.metric, m.group) == key)


def _unpaired(found: Comparison) -> list[Block]:
    rows = [
        [Cell(task), Cell(f"{metric} [{group}]" if group else metric), Cell(written(metric, a)),
         Cell(written(metric, b)), *([] if found.unlike else [Cell(written(metric, a - b, "+"))])]
        for (task, metric, group), a, b in found.unpaired
    ]  # fmt: skip
    header = ["task", "metric", found.first.name, found.second.name]
    return [Grid([*header, *([] if found.unlike else ["difference"])], rows)] if rows else []


def _wins(found: Comparison) -> list[Block]:
    header = ["direction", f"{found.first.name} higher", f"{found.second.name} higher", "same rank"]
    rows = [
        [Cell(w.direction), Cell(str(w.wins)), Cell(str(w.losses)), Cell(str(w.ties))] for w in found.wins
    ]
    lines = [
        f"{w.direction}, {word}: " + "; ".join(f"{study} rank {a} against {b}" for study, a, b in some)
        for w in found.wins
        for word, some in (("gained most", w.gained), ("lost most", w.lost))
        if some
    ]
    return [Grid(header, rows), Listing(lines)] if rows else []


def draw_comparison(found: Comparison, path: Path) -> Path:
    """Loss, validation and differences of the two sides in one PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4.4), dpi=110, layout="constrained")
    loss, check, gaps = figure.subplots(1, 3, width_ratios=[1, 1, 1.3])
    for side, colour in zip((found.first, found.second), COLOURS, strict=False):
        steps = [(r["step"], r["total"]) for r in side.log if r["kind"] == "step" and "total" in r]
        checks = [(r["step"], r["r10"]) for r in side.log if r["kind"] == "validation" and "r10" in r]
        for panel, points, style in ((loss, smooth(steps), "-"), (check, checks, "o-")):
            if points:
                panel.plot(*zip(*points, strict=True), style, color=colour, label=side.name, markersize=3)
    loss.set(title="training loss", xlabel="step")
    check.set(title="R@10, validation", xlabel="step")
    for panel in (loss, check):
        if panel.has_data():
            panel.legend(fontsize=8)
        else:
            panel.text(0.5, 0.5, "no log", ha="center", va="center", transform=panel.transAxes)
    _draw_gaps(gaps, [g for g in found.gaps if not g.group and abs(g.value) <= 1][:DRAWN])
    gaps.set_title(f"{found.first.name} − {found.second.name}, 95 %", fontsize=10)
    return save(figure, path)


def _draw_gaps(panel: Any, gaps: Sequence[Gap]) -> None:
    y = np.arange(len(gaps))
    value = np.array([g.value for g in gaps])
    reach = np.array([[g.value - g.low for g in gaps], [g.high - g.value for g in gaps]])
    panel.axvline(0, color="#8a939c", linewidth=1)
    if len(gaps):
        panel.errorbar(value, y, xerr=np.clip(np.nan_to_num(reach), 0, None), fmt="o", color=COLOURS[0])
    panel.set_yticks(y, [f"{g.task}, {g.metric}" for g in gaps], fontsize=7)
    panel.invert_yaxis()
