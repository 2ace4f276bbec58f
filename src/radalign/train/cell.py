"""Train one cell of a table, unless it is trained already; an interrupted one goes on where it stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from radalign.study import Manifest
from radalign.systems.base import create
from radalign.systems.recipe import load_recipe
from radalign.train.bar import Bar
from radalign.train.folder import read_run
from radalign.train.loop import train
from radalign.train.start import TrainError, differences, with_later_settings

_FILLED = ("classes", "shots")  # of [model]: what the training data add to the recipe


def train_cell(
    recipe: str,
    overrides: Sequence[str],
    manifest: Manifest,
    folder: Path,
    cache_folder: Path,
    device: str = "auto",
    bar: Bar | None = None,
) -> dict[str, Any]:
    """Train a recipe on a manifest into a folder.

    Args:
        recipe: Name or path.
        overrides: Dotted settings.
        manifest: With labels and a split.
        folder: The run's.
        cache_folder: Of decoded images.
        device: `auto` or `cpu`.
        bar: Shows progress.

    Returns:
        What `run.json` holds.

    Raises:
        TrainError: If the folder holds a run of other settings or data.
        KeyboardInterrupt: If somebody asked the training to stop; the next call goes on there.
    """
    before = read_run(folder)
    if before.get("finished"):
        _need_same(before, load_recipe(recipe, overrides).model_dump(mode="json"), manifest, folder)
        return before
    system = create(recipe, overrides)
    result = train(system, manifest, folder, cache_folder, resume=True, device=device, bar=bar)
    if not result.is_finished:
        raise KeyboardInterrupt  # the training put it off to save its state; a table has nothing to test yet
    return read_run(folder)


def as_asked(trained: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """A run's recipe without what its data added, unless the wanted recipe names it too.

    >>> as_asked({"model": {"classes": ["a"], "rank": 4}}, {"model": {"rank": 4}})
    {'model': {'rank': 4}}
    """
    model = trained.get("model", {}).items()
    kept = {key: value for key, value in model if key not in _FILLED or key in wanted.get("model", {})}
    return {**trained, "model": kept}


def _need_same(run: dict[str, Any], recipe: dict[str, Any], manifest: Manifest, folder: Path) -> None:
    details = run["details"]
    different = differences(as_asked(with_later_settings(details["recipe"]), recipe), recipe)
    if details["manifest_sha256"] != manifest.sha256():
        different["manifest"] = ("another content", "the present one")
    if different:
        key, (old, new) = next(iter(different.items()))
        raise TrainError(
            f"{folder} was trained with {key} = {old}, not {new}; choose another --out, or remove the folder."
        )
