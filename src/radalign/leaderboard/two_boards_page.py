"""Two boards for a person: Markdown tables, and a figure with a panel per number and a line per arm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from radalign.evaluate.plots import COLOURS, save
from radalign.evaluate.tables import written
from radalign.leaderboard.blocks import Block, Cell, Grid, Listing, Section, to_markdown
from radalign.leaderboard.compare_page import write_three
from radalign.leaderboard.scores import Key, verdict
from radalign.leaderboard.sections import gap_cell, header
from radalign.leaderboard.two_boards import BoardComparison
from radalign.leaderboard.winners import by_test

PANELS, ACROSS = 12, 4


def write_boards(found: BoardComparison, folder: Path) -> dict[str, Path]:
    """Write `comparison.json`, `comparison.md` and `comparison.png`."""
    return write_three(folder, found.to_dict(), boards_text(found), lambda path: draw_boards(found, path))


def boards_text(found: BoardComparison) -> str:
    """The comparison as Markdown."""
    a, b = found.names
    sections = [
        Section("In short", [Listing(in_short(found)), *_notes(found)]),
        Section(f"{a} minus {b}", _tables(found, minus=True)),
        Section("Both numbers", _tables(found, minus=False)),
    ]
    return to_markdown(f"{a} against {b}", sections)


def in_short(found: BoardComparison) -> list[str]:
    """Per number, the arms that are better or worse on the first board beyond their interval."""
    lines, same = [], []
    for key in found.columns:
        own = {arm: gap for (arm, other), gap in found.gaps.items() if other == key}
        marks = {arm: verdict(gap) for arm, gap in own.items()}
        said = []
        for word in ("better", "worse"):
            arms = [f"{arm} ({written(key[1], own[arm].value, '+')})" for arm in own if marks[arm] == word]
            said += [f"{word} {', '.join(arms)}"] if arms else []
        ties = list(marks.values()).count("tie")
        name = f"{key[0]}, {key[1]}"
        if said:
            lines.append(f"{name}: {'; '.join(said)}; {ties} of {len(own)} arms not told apart.")
        elif own:
            same.append(name)
    return [*lines, *([f"No arm is told apart in {'; '.join(same)}."] if same else [])]


def _notes(found: BoardComparison) -> list[Block]:
    a, b = found.names
    lines: list[Block] = [
        f"{a} minus {b}: means over the seeds that both have, with 95 % intervals by resampling patients. "
        "Each difference is judged by its own interval, with no correction for their number."
    ]
    for arm, rules in found.unlike.items():
        said = "; ".join(f"{name} {one} against {two}" for name, (one, two) in rules.items())
        lines.append(f"{arm} was not judged alike ({said}), so nothing of it is subtracted.")
    return [*lines, f"Left out: {'; '.join(found.alone)}."] if found.alone else lines


def _tables(found: BoardComparison, minus: bool) -> list[Block]:
    tables: list[Block] = []
    for own in by_test(found.columns):
        rows = [
            [
                Cell(arm),
                Cell(", ".join(map(str, found.seeds[arm]))),
                *(_cell(found, arm, k, minus) for k in own),
            ]
            for arm, mine in found.scores[0].items()
            if any(key in mine for key in own)
        ]
        first, *rest = header("system", own)
        tables.append(Grid([first, "seeds", *rest], rows))
    return tables


def _cell(found: BoardComparison, arm: str, key: Key, minus: bool) -> Cell:
    one, two = (scores[arm].get(key) for scores in found.scores)
    if one is None or two is None:
        return Cell("")
    if minus:
        return gap_cell(found.gaps.get((arm, key)))
    return Cell(f"{written(key[1], one.value)} against {written(key[1], two.value)}")


def draw_boards(found: BoardComparison, path: Path) -> Path:
    """A panel per number with every arm's difference and its interval; numbers of subsets are left out."""
    from matplotlib.figure import Figure

    keys = [key for key in found.columns if " [" not in key[0]][:PANELS]
    arms = [arm for arm in found.scores[0] if any((arm, key) in found.gaps for key in keys)]
    down = max(1, -(-len(keys) // ACROSS))
    size = (3 * ACROSS + 1.5, (0.24 * len(arms) + 0.8) * down)
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    panels = figure.subplots(down, ACROSS, sharey=True, squeeze=False).flatten()
    for panel, key in zip(panels, keys, strict=False):
        _draw_panel(panel, found, key, arms)
    for panel in panels[len(keys) :]:
        panel.set_visible(False)
    figure.suptitle(f"{found.names[0]} − {found.names[1]}, 95 %", fontsize=10)
    return save(figure, path)


def _draw_panel(panel: Any, found: BoardComparison, key: Key, arms: list[str]) -> None:
    panel.axvline(0, color="#8a939c", linewidth=1)
    for place, arm in enumerate(arms):
        gap = found.gaps.get((arm, key))
        if gap is not None:
            colour = "#8a939c" if verdict(gap) == "tie" else COLOURS[0]
            panel.plot([gap.low, gap.high], [place, place], color=colour)
            panel.plot([gap.value], [place], "o", color=colour, markersize=4)
    panel.set_title(f"{key[0]}, {key[1]}", fontsize=8)
    panel.set_yticks(range(len(arms)), arms, fontsize=7)
    panel.tick_params(axis="x", labelsize=7)
    panel.set_ylim(len(arms) - 0.5, -0.5)
