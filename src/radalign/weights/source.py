"""What a person gives to `radalign weights import`: a folder or a file, settings, perhaps a tokenizer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from radalign.weights.files import read_checkpoint, read_folder, read_json
from radalign.weights.names import CheckpointError

_WHOLE = ("model.safetensors", "pytorch_model.bin")
_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")


@dataclass(frozen=True)
class Source:
    """A released checkpoint.

    Attributes:
        name: What it is called in messages: the folder's or the file's name.
        folder: Where its tokenizer and settings lie.
        tensors: Under published names.
        settings: Of its config.json, with those of `--config` on top.
    """

    name: str
    folder: Path
    tensors: Mapping[str, Tensor]
    settings: Mapping[str, Any]

    @property
    def without_settings(self) -> bool:
        """Whether neither a config.json nor `--config` says anything."""
        return not self.settings


def read_source(path: Path, config: Path | None = None) -> Source:
    """Read a folder in Hugging Face form, or one checkpoint file (safetensors preferred, never code).

    A lone file takes no settings from the folder that it happens to lie in; `config` gives them.

    Raises:
        CheckpointError: There is no such thing, it is damaged, or holds code.
    """
    over = read_json(config) if config is not None else {}
    if path.is_dir():
        inner = path / "config.json"
        own = read_json(inner) if inner.is_file() else {}
        return Source(path.name, path, _tensors(path), own | over)
    if not path.is_file():
        raise CheckpointError(f"There is no file or folder {path}; check the path.")
    return Source(path.name, path.parent, read_checkpoint(path), over)


def _tensors(folder: Path) -> dict[str, Tensor]:
    """Of a Hugging Face folder, or of the one checkpoint file in a folder."""
    if any((folder / name).is_file() or (folder / f"{name}.index.json").is_file() for name in _WHOLE):
        return read_folder(folder)
    for suffix in _SUFFIXES:
        files = sorted(folder.glob(f"*{suffix}"))
        if len(files) > 1:
            listed = ", ".join(file.name for file in files)
            raise CheckpointError(f"{folder} holds several checkpoints ({listed}); name one of them.")
        if files:
            return read_checkpoint(files[0])
    return read_folder(folder)  # says what a folder must hold
