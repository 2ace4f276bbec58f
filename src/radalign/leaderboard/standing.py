"""Which results may stand on one page: of the plan's settings, data and rules; one label is true of all.

cells ── on this manifest? ── trained with these settings? ── judged by these rules? ──> shown, or why not
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from radalign.leaderboard.cell_files import JOB, RESULT, DamagedFile, read_table
from radalign.leaderboard.cells import Cell, changed_settings, done_cells, is_judged_as_asked
from radalign.leaderboard.plan import Budget, LeaderboardError
from radalign.leaderboard.scores import Judged, read_cell
from radalign.train.folder import RunFolderError, held_run, read_run

OLDER = "judged by older rules; run again without --page-only"


def need_same_manifest(cells: Sequence[Cell]) -> None:
    """Refuse a board whose cells were made on other studies than the manifest's.

    Raises:
        LeaderboardError: If a cell was.
    """
    for cell in cells:
        made = data_of(cell)
        if made and cell.job.data_sha256 and made != cell.job.data_sha256:
            raise LeaderboardError(
                f"{cell.label} in {cell.folder} was made on a manifest of content {made[:12]}, but "
                f"{cell.job.data} has {cell.job.data_sha256[:12]}; give that manifest, or another --out."
            )


def data_of(cell: Cell) -> str:
    """SHA-256 of the studies that a cell was trained on, or else judged on; "" when nobody wrote it down."""
    path = cell.folder / RESULT
    try:
        run = read_run(cell.run) if held_run(cell.run) else {}
        trained = str(run.get("details", {}).get("manifest_sha256") or "")
        if trained or not path.is_file():
            return trained
        made = read_table(path).get("made_by", {})
    except (DamagedFile, RunFolderError):  # said where the cell's turn comes
        return ""
    return str((made.get("judged_as") or {}).get("data_sha256") or "")


def standing(cells: Sequence[Cell]) -> tuple[list[Cell], dict[str, str]]:
    """The cells whose results may stand on the page, and for all other results why not, by label."""
    reasons = {cell.folder: _why_not(cell) for cell in done_cells(cells)}
    shown = [cell for cell in cells if reasons.get(cell.folder) == ""]
    return shown, {cell.label: why for cell in cells if (why := reasons.get(cell.folder))}


def _why_not(cell: Cell) -> str:
    try:
        first = cell.job.first()
        changed = changed_settings(cell.run, cell.job)
        changed |= changed_settings(cell.pretrained, first) if first else {}
        is_as_asked = is_judged_as_asked(cell.folder, cell.job)
        need_readable(cell)
    except ValueError as error:  # of a recipe that is no longer there or is wrong, or of a damaged file
        return str(error).removesuffix(".")
    if changed:
        key, (old, new) = next(iter(changed.items()))
        return f"trained with {key} = {old}, but the plan says {new}"
    if held_run(cell.run) and not read_run(cell.run).get("finished"):
        return "its training goes on since it was judged; run again without --page-only"
    return "" if is_as_asked else OLDER


def need_readable(cell: Cell) -> None:
    """Check that the page can read all that it needs of a cell with a result.

    Raises:
        DamagedFile: If a file of its judging cannot be read.
        RunFolderError: If that is one of its training.
    """
    if (cell.folder / JOB).is_file():
        read_table(cell.folder / JOB)
    read_cell(cell)


def budget_sentence(planned: Budget, judged: Sequence[Judged]) -> str:
    """The budget that the cells were trained under: a plan may have changed its limits since.

    Where time has ended some trainings, the limits of those that ended sooner by themselves say nothing.
    """
    timed = [j for j in judged if "time" in (j.run.get("stopped_by"), j.pretrained.get("stopped_by"))]
    minutes = sorted({round(sum(map(_minutes, (j.run, j.pretrained))), 6) for j in timed or judged})
    flops = sorted({_flops(j) for j in judged})
    used = [planned.model_copy(update={"minutes": m, "flops": f}) for m in minutes for f in flops]
    if used == [planned]:
        return f"{planned.sentence()} of training for every arm"
    limits = [_between(minutes, " minutes"), f"{planned.epochs} epochs" if planned.epochs else ""]
    limits.append(_between(flops, " FLOPs"))
    said = "at most " + (", ".join(filter(None, limits)) or "the recipes' epochs")
    whose = "for every arm" if len(used) == 1 else "and not the same for every cell"
    return f"{said} of training, {whose} (the plan now says {planned.sentence()})"


def _between(values: Sequence[float], unit: str) -> str:
    known = [f"{value:.4g}" for value in values if value]
    if not known:
        return ""
    open_end = " or without a limit" if len(known) < len(values) else ""
    return " to ".join(dict.fromkeys((known[0], known[-1]))) + unit + open_end


def _minutes(run: Mapping[str, Any]) -> float:
    """The limit of a training, 0 = none."""
    return float(run.get("details", {}).get("recipe", {}).get("train", {}).get("max_minutes") or 0.0)


def _flops(judged: Judged) -> float:
    """Of the training; cells of older versions have it in their job alone."""
    kept = judged.result.made_by.get("flops", {}).get("budget")
    path = judged.cell.folder / JOB
    job = read_table(path) if path.is_file() else {}
    own = job.get("flops") if kept is None else kept
    return float(own or 0.0) + float(job.get("pretrain", {}).get("flops", 0.0))


def by_reason(reasons: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Reason to the labels that it holds for.

    >>> by_reason([("A, seed 0", "old"), ("B, seed 0", "old")])
    {'old': ['A, seed 0', 'B, seed 0']}
    """
    found: dict[str, list[str]] = {}
    for label, why in reasons:
        found.setdefault(why, []).append(label)
    return found
