"""Encoders out of a trained system's folder: what masked record modelling or full fine-tuning made.

    runs/mrm/best/recipe.toml ─ backbones.vision ─ the encoder that training began with
                  adapters.safetensors ─ vision.* ─ its weights now

A run that left its backbone frozen holds no encoder, and one with adapters inside holds more than one; both
are refused.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

from torch import Tensor

from radalign.nn.text import TextEncoder
from radalign.nn.tower import VisionTower
from radalign.nn.vision import VisionEncoder
from radalign.weights.fill import freeze
from radalign.weights.names import CheckpointError
from radalign.weights.sums import DamagedFileError, load_summed

Encoder = TypeVar("Encoder", bound=VisionTower | TextEncoder)
Side = Literal["vision", "text"]
TENSORS = "adapters.safetensors"


def system_folder(folder: Path) -> Path | None:
    """The trained system in a folder: the folder itself, its best or its last one; None if there is none."""
    for candidate in (folder, folder / "best", folder / "last"):
        if (candidate / "recipe.toml").is_file() and (candidate / TENSORS).is_file():
            return candidate
    return None


def trained_encoder(folder: Path, side: Side, load: Callable[[Any], Encoder]) -> Encoder:
    """The encoder of a trained system, frozen and named by the run's recipe and its weights now.

    Args:
        folder: Of `system_folder`.
        side: Which tower.
        load: Loads the encoder that the run began with.

    Raises:
        CheckpointError: If the recipe is damaged, or the run did not train the whole tower and only it.
    """
    recipe = run_recipe(folder)
    encoder = load(recipe["backbones"][side])
    start = f"{side}."
    tensors = {
        name.removeprefix(start): tensor.float()
        for name, tensor in _tensors(folder / TENSORS).items()
        if name.startswith(start)
    }
    _need_whole(folder, side, set(encoder.state_dict()) - _fixed(encoder), set(tensors), encoder.identity)
    try:
        encoder.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        raise CheckpointError(
            f"{folder / TENSORS} does not fit the encoder of its recipe ({error}); copy the folder again."
        ) from error
    return freeze(encoder, str(recipe["name"]))


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_summed(path)[0]
    except DamagedFileError as error:
        raise CheckpointError(f"{path} is damaged ({error}); copy the folder again.") from error


def run_recipe(folder: Path) -> dict[str, Any]:
    """The recipe in a folder of `system_folder`.

    Raises:
        CheckpointError: If it is damaged.
    """
    path = folder / "recipe.toml"
    try:
        recipe = tomllib.loads(path.read_text("utf-8"))
        _ = recipe["name"], recipe["backbones"]["vision"], recipe["backbones"]["text"]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError) as error:
        raise CheckpointError(f"{path} is not a system's recipe ({error}); copy the folder again.") from error
    return recipe


def _fixed(encoder: VisionTower | TextEncoder) -> set[str]:
    """Names that do not train in any case: a fixed grid of positions, a joint space, running statistics."""
    names = {name for name in encoder.state_dict() if name.startswith("projection.")}
    names |= {name for name, _ in encoder.named_buffers()}
    if isinstance(encoder, VisionEncoder) and encoder.config.position == "sincos":
        names.add("position")
    return names


def _need_whole(folder: Path, side: Side, wanted: set[str], found: set[str], identity: str) -> None:
    extra = {name for name in found - wanted if "adapter" in name}
    if extra:
        raise CheckpointError(
            f"The {side} encoder in {folder} carries adapters ({sorted(extra)[0]}, ...), so it is no plain "
            "backbone; give a run of `mrm`, or load the whole system."
        )
    if wanted - found:
        raise CheckpointError(
            f"The run in {folder} left (part of) its {side} backbone frozen, which is {identity}; give that "
            "one, or a run of `mrm`."
        )
