"""Tensors and settings of a Hugging Face folder, and of single checkpoint files; no pickle is executed."""

from __future__ import annotations

import argparse
import json
import pickle
import pickletools
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from radalign.weights.names import CheckpointError

_WRAPPER = "module."  # what a data-parallel wrapper puts before every name
# What torch's reader raises for bytes that are no checkpoint depends on where it stumbles.
_BROKEN = (
    SafetensorError, RuntimeError, EOFError, OSError, KeyError, IndexError, ValueError, AttributeError,
    TypeError,
)  # fmt: skip
_CODE = frozenset({"GLOBAL", "STACK_GLOBAL", "INST"})
_SINGLE = ("model.safetensors", "pytorch_model.bin")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        CheckpointError: There is no such file, or it is not a JSON object.
    """
    try:
        value = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            f"{path.parent.name} has no {path.name}; give a folder in Hugging Face form."
        ) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path.name} is not valid JSON ({error}); download it again.") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path.name} is not a JSON object; download it again.")
    return value


def read_folder(folder: Path) -> dict[str, Tensor]:
    """All tensors of a Hugging Face folder, from safetensors or PyTorch files, whole or in shards."""
    for name in _SINGLE:
        if (folder / name).is_file():
            return read_checkpoint(folder / name)
        if (folder / f"{name}.index.json").is_file():
            shards = sorted(set(read_json(folder / f"{name}.index.json")["weight_map"].values()))
            return {
                key: tensor for shard in shards for key, tensor in read_checkpoint(folder / shard).items()
            }
    raise CheckpointError(
        f"{folder.name} has neither {_SINGLE[0]} nor {_SINGLE[1]}; give a folder in Hugging Face form."
    )


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of one checkpoint file.

    `.safetensors` is preferred; anything else is read with `weights_only=True`, which refuses code. A
    training checkpoint that keeps its tensors under `model`, `state_dict` or `teacher` is unwrapped, and the
    `module.` of a data-parallel wrapper is taken off.

    Raises:
        CheckpointError: The file is missing, cut short, not a checkpoint, or holds something other than
        tensors.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no file {path}; check the path.")
    try:
        loaded = load_file(path) if path.suffix == ".safetensors" else _torch_load(path)
    except CheckpointError:
        raise
    except _BROKEN as error:
        if path.suffix != ".safetensors" and _names_code(path):
            raise CheckpointError(
                f"{path.name} is a pickle that asks for code, and radalign runs no code from a checkpoint; "
                "convert it to safetensors."
            ) from error
        raise CheckpointError(f"{path.name} is cut short or not a checkpoint; download it again.") from error
    while not any(isinstance(value, Tensor) for value in loaded.values()):
        inner = next((loaded[key] for key in ("model", "state_dict", "teacher") if key in loaded), None)
        if not isinstance(inner, Mapping):
            raise CheckpointError(f"{path.name} holds no tensors; give a checkpoint of an encoder.")
        loaded = dict(inner)
    tensors = {key: value for key, value in loaded.items() if isinstance(value, Tensor)}
    wrapped = all(key.startswith(_WRAPPER) for key in tensors)
    return {key.removeprefix(_WRAPPER): value for key, value in tensors.items()} if wrapped else tensors


def _torch_load(path: Path) -> dict[str, Any]:
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals([argparse.Namespace]):
            warnings.simplefilter("ignore")  # of unusual pickles, which are refused in words below
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not any(word in str(error) for word in ("global", "GLOBAL")):
            raise EOFError from error
        raise CheckpointError(
            f"{path.name} holds Python objects beside tensors, and radalign runs no code from a checkpoint; "
            "convert it to safetensors."
        ) from error
    if not isinstance(loaded, dict):
        raise CheckpointError(f"{path.name} is not a table of tensors; give a checkpoint of an encoder.")
    return loaded


def _names_code(path: Path) -> bool:
    """Whether a plain pickle asks for a function or class; its instructions are read, never followed."""
    with path.open("rb") as file, suppress(ValueError, UnicodeDecodeError, EOFError):
        return any(code.name in _CODE for code, _, _ in pickletools.genops(file))
    return False
