"""Train a system: the one function that the command line and the library share.

    train(system, manifest, out)
      prepare the data ── warm start or resume ──> epochs of steps ── validate, keep the best ──> card

Every number that a step depends on is a function of the seed and the step: a resumed run repeats what it
lost.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from radalign.objectives.collapse import CollapseError
from radalign.study import Manifest
from radalign.systems.contradictions import need_more_than_scales, need_objective
from radalign.systems.start_from import start_from
from radalign.train.bar import Bar
from radalign.train.device import Processes
from radalign.train.folder import RESUME, open_run_folder
from radalign.train.interrupt import polite_interrupts, stoppable
from radalign.train.prepare import prepare_data
from radalign.train.result import RunResult, run_details
from radalign.train.run import Run
from radalign.train.selection import need_known
from radalign.train.start import TrainError, trainable


def train(
    system: Any,
    manifest: Manifest,
    out: str | Path,
    cache_folder: str | Path,
    *,
    start: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    fail_on_collapse: bool = False,
    device: str = "auto",
    decode_processes: int = 0,
    bar: Bar | None = None,
) -> RunResult:
    """Train a system on the manifest's training studies.

    Args:
        system: Any system; it is changed in place and holds the last weights afterwards.
        manifest: With a split; `validate` picks the best checkpoint.
        out: The run's folder: `best/`, `last/`, log, card.
        cache_folder: Where decoded images are kept between runs.
        start: A trained system of the same kind whose tensors this run begins with, instead of a warm start.
        resume: Go on with the run in `out` from its latest resume point; without one it begins.
        overwrite: Remove the run that is in `out`, once this one is ready to begin.
        fail_on_collapse: Stop with an error when the collapse monitor fails.
        device: `auto` or `cpu`.
        decode_processes: Processes that decode images, 0 = as many as make sense.
        bar: Shows progress; silent by default.

    Returns:
        The result, as also written to `run.json`.

    Raises:
        RecipeError: If no objective has a weight.
        SystemFolderError: If `start` does not fit.
        TrainError: If nothing trains, a loss is not finite, or a resumed run does not fit.
        CollapseError: If the embeddings collapse and `fail_on_collapse` is set.
        KeyboardInterrupt: If somebody asks to stop before the first step; what was computed is kept.
    """
    out = Path(out)
    trained = list(trainable(system))
    need_more_than_scales(trained)
    need_objective(bool(trained), system.recipe.objectives, getattr(system, "objective_names", ()))
    need_known(system.recipe.train.select, system)
    if fail_on_collapse and not getattr(system, "aligns", True):
        raise TrainError("This system aligns nothing, so nothing can collapse; leave --fail-on-collapse out.")
    system.feature_cache = Path(cache_folder)
    processes = Processes(system.recipe.train, device, out)
    started = None if start is None else start_from(system, start)
    if processes.is_main:
        open_run_folder(out, resume, overwrite)
    processes.wait()
    bar = bar if bar is not None and processes.is_main else Bar(quiet=True)
    with bar, polite_interrupts() as interrupt:
        around = stoppable(bar.around, interrupt)
        data = prepare_data(system, manifest, Path(cache_folder), processes, decode_processes, around)
        details = run_details(system, manifest.sha256(), data, processes)
        if started is not None:
            details["start"] = {"folder": started.folder, "sha256": started.sha256}
        run = Run(system, data, out, processes, bar, interrupt)
        with closing(run):
            run.begin(details, resume and (out / RESUME).is_file(), started, overwrite)
            result = run.finish(run.go(fail_on_collapse), details)
    if result.stopped_by == "collapse":
        raise CollapseError(f"{run.collapse_sentence} The run's card is in {out}.")
    return result
