"""Published tensor names -> ours, with an account of what was loaded, missing and unexpected.

A `NameMap` is a table. Each of our names gives the published one; three names (query, key, value) are
stacked by rows. In `blocks` both names are relative to a block; `{i}` in `block` is its number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, cat

Published = Mapping[str, Tensor]


class CheckpointError(ValueError):
    """A checkpoint does not fit the encoder; the message lists the names and says what to do."""


class NotCoveredError(CheckpointError):
    """A checkpoint leaves part of an encoder uncovered, or holds more than it.

    Attributes:
        account: What was loaded, missing and unexpected, by name.
    """

    def __init__(self, message: str, account: Account) -> None:
        super().__init__(message)
        self.account = account


@dataclass(frozen=True)
class NameMap:
    """How one family of checkpoints names the parts of an encoder.

    Attributes:
        family: What the family is called in messages.
        block: The published prefix of a block, with `{i}` for its number.
        blocks: Our name within a block -> the published name(s) within a block.
        rest: Our name -> the published name.
        prefixes: What may stand before all published names.
        optional: Our names that a checkpoint may lack.
    """

    family: str
    block: str
    blocks: Mapping[str, str | tuple[str, ...]]
    rest: Mapping[str, str | tuple[str, ...]]
    prefixes: tuple[str, ...] = ("",)
    optional: frozenset[str] = frozenset()

    def table(self, depth: int) -> dict[str, tuple[str, ...]]:
        """Our full name -> the published full name(s), for `depth` blocks."""
        table = {ours: _several(theirs) for ours, theirs in self.rest.items()}
        for i in range(depth):
            start = self.block.format(i=i)
            for ours, theirs in self.blocks.items():
                table[f"transformer.blocks.{i}.{ours}"] = tuple(start + name for name in _several(theirs))
        return table

    def prefix(self, published: Published) -> str:
        """The prefix that most published names of the first block carry here."""
        first = [name for names in self.table(1).values() for name in names]
        return max(self.prefixes, key=lambda prefix: sum(prefix + name in published for name in first))


@dataclass(frozen=True)
class Account:
    """What became of a checkpoint's tensors.

    Attributes:
        loaded: Published names that were used.
        missing: Our names for which nothing was found.
        unexpected: Published names that were not used.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]


@dataclass(frozen=True)
class Renamed:
    """Tensors under our names, and the account of the checkpoint."""

    tensors: dict[str, Tensor] = field(repr=False)
    account: Account


def rename(
    published: Published, names: NameMap, shapes: Mapping[str, tuple[int, ...]], depth: int
) -> Renamed:
    """Put published tensors under our names.

    Args:
        published: The checkpoint.
        names: The family's table.
        shapes: Our names and shapes, all of which must be covered.
        depth: The number of blocks.

    Raises:
        CheckpointError: A tensor is missing or has another shape, or the checkpoint has more blocks than
        `depth`.
    """
    prefix, tensors, used = names.prefix(published), dict[str, Tensor](), list[str]()
    for ours, theirs in names.table(depth).items():
        full = [prefix + name if prefix + name in published else name for name in theirs]
        if ours in shapes and all(name in published for name in full):
            parts = [published[name] for name in full]
            tensors[ours] = _shaped(ours, cat(parts) if len(parts) > 1 else parts[0], shapes[ours])
            used += full
    missing = tuple(name for name in shapes if name not in tensors and name not in names.optional)
    unexpected = tuple(name for name in published if name not in set(used))
    account = Account(tuple(used), missing, unexpected)
    _check(names, account, prefix)
    return Renamed(tensors, account)


def block_count(published: Published, start: str) -> int:
    """How many blocks a checkpoint has whose names begin with `start` and a number.

    >>> block_count({"blocks.0.norm.bias": Tensor(), "blocks.1.norm.bias": Tensor()}, "blocks.")
    2
    """
    numbers = [name.removeprefix(start).split(".")[0] for name in published if name.startswith(start)]
    return max((int(number) for number in numbers if number.isdigit()), default=-1) + 1


def _several(names: str | tuple[str, ...]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names


def _shaped(name: str, tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The tensor in our shape: leading ones dropped, a patch kernel flattened, nothing else."""
    if tensor.dim() == 4 and len(shape) == 2:
        tensor = tensor.flatten(1)  # [D, 3, p, p] -> [D, 3 * p * p]
    while tensor.dim() > len(shape) and tensor.shape[0] == 1:
        tensor = tensor[0]
    if tuple(tensor.shape) != shape:
        raise CheckpointError(
            f"{name} has shape {list(tensor.shape)} in the checkpoint and {list(shape)} in the encoder; "
            "give the configuration that belongs to the checkpoint."
        )
    return tensor


def _check(names: NameMap, account: Account, prefix: str) -> None:
    """Refuse a checkpoint that leaves part of the encoder uncovered or has more blocks than it."""
    block = re.compile(re.escape(prefix + names.block).replace(r"\{i\}", r"\d+"))
    blocks = tuple(name for name in account.unexpected if block.match(name) and not name.endswith("_ids"))
    if not account.missing and not blocks:
        return
    raise NotCoveredError(
        f"The checkpoint is not a {names.family} of this size: {len(account.loaded)} tensors loaded, "
        f"{len(account.missing)} missing ({_some(account.missing)}), "
        f"{len(account.unexpected)} unexpected ({_some(blocks or account.unexpected)}). "
        "Check that the folder holds the right architecture and its own config.json.",
        account,
    )


def _some(names: tuple[str, ...]) -> str:
    """The first three names, for a message."""
    return "none" if not names else ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
