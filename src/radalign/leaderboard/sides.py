"""The two sides of a comparison: runs to be judged, cells of a board, or results that were stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from radalign.evaluate.embeddings import Progress
from radalign.evaluate.results import Result
from radalign.leaderboard.cell_files import reading
from radalign.leaderboard.compare import Contestant
from radalign.leaderboard.plan import ALL, Judging, LeaderboardError, TestSet
from radalign.leaderboard.scores import Drawn
from radalign.train.record import Line, read_log


def read_sides(
    first: str, second: str, data: Path | None, judging: Judging, progress: Progress | None = None
) -> tuple[Contestant, Contestant]:
    """Both sides: judged on the data if they are given, else as they were judged before.

    Args:
        first: A run's folder, a cell of a leaderboard, or a `result.json`.
        second: The same.
        data: A manifest; needed for runs.
        judging: Split, tasks, prompts, resamples.
        progress: Wraps long loops.

    Raises:
        LeaderboardError: If a side is not there, or is a run and there are no data.
    """
    names = names_apart(first, second)
    if data is not None:
        one = _judged(first, names[0], data, judging, progress)
        return one, _judged(second, names[1], data, judging, progress)
    return _stored(Path(first), names[0]), _stored(Path(second), names[1])


def names_apart(first: str, second: str) -> tuple[str, str]:
    """The shortest ends of both paths that tell them apart.

    >>> names_apart("board/cells/a-0", "other/cells/a-0/result.json")
    ('board/cells/a-0', 'other/cells/a-0')
    """
    plain = ("result.json", "run")
    parts = [[p for p in Path(x).absolute().parts if p not in plain] for x in (first, second)]
    for length in range(1, max(map(len, parts)) + 1):
        one, two = ("/".join(p[-length:]) for p in parts)
        if one != two:
            return one, two
    return f"{parts[0][-1]} (first)", f"{parts[1][-1]} (second)"


def _judged(path: str, name: str, data: Path, judging: Judging, progress: Progress | None) -> Contestant:
    from radalign.leaderboard.judge import judge
    from radalign.study import Manifest
    from radalign.systems.base import load

    run = run_folder(Path(path))
    system = load(run / judging.weights if (run / judging.weights).is_dir() else run)
    judged, _ = judge(
        system, name, Manifest.read(data), judging, [TestSet(name=ALL)], judging.tasks, progress, data.parent
    )
    held, recipe = judged.embeddings, system.recipe.model_dump(mode="json")
    image, text, ids = (None, None, ()) if held is None else (held.image, held.text, held.study_ids)
    drawn = Drawn(judged.samples, judged.patients)
    return Contestant(name, judged.result, drawn, image, text, ids, recipe, _log(run))


def run_folder(path: Path) -> Path:
    """The run of a cell or of a result, or the path itself.

    Raises:
        LeaderboardError: If nothing is there.
    """
    folder = path.parent if path.is_file() else path
    if (folder / "run" / "log.jsonl").is_file():
        return folder / "run"
    if path.is_file():
        made = Result.read(path).made_by.get("plan", {})
        folder = Path(made.get("run", folder))
    if not folder.is_dir():
        raise LeaderboardError(f"There is no run at {folder}; give the folder that `radalign train` wrote.")
    return folder


def _stored(path: Path, name: str) -> Contestant:
    file = path / "result.json" if path.is_dir() else path
    if not file.is_file():
        raise LeaderboardError(
            f"{path} holds no result; give --data to judge the run, or the result.json that "
            "`radalign evaluate` or `radalign leaderboard` wrote."
        )
    folder, result = file.parent, Result.read(file)
    image, text, ids = _embeddings(folder / "embeddings.npz")
    described: list[dict[str, Any]] = list(result.made_by.get("systems", {}).values())
    recipe = described[0].get("recipe", {}) if described else {}
    log = _log(folder / "run")
    if result.systems[1:]:
        keep = tuple(m for m in result.measures if m.system == result.systems[0])
        result = Result(result.protocol, result.mode, keep, (), result.settings, result.made_by)
    return Contestant(name, result, Drawn.read(folder), image, text, ids, recipe, log)


def _embeddings(path: Path) -> tuple[Any, Any, tuple[str, ...]]:
    if not path.is_file():
        return None, None, ()
    with reading(path), path.open("rb") as file, np.load(file) as stored:
        return stored["image"], stored["text"], tuple(map(str, stored["study_ids"]))


def _log(run: Path) -> list[Line]:
    path = run / "log.jsonl"
    return read_log(path) if path.is_file() else []
