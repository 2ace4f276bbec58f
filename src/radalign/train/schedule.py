"""The learning rate as a function of the step: a linear warm-up, then half a cosine or a constant."""

from __future__ import annotations

import math

from radalign.data.settings import TrainSettings


def rate_share(step: int, steps_per_epoch: int, settings: TrainSettings, time_share: float = 0.0) -> float:
    """Share of the base learning rate that a step uses.

    Args:
        step: Optimiser steps already taken.
        steps_per_epoch: Optimiser steps per epoch.
        settings: Warm-up, shape, horizon and what is left at the end.
        time_share: Share of `max_minutes` that is used up; counts with `anneal_to = "time"` alone.

    Returns:
        In 0..1; the warm-up's first step already moves, its last one has the full rate.

    References:
        Loshchilov and Hutter 2017, arXiv:1608.03983, eq. 5, with one period.

    >>> flat = TrainSettings(epochs=2, warmup_epochs=0.4, schedule="constant")
    >>> [rate_share(step, 10, flat) for step in (0, 1, 3, 4, 19)]
    [0.25, 0.5, 1.0, 1.0, 1.0]
    >>> round(rate_share(10, 10, TrainSettings(epochs=2, warmup_epochs=0)), 6)
    0.5
    """
    warmup = round(settings.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return settings.warmup_lr / settings.lr if settings.warmup_lr else (step + 1) / warmup
    if settings.schedule == "constant":
        return 1.0
    horizon = round((settings.horizon_epochs or settings.epochs) * steps_per_epoch)
    done = min(1.0, (step - warmup) / max(1, horizon - warmup))
    if settings.anneal_to == "time":
        done = max(done, min(1.0, time_share))
    return settings.final_lr_share + (1 - settings.final_lr_share) * 0.5 * (1 + math.cos(math.pi * done))
