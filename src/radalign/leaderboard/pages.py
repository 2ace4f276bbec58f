"""Write the board from the cells that there are: one HTML page, one Markdown table, all scores as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from radalign.data.provenance import provenance
from radalign.files import whole_file
from radalign.leaderboard import sections
from radalign.leaderboard.blocks import Block, Section, to_markdown
from radalign.leaderboard.cells import Cell
from radalign.leaderboard.curves import curve_blocks
from radalign.leaderboard.facts import cost_table
from radalign.leaderboard.gallery import cells_to_show, gallery_blocks, may_show
from radalign.leaderboard.html import to_html
from radalign.leaderboard.plan import BoardPlan, LeaderboardError
from radalign.leaderboard.scores import Judged, Key, Scores, gaps_to, read_cell, scores_of
from radalign.leaderboard.standing import budget_sentence, standing
from radalign.leaderboard.winners import columns_of, winner
from radalign.study import Manifest
from radalign.train.record import write_json


def write_pages(
    plan: BoardPlan, cells: Sequence[Cell], manifest: Manifest, out: Path,
    gallery: bool | None = None, heat: bool = True, show: Sequence[str] = (),
) -> dict[str, Path]:  # fmt: skip
    """Write `page.html`, `table.md` and `board.json`.

    Args:
        plan: What was wanted.
        cells: All of them, with or without a result.
        manifest: For the gallery.
        out: The board's folder.
        gallery: Show images and reports; None shows them for simulated studies alone.
        heat: Also heat maps of words, in a gallery.
        show: Arms whose galleries are drawn; empty = the leader, the reference, and one with heat maps.

    Raises:
        LeaderboardError: If no cell has a result of the plan's settings and rules.
    """
    shows = may_show(manifest) if gallery is None else gallery
    standing_cells, left_out = standing(cells)
    judged = [read_cell(cell) for cell in standing_cells]
    if not judged:
        raise LeaderboardError(_nothing(cells, left_out))
    judged.sort(key=lambda j: [arm.name for arm in plan.arm].index(j.cell.arm.name))
    scores = scores_of(judged)
    columns = columns_of(scores, plan.columns)
    found = _sections(plan, cells, judged, scores, columns, left_out)
    if shows:
        shown = cells_to_show(judged, _usual(plan, scores, columns), show, heat)
        found.insert(-1, Section("Gallery", gallery_blocks(shown, manifest, heat)))
    title = plan.title or f"Leaderboard: {plan.name}"
    files = {name: out / name for name in ("page.html", "table.md", "board.json")}
    _replace(files["page.html"], to_html(title, found))
    _replace(files["table.md"], to_markdown(title, found))
    write_json(files["board.json"], summary(plan, cells, scores, columns, left_out))
    return files


def _sections(
    plan: BoardPlan, cells: Sequence[Cell], judged: Sequence[Judged], scores: Scores, columns: Sequence[Key],
    left_out: Mapping[str, str],
) -> list[Section]:  # fmt: skip
    label, budget = protocol_label(judged), budget_sentence(plan.budget, judged)
    failures = [(cell.label, why) for cell in cells if (why := cell.failure())]
    known = {j.cell.label for j in judged} | {label for label, _ in failures} | set(left_out)
    waiting = [cell.label for cell in cells if cell.label not in known]
    curves: list[Block] = list(curve_blocks(judged))
    return [
        sections.in_short(plan, scores, columns, label, budget),
        sections.missing(failures, waiting, left_out),
        sections.main_table(scores, columns, label),
        sections.differences(plan, scores, columns, label),
        sections.ablations(plan, scores, columns, label),
        Section("Cost", [cost_table(judged)]),
        Section("Learning curves", curves),
        sections.by_group(scores, label),
        sections.everything(scores, label),
        sections.how_made(plan, judged, label),
    ]


def protocol_label(judged: Sequence[Judged]) -> str:
    """Protocol, prompts, split, data and seeds: what every number of the page was made with."""
    first = judged[0].result
    settings = first.settings
    tasks: dict[str, Any] = {}
    for j in judged:  # an arm may have tasks and test sets of its own
        tasks |= {name: t for name, t in j.result.settings.get("tasks", {}).items() if name not in tasks}
    tasks = {name: tasks[name] for name in sorted(tasks, key=lambda name: " [" in name)}  # all studies first
    protocols = ", ".join(dict.fromkeys(f"{t['protocol']} ({t['mode']})" for t in tasks.values()))
    sizes: dict[str, Any] = next((t for t in tasks.values() if "patients" in t), {})
    many = f" ({sizes['studies']} studies, {sizes['patients']} patients)" if sizes else ""
    return (
        f"Protocol: {protocols}; split {settings.get('split')}{many}; prompts {settings.get('prompts')} "
        f"sha256 {str(settings.get('prompts_sha256'))[:12]}; data sha256 "
        f"{str(first.made_by.get('manifest_sha256'))[:12]}; training {seeds_of_arms(judged)}; "
        f"{settings.get('resamples')} resamples, bootstrap seed {settings.get('bootstrap_seed')}."
    )


def seeds_of_arms(judged: Sequence[Judged]) -> str:
    """The seeds of the arms, and of how many where they differ: an arm with one seed has no spread."""
    arms = dict.fromkeys(j.cell.arm.name for j in judged)
    sets = [tuple(sorted(j.cell.seed for j in judged if j.cell.arm.name == arm)) for arm in arms]
    counts = Counter(sets).most_common()
    words = [
        f"{'seeds' if len(seeds) > 1 else 'seed'} {', '.join(map(str, seeds))}"
        + (f" ({count} of {len(sets)} arms)" if len(counts) > 1 else "")
        for seeds, count in counts
    ]
    return ", ".join(words) + ("; each arm's are listed under Cost" if len(counts) > 1 else "")


def summary(
    plan: BoardPlan, cells: Sequence[Cell], scores: Scores, columns: Sequence[Key],
    left_out: Mapping[str, str],
) -> dict[str, object]:  # fmt: skip
    """The board as plain values, for a script."""
    rows = [
        {k: v for k, v in vars(score).items() if k not in ("samples", "key", "drawn_from")}
        | dict(zip(("task", "metric", "group"), score.key, strict=True))
        for mine in scores.values()
        for score in mine.values()
    ]
    winners = [w for key in columns if (w := winner(scores, key)) is not None]
    return {
        "plan": plan.model_dump(mode="json"),
        "scores": rows,
        "gaps": [asdict(gap) for gap in gaps_to(scores, plan.against, columns).values()],
        "winners": [
            {"task": w.key[0], "metric": w.key[1], "best": w.best.arm, "ties": w.ties, "behind": w.behind}
            for w in winners
        ],
        "failures": {cell.label: cell.failure() for cell in cells if cell.failure()},
        "not_shown": dict(left_out),
        "data_sha256": cells[0].job.data_sha256,
        "made_by": provenance(),
    }


def _usual(plan: BoardPlan, scores: Scores, columns: Sequence[Key]) -> list[str]:
    """The arms whose galleries are shown if none was asked for: the first column's leader, the reference."""
    leader = winner(scores, columns[0]) if columns else None
    return [*([leader.best.arm] if leader else []), plan.against]


def _nothing(cells: Sequence[Cell], left_out: Mapping[str, str]) -> str:
    if left_out:
        label, why = next(iter(left_out.items()))
        return f"No result may be shown. {label}: {why} ({len(left_out)} of {len(cells)} cells)."
    failed = [f"{cell.label}: {why}" for cell in cells if (why := cell.failure())]
    if failed:
        return f"No cell has a result. {failed[0]} ({len(failed)} of {len(cells)} failed); mend the plan."
    return "No cell has a result yet; run the plan without --page-only."


def _replace(path: Path, text: str) -> None:
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")
