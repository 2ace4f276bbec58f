"""Which of two validations is the better one."""

from __future__ import annotations

import math

import torch

from radalign.objectives.collapse import measure_collapse
from radalign.train.validate import retrieval_numbers

_SMALLER_IS_BETTER = frozenset({"loss", "median_rank", "negative"})


class SelectionError(ValueError):
    """The recipe picks the best checkpoint by a number that no validation gives."""


def known_numbers() -> tuple[str, ...]:
    """Names of all numbers of a validation.

    >>> "r10" in known_numbers(), "gap" in known_numbers()
    (True, True)
    """
    two = torch.eye(2)
    return (*retrieval_numbers(two, two), *measure_collapse(two, two).numbers())


def need_known(name: str) -> None:
    """Check `train.select`.

    Raises:
        SelectionError: If there is no such number.
    """
    if name not in known_numbers():
        raise SelectionError(
            f"train.select={name} is no validation number; use one of {', '.join(known_numbers())}."
        )


def is_better(name: str, new: float, old: float | None) -> bool:
    """Whether a number beats the best one so far; an equal one does not, and NaN never does.

    >>> is_better("r10", 0.2, 0.1), is_better("loss", 0.2, 0.1), is_better("r10", 0.1, None)
    (True, False, True)
    """
    if math.isnan(new):
        return False
    if old is None:
        return True
    return new < old if name in _SMALLER_IS_BETTER else new > old
