"""Do a cell's job: train, or go on where a run was killed; then judge, and keep what the page needs.

python -m radalign.leaderboard.cell_run FOLDER      one cell, in a process of its own
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

from radalign.files import WriteRefused
from radalign.leaderboard.cell_files import read_table
from radalign.leaderboard.cells import (
    FAILURE,
    PRETRAINED,
    Job,
    needs_pretraining,
    needs_training,
    write_failure,
)
from radalign.leaderboard.plan import Judging, LeaderboardError, TestSet

STOPPED, FAILED = 130, 1


def run_cell(folder: Path, quiet: bool = True) -> bool:
    """Train and judge the cell whose job lies in the folder.

    Args:
        folder: With `cell.json`.
        quiet: Show no progress.

    Returns:
        Whether it came to its end; False when somebody asked it to stop.

    Raises:
        ValueError: Whatever training or judging says is wrong.
    """
    job = Job.read(folder)
    (folder / FAILURE).unlink(missing_ok=True)
    first = job.first() if needs_pretraining(folder, job) else None
    if first and not _train(folder, folder / PRETRAINED, first, quiet):
        return False
    if needs_training(folder / "run", job) and not _train(folder, folder / "run", job, quiet):
        return False
    _judge(folder, job, quiet)
    return True


def _train(folder: Path, run: Path, job: Job, quiet: bool) -> bool:
    from radalign.leaderboard.flops import epochs_within, write_step_flops
    from radalign.study import Manifest
    from radalign.systems.base import create
    from radalign.train.bar import Bar
    from radalign.train.folder import held_run
    from radalign.train.loop import train

    manifest = Manifest.read(job.data)
    settings = job.settings
    if job.flops:
        settings = (*settings, f"train.epochs={epochs_within(job, manifest)}")
    system = create(job.recipe, settings)
    # The weights that it was measured on are about to be written over: a later start must judge again.
    (folder / "result.json").unlink(missing_ok=True)
    begun, bar = held_run(run), Bar(quiet=quiet)
    result = train(system, manifest, run, job.cache, resume=begun, bar=bar)
    if result.is_finished and run.name != PRETRAINED:
        write_step_flops(folder / "flops.json", system, job, manifest)
    return result.is_finished


def _judge(folder: Path, job: Job, quiet: bool) -> None:
    from radalign.leaderboard.judge import judge
    from radalign.leaderboard.pictures import write_pictures
    from radalign.study import Manifest
    from radalign.systems.base import load
    from radalign.train.bar import Bar

    begin = time.perf_counter()
    judging = Judging.model_validate(job.judging)
    tests = [TestSet.model_validate(test) for test in job.tests]
    manifest = Manifest.read(job.data)
    weights = folder / "run" / judging.weights
    if not weights.is_dir():
        raise LeaderboardError(
            f"{folder} came from a record, which has no weights, so it cannot be judged again (rules have "
            "changed, or a file is damaged); remove the folder to take the record in or to train the cell."
        )
    system = load(weights)
    loaded_s = time.perf_counter() - begin
    with Bar(quiet=quiet) as bar:
        judged, remembering = judge(
            system, job.arm, manifest, judging, tests, job.tasks, bar.around, Path(job.data).parent
        )
    write_pictures(folder / "pictures.json", judged.embeddings, remembering, judged.manifest, judging)
    made: dict[str, Any] = dict(judged.result.made_by)
    made["seeds"] = dict(made["seeds"]) | {"run": job.seed}
    made["wall_time_s"] = dict(made["wall_time_s"]) | {
        "load": loaded_s,
        "all": time.perf_counter() - begin,
    }
    counted = folder / "flops.json"
    if counted.is_file():
        made["flops"] = dict(made["flops"]) | read_table(counted)
    made |= {"judged_as": job.judged_as(), "arm": job.arm, "data": job.data}
    replace(judged, result=replace(judged.result, made_by=made)).write(folder)


def main(words: list[str]) -> int:
    """Run one cell as a process; what goes wrong is written beside it and becomes the exit code."""
    folder, quiet = Path(words[0]), "--quiet" in words
    end_with(os.getppid())
    try:
        return 0 if run_cell(folder, quiet) else STOPPED
    except KeyboardInterrupt:
        return STOPPED
    except Exception as error:  # whatever it is, it is this cell's alone and stands on the page
        trace = traceback.format_exc()
        try:
            write_failure(folder, str(error) or type(error).__name__, trace)
        except WriteRefused:  # a full disk is the reason itself: then it is only said
            print(error, file=sys.stderr)
        return FAILED


def end_with(parent: int) -> None:
    """End this process when the one that started it is gone: nobody would wait for its result."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(STOPPED)

    threading.Thread(target=watch, daemon=True, name="watch parent").start()


def need_folder(words: list[str]) -> None:
    """Check the command line of the process.

    Raises:
        LeaderboardError: If no folder is given.
    """
    if not words or not (Path(words[0]) / "cell.json").is_file():
        raise LeaderboardError("Give the folder of a cell; `radalign leaderboard` makes and runs them.")


if __name__ == "__main__":
    from radalign.train.memory import prepare_memory

    prepare_memory()
    need_folder(sys.argv[1:])
    sys.exit(main(sys.argv[1:]))
