"""Optimiser groups that several systems share."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from radalign.systems.base import System


def decayed_and_plain(system: System, decayed_too: Collection[str] = ()) -> list[dict[str, Any]]:
    """Weight decay on matrices, not on biases, norms and scales.

    Args:
        system: What trains.
        decayed_too: Names of vectors that decay all the same.
    """
    train = system.recipe.train
    trainable = [(n, p) for n, p in system.named_parameters() if p.requires_grad]
    decayed = [p for n, p in trainable if p.ndim >= 2 or n in decayed_too]
    plain = [p for n, p in trainable if p.ndim < 2 and n not in decayed_too]
    return [
        {"name": "decayed", "params": decayed, "lr": train.lr, "weight_decay": train.weight_decay},
        {"name": "plain", "params": plain, "lr": train.lr, "weight_decay": 0.0},
    ]
