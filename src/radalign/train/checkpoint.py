"""The resume point: one file that holds all a run needs to go on as if it had never stopped.

    resume.safetensors
        system/<name>            what the system saves (what trains, and what was computed at the start)
        optimizer/<name>/<key>   moments and step counts of each parameter
        average/<name>           the running average of the weights
        metadata                 JSON: place in the run, best result, log position; the SHA-256 of all

One file, replaced in one step: a kill at any moment leaves either the old or the new one. No pickle. Random
numbers need no state: order, changes and sentences are functions of (seed, epoch, study), masks and dropout
are functions of (seed, step).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from radalign.files import open_as_umask_says
from radalign.weights.sums import DamagedFileError, load_summed, save_summed


class CheckpointError(ValueError):
    """A resume point cannot be written, read or used; the message says what to do."""


@dataclass
class Place:
    """Where a run stands.

    Args:
        step: Optimiser steps taken.
        epoch: The epoch that is under way, from 0.
        batch: Batches of it already used.
        elapsed_s: Wall time so far, interruptions left out.
        best: The best validation number so far, None before the first.
        best_epoch: After how many epochs it was reached.
        averaged: Steps in the running average.
        log_bytes: Length of the log at this place; what is after it is done again.
        epoch_sums: Running sums of the epoch under way.
        best_numbers: All numbers of the best validation.
        last_numbers: All numbers of the latest one.
        fixed: What must be equal to go on (recipe, data), as the run wrote it.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    elapsed_s: float = 0.0
    best: float | None = None
    best_epoch: int = 0
    averaged: int = 0
    log_bytes: int = 0
    epoch_sums: dict[str, float] = field(default_factory=dict)
    best_numbers: dict[str, float] = field(default_factory=dict)
    last_numbers: dict[str, float] = field(default_factory=dict)
    fixed: dict[str, Any] = field(default_factory=dict)


def write_resume_point(path: Path, place: Place, tensors: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Write a resume point and put it in the place of the earlier one.

    Args:
        path: The file.
        place: Where the run stands.
        tensors: Section name to name to tensor.

    Raises:
        CheckpointError: If the disk is full or cannot be written; the earlier point stays as it was.
    """
    flat = {
        f"{section}/{name}": _own_storage(tensor)
        for section, named in tensors.items()
        for name, tensor in named.items()
    }
    partial = path.with_name(path.name + ".partial")
    try:
        save_summed(flat, partial, {"place": json.dumps(asdict(place))})
        open_as_umask_says(partial)
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"The resume point {path} cannot be written ({error}); free some space and run again "
            "with --resume. The earlier checkpoints are untouched."
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _own_storage(tensor: Tensor) -> Tensor:
    """The tensor on the CPU with a storage of its own, as the format demands; copied only if it must be."""
    plain = tensor.detach().cpu().contiguous()
    return plain if plain.untyped_storage().nbytes() == plain.nbytes else plain.clone()


def save_system(system: Any, folder: Path, card: str) -> None:
    """Save a system; an earlier one in the folder stays until the new one is whole.

    Raises:
        CheckpointError: If the disk is full or cannot be written.
    """
    try:
        system.save(folder, card)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"The system cannot be saved to {folder} ({error}); free some space and go on with --resume. "
            "The earlier checkpoints are untouched."
        ) from error


def read_resume_point(path: Path) -> tuple[Place, dict[str, dict[str, Tensor]]]:
    """Read what `write_resume_point` wrote.

    Raises:
        CheckpointError: If the file is missing or damaged.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no resume point at {path}; start the run without --resume.")
    try:
        flat, said = load_summed(path)
        place = Place(**json.loads(said["place"]))
    except (DamagedFileError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"The resume point {path} is damaged ({error}); start the run again with --overwrite."
        ) from error
    sections: dict[str, dict[str, Tensor]] = {}
    for name, tensor in flat.items():
        section, _, rest = name.partition("/")
        sections.setdefault(section, {})[rest] = tensor
    return place, sections


def optimizer_tensors(
    optimizer: torch.optim.Optimizer, names: Mapping[str, nn.Parameter]
) -> dict[str, Tensor]:
    """An optimiser's state by parameter name, all as tensors.

    >>> weight = nn.Parameter(torch.ones(1))
    >>> adam = torch.optim.AdamW([weight])
    >>> weight.sum().backward(); adam.step()
    >>> sorted(optimizer_tensors(adam, {"w": weight}))
    ['w/exp_avg', 'w/exp_avg_sq', 'w/step']
    """
    return {
        f"{name}/{key}": torch.as_tensor(value)
        for name, parameter in names.items()
        for key, value in optimizer.state.get(parameter, {}).items()
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, names: Mapping[str, nn.Parameter], tensors: Mapping[str, Tensor]
) -> None:
    """Put state back that `optimizer_tensors` gave.

    Raises:
        CheckpointError: If it belongs to other parameters.
    """
    unknown = {name.rpartition("/")[0] for name in tensors} - set(names)
    if unknown:
        raise CheckpointError(
            f"The resume point holds moments of {', '.join(sorted(unknown)[:3])}, which this system "
            "does not train; resume with the recipe that the run began with."
        )
    for name, tensor in tensors.items():
        parameter_name, _, key = name.rpartition("/")
        parameter = names[parameter_name]
        # Adam's step counts live on the CPU, its moments with the parameter.
        device = tensor.device if tensor.ndim == 0 else parameter.device
        optimizer.state[parameter][key] = tensor.to(device)
