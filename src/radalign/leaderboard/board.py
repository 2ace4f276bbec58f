"""Run every cell of a plan that has no result yet, each in a process of its own, and write the page.

plan x manifest ── cells ── new, begun, trained or done ──> run what is missing ──> page.html, table.md
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from radalign.leaderboard.cell_files import read_pictures
from radalign.leaderboard.cell_run import FAILED, STOPPED, run_cell
from radalign.leaderboard.cells import Cell, cells_of, write_failure
from radalign.leaderboard.gallery import may_show, need_gallery
from radalign.leaderboard.judge_again import judged_by_another_version
from radalign.leaderboard.overview import Overview
from radalign.leaderboard.plan import BoardPlan, LeaderboardError, need_known
from radalign.leaderboard.processes import run_processes
from radalign.leaderboard.records import keep, take_in
from radalign.leaderboard.standing import need_readable, need_same_manifest
from radalign.leaderboard.subsets import need_judgeable
from radalign.study import Manifest
from radalign.train.bar import clock

Say = Callable[[str], None]


@dataclass(frozen=True)
class BoardOptions:
    """How the board is made.

    Args:
        page_only: Train and judge nothing; make the page from the cells that there are.
        gallery: Show images and reports; None shows them for simulated studies alone.
        quiet: No progress.
        isolate: Each cell in a process of its own.
        at_once: How many of these processes run side by side.
        cache: Folder of decoded images; None takes `pixels` beside the manifest.
        heat: Also heat maps of words, in a gallery.
        arms: Only these run now; empty = all. The page shows every cell that has a result. Not with
            `page_only`.
        seeds: Only these run now; empty = all. Not with `page_only`.
        show: Arms whose galleries are drawn; empty = the leader, the reference, and one with heat maps.
        records: Folder of results as small files: those there are taken in, those made are put there.
        judge_again: Judge cells anew, from their weights, that another version of the code has judged. Not
            with `page_only`.
    """

    page_only: bool = False
    gallery: bool | None = None
    quiet: bool = False
    isolate: bool = True
    at_once: int = 1
    cache: Path | None = None
    heat: bool = True
    arms: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    records: Path | None = None
    show: tuple[str, ...] = ()
    judge_again: bool = False


def make_board(
    plan: BoardPlan, data: Path, out: Path, options: BoardOptions | None = None, say: Say | None = None
) -> dict[str, Path]:
    """Run what is missing and write the page; what was finished before is kept.

    Args:
        plan: Arms, budget, judging.
        data: A manifest with a split.
        out: The board's folder.
        options: See `BoardOptions`.
        say: Takes a line about each cell.

    Returns:
        What was written, by name.

    Raises:
        LeaderboardError: If a cell was made on another manifest, or with other settings than the plan's
            (`page_only` lists such cells instead), a test set would be empty, no cell has a result to
            show, or `page_only` comes with something to run.
        EvaluationError: If the manifest lacks the split, or a label, that cells will be judged on.
        KeyboardInterrupt: If somebody asked a cell to stop; what is done is kept.
    """
    from radalign.leaderboard.pages import write_pages

    options, say = options or BoardOptions(), say or (lambda line: None)
    if options.page_only and (options.arms or options.seeds or options.judge_again):
        raise LeaderboardError(
            "--page-only runs no cell and shows every one that there is; leave --arm, --seed and "
            "--judge-again out."
        )
    manifest = Manifest.read(data)
    shows = may_show(manifest) if options.gallery is None else options.gallery
    need_gallery(options.show, [arm.name for arm in plan.arm], shows)
    cells = cells_of(
        plan, out, data.absolute(), (options.cache or data.parent / "pixels").absolute(), manifest.sha256()
    )
    if options.records is not None:
        for path, why in take_in(cells, options.records).items():
            say(f"{path} is not taken in: {why}." if why else f"Taken in: {path}.")
    need_same_manifest(cells)
    if not options.page_only:
        need_judgeable(
            plan.evaluate, {t.name: t for arm in plan.arm for t in plan.tests_of(arm)}.values(), manifest
        )
        _run_missing(cells, options, say)
    if options.records is not None:
        for path in keep(cells, options.records):
            say(f"Wrote {path}.")
    return write_pages(plan, cells, manifest, out, shows, options.heat, options.show)


def _run_missing(cells: Sequence[Cell], options: BoardOptions, say: Say) -> None:
    cells = _asked_for(cells, options)
    states = {cell.folder: _checked_state(cell) for cell in cells}
    if options.judge_again:
        again, kept = judged_by_another_version([cell for cell in cells if states[cell.folder] == "done"])
        states |= {cell.folder: "trained" for cell in again}
        if kept:
            say(
                "Judged by another version and without weights, so that they stay as they are: "
                f"{'; '.join(cell.label for cell in kept)}."
            )
    overview = Overview(options.quiet) if options.at_once > 1 else None
    told = _Told(cells, states, say, overview)
    missing = [cell for cell in cells if states[cell.folder] != "done"]
    if options.isolate:
        with overview or nullcontext():
            run_processes(missing, options.at_once, options.quiet, told)
        return
    for cell in missing:
        told.begin(cell)
        code = _here(cell, options.quiet)
        if code == STOPPED:
            raise KeyboardInterrupt
        told.end(cell, code)


class _Told:
    """Says what happens to cells, and writes a cell's job when its turn comes."""

    def __init__(
        self, cells: Sequence[Cell], states: Mapping[Path, str], say: Say, overview: Overview | None
    ) -> None:
        self._say, self._overview = say, overview
        self._places = {c.folder: f"Cell {n} of {len(cells)}: {c.label}" for n, c in enumerate(cells, 1)}
        self._states, self._began = states, dict[Path, float]()
        for cell in cells:
            if states[cell.folder] == "done":
                say(f"{self._places[cell.folder]}: done before.")

    def begin(self, cell: Cell) -> None:
        self._began[cell.folder] = time.perf_counter()
        self._say(f"{self._places[cell.folder]}: {_VERBS[self._states[cell.folder]]} ...")
        cell.job.write(cell.folder)
        if self._overview:
            self._overview.begin(cell)

    def look(self) -> None:
        if self._overview:
            self._overview.look()

    def stop(self) -> None:
        self._say("Stopping: what is under way is saved. Asked again, it ends at once.")

    def end(self, cell: Cell, code: int) -> None:
        if self._overview:
            self._overview.end(cell)
        if code:
            self._say(f"{self._places[cell.folder]}: failed. {cell.failure()}")
        elif self._overview:  # a bar of its own would have told
            took = clock(time.perf_counter() - self._began[cell.folder])
            self._say(f"{self._places[cell.folder]}: done in {took}.")


def _asked_for(cells: Sequence[Cell], options: BoardOptions) -> list[Cell]:
    """The cells of the arms and seeds that were named; a name that no cell has is an error."""
    need_known("arm", options.arms, [cell.arm.name for cell in cells])
    need_known("seed", options.seeds, sorted(cell.seed for cell in cells))
    found = [
        cell
        for cell in cells
        if (not options.arms or cell.arm.name in options.arms)
        and (not options.seeds or cell.seed in options.seeds)
    ]
    if not found:
        raise LeaderboardError("No arm that was named has a seed that was named; name other seeds.")
    return found


_VERBS = {"new": "training", "begun": "going on with its training", "trained": "judging"}


def _checked_state(cell: Cell) -> str:
    """The state of a cell; a wrong recipe fails when its turn comes, a run of other settings stops all.

    A cell is judged again when a file of its judging is damaged; a damaged run fails when its turn comes.
    """
    try:
        state = cell.state()
    except LeaderboardError:
        raise
    except ValueError:
        return "new"
    if state == "done":
        try:
            need_readable(cell)
            read_pictures(cell.folder)
        except ValueError:  # that of a damaged run is said when it is judged
            return "trained"
    return state


def _here(cell: Cell, quiet: bool) -> int:
    try:
        return 0 if run_cell(cell.folder, quiet) else STOPPED
    except Exception as error:  # whatever it is, it is this cell's alone and stands on the page
        write_failure(cell.folder, str(error) or type(error).__name__, traceback.format_exc())
        return FAILED
