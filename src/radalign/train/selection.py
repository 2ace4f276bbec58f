"""Which of two validations is the better one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from radalign.objectives.collapse import measure_collapse
from radalign.train.classes import NUMBERS, classifies_only
from radalign.train.validate import retrieval_numbers
from radalign.train.zero_shot import NUMBER, zero_shot_labels

_SMALLER_IS_BETTER = frozenset({"loss", "median_rank", "negative"})


class SelectionError(ValueError):
    """The recipe picks the best checkpoint by a number that no validation gives."""


def known_numbers(system: Any = None) -> tuple[str, ...]:
    """Names of all numbers of a validation of a system; of one that aligns, by default.

    >>> "r10" in known_numbers(), "gap" in known_numbers()
    (True, True)
    """
    two = torch.eye(2)
    monitor = tuple(measure_collapse(two, two).numbers())
    if classifies_only(system):
        return (*NUMBERS, *monitor)
    if not getattr(system, "aligns", True):
        return ("loss", *system.objective_names)
    return (*retrieval_numbers(two, two), *monitor, *([NUMBER] if zero_shot_labels(system) else []))


def need_known(name: str, system: Any = None) -> None:
    """Check `train.select` against the validation of a system.

    Raises:
        SelectionError: If there is no such number.
    """
    known = known_numbers(system)
    if name not in known:
        raise SelectionError(f"train.select={name} is no validation number; use one of {', '.join(known)}.")


def is_better(name: str, new: float, old: float | None, system: Any = None) -> bool:
    """Whether a number beats the best one so far; an equal one does not, and NaN never does.

    Every number of a system that does not align is a loss, so smaller is better.

    >>> is_better("r10", 0.2, 0.1), is_better("loss", 0.2, 0.1), is_better("r10", 0.1, None)
    (True, False, True)
    """
    if math.isnan(new):
        return False
    if old is None:
        return True
    smaller = name in _SMALLER_IS_BETTER or not getattr(system, "aligns", True)
    return new < old if smaller else new > old


def beats(name: str, new: Mapping[str, float], old: Mapping[str, float] | None, system: Any = None) -> bool:
    """Whether a validation beats the best one so far: by the named number; if that is equal, by the loss.

    Few validation studies give few different accuracies. Were an equal one never better, the start would be
    kept wherever it is as right as what was learned, and every method would be its own start.

    >>> start, trained = {"accuracy": 0.75, "loss": 4.4}, {"accuracy": 0.75, "loss": 0.6}
    >>> beats("accuracy", trained, start), beats("accuracy", start, trained), beats("accuracy", start, None)
    (True, False, True)
    """
    if not old or new[name] != old[name]:
        return is_better(name, new[name], old[name] if old else None, system)
    return "loss" in new and "loss" in old and is_better("loss", new["loss"], old["loss"], system)
