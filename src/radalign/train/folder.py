"""The run's folder: what is in it, when it may be written, and what may be removed from it.

best/  last/           systems that `radalign.load` reads
resume.safetensors     where to go on
log.jsonl              a line per step and per validation
run.json               the whole in numbers: recipe, data, versions, time, memory, result
README.md curves.png   the run card
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

SYSTEMS = ("best", "last")
TRACKS = "tensorboard"
RESUME = "resume.safetensors"
FILES = (RESUME, "README.md", "curves.png")
MARKS = ("run.json", "log.jsonl")  # what tells a run's folder from any other


class RunFolderError(ValueError):
    """The run's folder holds something that must not be lost or is missing; the message says what to do."""


def open_run_folder(folder: Path, resume: bool, overwrite: bool) -> None:
    """Make the folder of a run, or check that it may be used again.

    Args:
        folder: Where the run lives.
        resume: Go on with the run that is there.
        overwrite: A run may be there; `remove_run` removes it when the new one is ready.

    Raises:
        RunFolderError: If there is a run and neither is asked for, if a finished run is resumed, or if the
            folder holds other things.
    """
    if resume and overwrite:
        raise RunFolderError("Either --resume or --overwrite, not both: one goes on, the other starts again.")
    if folder.exists() and not folder.is_dir():
        raise RunFolderError(f"{folder} is a file; choose another folder for the run.")
    there = held_run(folder)
    if there and resume:
        _need_unfinished(folder)
    elif there and not overwrite:
        state = "a finished run" if is_finished(folder) else "an unfinished run"
        raise RunFolderError(f"{folder} holds {state}; go on with --resume, start again with --overwrite.")
    elif not there and folder.is_dir() and any(folder.iterdir()):
        raise RunFolderError(f"{folder} holds files that are no run; choose an empty or new folder.")
    folder.mkdir(parents=True, exist_ok=True)


def held_run(folder: Path) -> bool:
    """Whether the folder holds a run, finished or not."""
    return any((folder / name).is_file() for name in MARKS)


def is_finished(folder: Path) -> bool:
    """Whether the folder's run came to its end."""
    return bool(read_run(folder).get("finished", False))


def read_run(folder: Path) -> dict[str, Any]:
    """`run.json`, {} while there is none.

    Raises:
        RunFolderError: If it is damaged.
    """
    path = folder / "run.json"
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunFolderError(
            f"{path} cannot be read ({error}); put it back from a copy, or remove {folder} and train again."
        ) from error
    if not isinstance(found, dict):
        raise RunFolderError(f"{path} is no record of a run; remove {folder} and train again.")
    return found


def remove_run(folder: Path) -> None:
    """Remove a run's own files from its folder, and nothing else.

    The marks of a run go last, so that what a kill leaves can still be overwritten.
    """
    for name in FILES:
        _remove_file(folder / name)
    shutil.rmtree(folder / TRACKS, ignore_errors=True)
    for name in SYSTEMS:
        for suffix in ("", ".old", ".partial"):
            shutil.rmtree(folder / (name + suffix), ignore_errors=True)
    for name in MARKS:
        _remove_file(folder / name)


def _remove_file(path: Path) -> None:
    path.with_name(path.name + ".partial").unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def _need_unfinished(folder: Path) -> None:
    run = read_run(folder)
    if run.get("finished") and run.get("stopped_by") != "time":
        raise RunFolderError(f"The run in {folder} is finished; start it again with --overwrite.")
