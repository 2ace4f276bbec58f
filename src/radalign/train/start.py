"""What a run needs before its first step: the wrapped objectives, the optimiser, and what must not change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from radalign.data.batches import StudyBatch
from radalign.data.settings import DataSettings, TrainSettings
from radalign.systems.recipe import merge

Item = TypeVar("Item")
MAY_CHANGE = frozenset({"max_minutes", "save_every_steps", "workers", "track"})


class TrainError(ValueError):
    """A run cannot begin or go on; the message says what to do."""


class Forward(nn.Module):
    """A system's objectives as a module, so that the wrapper for several processes can surround it.

    Args:
        system: The system.
        autocast: Makes the precision's context.
    """

    def __init__(self, system: Any, autocast: Callable[[], AbstractContextManager[Any]]) -> None:
        super().__init__()
        self.system, self._autocast = system, autocast

    def forward(self, batch: StudyBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted total and the unweighted terms of a batch."""
        with self._autocast():
            terms = self.system.objectives(batch)
        terms = {name: term.float() for name, term in terms.items()}
        return self.system.total(terms), terms


def grouped(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of `size` items; the last may be shorter.

    >>> list(grouped([1, 2, 3], 2))
    [[1, 2], [3]]
    """
    group: list[Item] = []
    for item in items:
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def trainable(system: nn.Module) -> dict[str, nn.Parameter]:
    """Name to parameter of all that trains."""
    return {name: p for name, p in system.named_parameters() if p.requires_grad}


def make_optimizer(system: Any, settings: TrainSettings) -> torch.optim.Optimizer:
    """AdamW, or SGD with momentum, over the system's own groups.

    Raises:
        TrainError: If a parameter that should train is in no group: it would silently stay as it is.
    """
    groups = system.parameter_groups()
    grouped = {id(p) for group in groups for p in group["params"]}
    forgotten = [name for name, p in trainable(system).items() if id(p) not in grouped]
    if forgotten:
        raise TrainError(
            f"{len(forgotten)} trainable parameters are in no group ({', '.join(forgotten[:3])}); "
            "freeze them, or add them in the system's parameter_groups()."
        )
    groups = [{**group, "base_lr": group.get("lr", settings.lr)} for group in groups]
    # One fused pass over all parameters is several times faster on a CPU; elsewhere torch knows best.
    fused = all(p.device.type == "cpu" for group in groups for p in group["params"]) or None
    rest: dict[str, Any] = {"lr": settings.lr, "weight_decay": settings.weight_decay, "fused": fused}
    if settings.optimiser == "sgd":
        return torch.optim.SGD(groups, momentum=settings.momentum, **rest)
    return torch.optim.AdamW(groups, betas=settings.betas, eps=settings.eps, **rest)


def step_seed(seed: int, step: int, rank: int) -> int:
    """The seed of all random numbers that a step's forward pass draws (masks, dropout).

    >>> step_seed(0, 1, 0) == step_seed(0, 1, 0), step_seed(0, 1, 0) == step_seed(0, 2, 0)
    (True, False)
    """
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0])


def fixed_settings(recipe: Any, data_sha256: str, processes: int, precision: str) -> dict[str, Any]:
    """What a resumed run must share with its beginning, as plain JSON values; the data by their content."""
    table: dict[str, Any] = recipe.model_dump(mode="json")
    kept = {key: value for key, value in table["train"].items() if key not in MAY_CHANGE}
    run = {"data": data_sha256, "processes": processes, "precision": precision}
    return {"recipe": {**table, "train": kept}, "run": run}


def with_later_settings(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe that a run kept, and what a later version added to `data` and `train`, at its default.

    >>> with_later_settings({"data": {"size_px": 32}, "train": {}})["data"]["crop_collimation"]
    False
    """
    train = TrainSettings().model_dump(mode="json", exclude=set(MAY_CHANGE))
    return merge({"data": DataSettings().model_dump(mode="json"), "train": train}, recipe)


def need_same(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Check that a run goes on as it began.

    Raises:
        TrainError: If a setting or the data differ.

    >>> need_same({"train": {"lr": 1}}, {"train": {"lr": 2}})
    Traceback (most recent call last):
    ...
    radalign.train.start.TrainError: The run began with train.lr = 1, not 2; resume with what it began with.
    """
    different = differences(before, now)
    if different:
        key, (old, new) = next(iter(different.items()))
        more = f" (and {len(different) - 1} more)" if len(different) > 1 else ""
        raise TrainError(
            f"The run began with {key} = {old}, not {new}{more}; resume with what it began with."
        )


def differences(before: Any, now: Any, path: str = "") -> dict[str, tuple[Any, Any]]:
    """Dotted key to (before, now), for all leaves that differ.

    >>> differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}})
    {'a.c': (2, 3)}
    """
    if not (isinstance(before, Mapping) and isinstance(now, Mapping)):
        return {} if before == now else {path: (before, now)}
    found: dict[str, tuple[Any, Any]] = {}
    for key in dict.fromkeys([*before, *now]):
        found |= differences(before.get(key), now.get(key), f"{path}.{key}" if path else str(key))
    return found
