"""A system on disk: a folder of readable files, written whole or not at all, and never a pickle.

recipe.toml            the full settings
adapters.safetensors   only what trained (and what was computed at the start), not the backbones
backbones.toml         name and SHA-256 of each frozen backbone
preprocessing.toml     how an image and a text become the input
README.md              the model card
"""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from radalign.systems.recipe import Recipe, recipe_from_table

if TYPE_CHECKING:
    from radalign.systems.base import System

FILES = ("recipe.toml", "adapters.safetensors", "backbones.toml", "preprocessing.toml")


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
        (partial / "recipe.toml").write_text(system.recipe.to_toml(), encoding="utf-8")
        save_file(system.own_state(), partial / "adapters.safetensors")
        (partial / "backbones.toml").write_text(tomli_w.dumps(_backbones(system)), encoding="utf-8")
        (partial / "preprocessing.toml").write_text(tomli_w.dumps(_preprocessing(system)), encoding="utf-8")
        (partial / "README.md").write_text(card or plain_card(system), encoding="utf-8")
        _swap(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def read_system(name: str | Path) -> System:
    """Build the system of a folder and load its tensors.

    Raises:
        SystemFolderError: See `radalign.load`.
    """
    from radalign.systems.base import build

    folder = _locate(name)
    recipe = _recipe(folder)
    system = build(recipe)
    _check_backbones(system, folder)
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


def _backbones(system: System) -> dict[str, Any]:
    specs = {"vision": system.recipe.backbones.vision, "text": system.recipe.backbones.text}
    return {side: {"spec": specs[side], "identity": identity} for side, identity in system.backbones.items()}


def _preprocessing(system: System) -> dict[str, Any]:
    data = system.recipe.data
    return {
        "image": {
            "size_px": data.size_px,
            "geometry": data.geometry,
            "window": data.window,
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


def _locate(name: str | Path) -> Path:
    if str(name).startswith("hf://"):
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(str(name).removeprefix("hf://")))
    folder = Path(name)
    for candidate in (folder, folder / "best", folder / "last", folder.with_name(folder.name + ".old")):
        if (candidate / "recipe.toml").is_file():
            return candidate
    raise SystemFolderError(f"There is no trained system in {folder}; train one with `radalign train`.")


def _recipe(folder: Path) -> Recipe:
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise SystemFolderError(f"{folder} lacks {', '.join(missing)}; copy the whole folder again.")
    try:
        table = tomllib.loads((folder / "recipe.toml").read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SystemFolderError(
            f"{folder / 'recipe.toml'} is not readable TOML ({error}); copy it again."
        ) from error
    return recipe_from_table(table, str(folder / "recipe.toml"))


def _check_backbones(system: System, folder: Path) -> None:
    from radalign.systems.base import weights_hash

    saved = tomllib.loads((folder / "backbones.toml").read_text(encoding="utf-8"))
    for side, identity in system.backbones.items():
        wanted = saved.get(side, {}).get("identity", "")
        if weights_hash(wanted) != weights_hash(identity):
            raise SystemFolderError(
                f"{folder} was trained on the {side} backbone {wanted}, but this is {identity}; "
                f"put the right encoder where `backbones.{side}` of its recipe points."
            )


def _load_own(system: System, folder: Path) -> None:
    path = folder / "adapters.safetensors"
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise SystemFolderError(
            f"{path} is damaged ({error}); copy it again or use another checkpoint."
        ) from error
    wanted = system.own_state()
    missing, unexpected = sorted(wanted.keys() - tensors.keys()), sorted(tensors.keys() - wanted.keys())
    wrong = [n for n in wanted.keys() & tensors.keys() if wanted[n].shape != tensors[n].shape]
    if missing or unexpected or wrong:
        raise SystemFolderError(
            f"{path} does not fit its recipe: missing {missing[:5]}, unexpected {unexpected[:5]}, "
            f"of another shape {sorted(wrong)[:5]}; it belongs to another recipe or version."
        )
    system.load_state_dict(tensors, strict=False)
