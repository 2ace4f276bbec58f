"""A system on disk: a folder of readable files, written whole or not at all, and never a pickle.

recipe.toml            the full settings; a backbone `./vision` lies inside the folder and moves with it
adapters.safetensors   only what trained (and what was computed at the start), and its SHA-256
backbones.toml         name and SHA-256 of each frozen backbone
preprocessing.toml     how an image and a text become the input
README.md              the model card
"""

from __future__ import annotations

import logging
import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w
from torch import Tensor

from radalign.files import open_as_umask_says
from radalign.systems.recipe import Recipe, recipe_from_table
from radalign.systems.recipe_versions import old_scale, upgraded
from radalign.weights.download import HUB, download
from radalign.weights.sums import DamagedFileError, load_summed, save_summed
from radalign.weights.undrawn import loading

if TYPE_CHECKING:
    from radalign.systems.base import System

_LOG = logging.getLogger(__name__)
TENSORS = "adapters.safetensors"
PACKAGED = ("dinov2-s-derived", "minilm-l6")
FILES = ("recipe.toml", TENSORS, "backbones.toml", "preprocessing.toml")


class SystemFolderError(ValueError):
    """A system's folder is missing, damaged, or does not fit its backbones; the message says what to do."""


def write_system(system: System, folder: Path, card: str = "") -> None:
    """Write everything beside the target, then swap: an earlier good folder stays until the new one is whole.

    Raises:
        OSError: If the disk is full or the folder cannot be written; what was there before is untouched.
    """
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        write_files(system, partial, card)
        _swap(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_files(
    system: System, folder: Path, card: str = "", inside: Mapping[str, str] | None = None
) -> None:
    """Write a system's files into a folder that is there, one after the other.

    Args:
        system: What is saved.
        folder: Usually not yet in its place.
        card: The model card; "" writes a plain one.
        inside: Side to the folder in `folder` that holds its backbone (`{"vision": "./vision"}`).
    """
    where = {side: anchored(getattr(system.recipe.backbones, side)) for side in ("vision", "text")}
    backbones = system.recipe.backbones.model_copy(update=where | dict(inside or {}))
    # Every model setting in full: a later version's other default must not change a saved system.
    model = system.settings.model_dump(mode="json", exclude_none=True)
    recipe = system.recipe.model_copy(update={"backbones": backbones, "model": model})
    specs = {"vision": backbones.vision, "text": backbones.text}
    named = {side: {"spec": specs[side], "identity": name} for side, name in system.backbones.items()}
    (folder / "recipe.toml").write_text(recipe.to_toml(), encoding="utf-8")
    save_summed(system.saved_state(), folder / TENSORS)
    open_as_umask_says(folder / TENSORS)
    (folder / "backbones.toml").write_text(tomli_w.dumps(named), encoding="utf-8")
    (folder / "preprocessing.toml").write_text(tomli_w.dumps(_preprocessing(system)), encoding="utf-8")
    (folder / "README.md").write_text(card or plain_card(system), encoding="utf-8")


def anchored(spec: str | dict[str, Any]) -> str | dict[str, Any]:
    """A backbone whose relative path is there now, by its whole path: a saved system opens from anywhere.

    >>> anchored("minilm-l6"), anchored("hf://org/name")
    ('minilm-l6', 'hf://org/name')
    """
    if isinstance(spec, dict):
        return spec | {"file": str(Path(spec["file"]).resolve())} if "file" in spec else spec
    is_path = spec not in PACKAGED and not spec.startswith(HUB) and Path(spec).exists()
    return str(Path(spec).resolve()) if is_path else spec


def read_system(name: str | Path) -> System:
    """Build the system of a folder and load its tensors.

    Raises:
        SystemFolderError: See `radalign.load`.
    """
    from radalign.systems.base import build

    folder = located(name)
    recipe = saved_recipe(folder)
    with loading():
        system = build(recipe)
    check_backbones(system, folder)
    _load_own(system, folder)
    return system.eval()


def plain_card(system: System) -> str:
    """A model card for a system that was not made by a training run."""
    rows = system.trainable_report()
    lines = [f"| {part} | {row['all']:,} | {row['trainable']:,} |" for part, row in rows.items()]
    return "\n".join(
        [
            f"# {system.recipe.name}",
            "",
            system.recipe.description or f"A radalign system of kind `{system.recipe.system}`.",
            "Research use only; not a medical device.",
            "",
            "| part | parameters | trainable |",
            "|---|---:|---:|",
            *lines,
            "",
        ]
    )


def _preprocessing(system: System) -> dict[str, Any]:
    data = system.recipe.data
    return {
        "image": {
            "size_px": data.size_px,
            "geometry": data.geometry,
            "resize_px": data.resize_px,
            "resample": data.resample,
            "window": data.window,
            "force_window": data.force_window,
            "crop_collimation": data.crop_collimation,
            "slots": list(data.slots),
            "mean": list(system.vision.mean),
            "std": list(system.vision.std),
        },
        "text": {"section": data.text.section, "max_tokens": system.recipe.backbones.max_tokens},
    }


def _swap(partial: Path, folder: Path) -> None:
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def located(name: str | Path) -> Path:
    """The folder of a trained system: the given one, a run's best or last one, or a download from `hf://`.

    Raises:
        SystemFolderError: If there is none.
    """
    if str(name).startswith(HUB):
        return download(str(name))
    folder = Path(name)
    names = ("best", "best.old", "last", "last.old")  # .old: a crash came between the two renames of a save
    for candidate in (folder, *(folder / n for n in names), folder.with_name(folder.name + ".old")):
        if (candidate / "recipe.toml").is_file():
            return candidate
    raise SystemFolderError(f"There is no trained system in {folder}; train one with `radalign train`.")


def saved_recipe(folder: Path) -> Recipe:
    """The recipe of a system's folder.

    Raises:
        SystemFolderError: If a file is missing or the recipe is not readable.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise SystemFolderError(f"{folder} lacks {', '.join(missing)}; copy the whole folder again.")
    table = _toml(folder / "recipe.toml")
    _find_inside(table, folder)
    if old_scale(table) > 1:
        _LOG.warning(
            "%s is of an earlier version; its images are now read at the encoder's size at once, so that its "
            "embeddings may differ a little and an index of it is built anew.",
            folder / "recipe.toml",
        )
    return recipe_from_table(upgraded(table), str(folder / "recipe.toml"))


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SystemFolderError(f"{path} is not readable TOML ({error}); copy it again.") from error


def _find_inside(table: dict[str, Any], folder: Path) -> None:
    """Give backbones that lie inside the folder the path where they are now."""
    backbones = table.get("backbones", {})
    for side in ("vision", "text"):
        spec = backbones.get(side)
        if isinstance(spec, str) and spec.startswith("./") and (folder / spec).is_dir():
            backbones[side] = str(folder / spec)


def check_backbones(system: System, folder: Path) -> None:
    """Compare the backbones of a system with those that a folder's system was trained on.

    Raises:
        SystemFolderError: If one differs; both are named.
    """
    from radalign.systems.base import weights_hash

    saved = _toml(folder / "backbones.toml")
    for side, identity in system.backbones.items():
        wanted = saved.get(side, {}).get("identity", "")
        if weights_hash(wanted) != weights_hash(identity):
            raise SystemFolderError(
                f"{folder} was trained on the {side} backbone {wanted}, but this is {identity}; "
                f"put the right encoder where `backbones.{side}` of its recipe points."
            )


def own_tensors(folder: Path) -> dict[str, Tensor]:
    """The tensors that travel with a system.

    Raises:
        SystemFolderError: If the file is damaged.
    """
    path = folder / TENSORS
    try:
        return load_summed(path)[0]
    except DamagedFileError as error:
        raise SystemFolderError(
            f"{path} is damaged ({error}); copy it again or use another checkpoint."
        ) from error


def _load_own(system: System, folder: Path) -> None:
    path, tensors = folder / TENSORS, own_tensors(folder)
    wanted = system.own_state()
    missing = sorted(system.saved_state().keys() - tensors.keys())
    unexpected = sorted(tensors.keys() - wanted.keys())  # an older version saved all of its own
    wrong = [n for n in wanted.keys() & tensors.keys() if wanted[n].shape != tensors[n].shape]
    if missing or unexpected or wrong:
        raise SystemFolderError(
            f"{path} does not fit its recipe: missing {missing[:5]}, unexpected {unexpected[:5]}, "
            f"of another shape {sorted(wrong)[:5]}; it belongs to another recipe or version."
        )
    system.load_state_dict(tensors, strict=False)
