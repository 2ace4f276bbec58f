"""A file of tensors that knows its own SHA-256: a flipped bit or a mixed-up copy is an error, not a result.

save_summed ──> x.safetensors, metadata sha256 = over names, types, shapes, bytes and the other metadata
load_summed ──> tensors, when the sum still fits; a file without a sum (an earlier version's) is taken
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, uint8

KEY = "sha256"


class DamagedFileError(ValueError):
    """A file of tensors is cut short, or not what was written; the message says how that is known."""


def tensors_sum(tensors: Mapping[str, Tensor], said: Mapping[str, str] | None = None) -> str:
    """The SHA-256, in hex, of tensors and of what is said beside them.

    >>> tensors_sum({"a": Tensor([1.0])}) == tensors_sum({"a": Tensor([2.0])})
    False
    >>> tensors_sum({}, {"place": "1"}) == tensors_sum({}, {"place": "2"})
    False
    """
    digest = hashlib.sha256(repr(sorted((said or {}).items())).encode())
    for name, tensor in sorted(tensors.items()):
        plain = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {plain.dtype} {list(plain.shape)}".encode())
        digest.update(plain.flatten().view(uint8).numpy().data)
    return digest.hexdigest()


def save_summed(tensors: Mapping[str, Tensor], path: Path, said: Mapping[str, str] | None = None) -> None:
    """Write tensors, each with a storage of its own, and their sum.

    Args:
        tensors: Name to tensor, on the CPU.
        path: A `.safetensors` file.
        said: Further metadata.
    """
    rest = dict(said or {})
    save_file(dict(tensors), path, metadata={**rest, KEY: tensors_sum(tensors, rest)})


def load_summed(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read tensors and metadata, without the sum.

    Raises:
        DamagedFileError: If the file cannot be read, or its sum does not fit.
    """
    try:
        with safe_open(path, framework="pt") as file:
            said = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise DamagedFileError(str(error)) from error
    wanted = said.pop(KEY, None)
    if wanted is not None and tensors_sum(tensors, said) != wanted:
        raise DamagedFileError("its tensors are not those that were written: the SHA-256 differs")
    return tensors, said
