"""How many epochs of a system fit into a budget of floating-point operations."""

from __future__ import annotations

import itertools
import math
from typing import Any

from radalign.leaderboard.cells import Job
from radalign.leaderboard.plan import LeaderboardError
from radalign.study import Manifest

SAMPLE = 3


def step_flops(system: Any, batches: list[Any]) -> float:
    """Operations of the matrix products and attention of a training step, mean of some batches.

    Args:
        system: In training mode; its gradients are cleared afterwards.
        batches: Real ones: absent views and short reports cost less.
    """
    from torch.utils.flop_counter import FlopCounterMode

    counts = []
    for batch in batches:
        with FlopCounterMode(display=False) as counter:
            system.total(system.objectives(batch)).backward()
        counts.append(float(counter.get_total_flops()))
        system.zero_grad(set_to_none=True)
    return sum(counts) / len(counts)


def epochs_within(job: Job, manifest: Manifest) -> int:
    """Whole epochs that fit into the job's budget of FLOPs.

    Raises:
        LeaderboardError: If not even one fits.
    """
    from pathlib import Path

    from radalign.systems.base import create
    from radalign.train.device import Processes
    from radalign.train.prepare import prepare_data

    system = create(job.recipe, job.settings)
    if not any(p.requires_grad for p in system.parameters()):
        return system.recipe.train.epochs
    system.feature_cache = Path(job.cache)
    team = Processes(system.recipe.train, "auto", Path(job.cache))
    data = prepare_data(system, manifest, Path(job.cache), team)
    system.warm_start(data.usable)
    system.train()
    batches = [batch.to(system.device) for batch in itertools.islice(data.train.epoch(0), SAMPLE)]
    epoch = step_flops(system, batches) * len(data.train)
    fit = math.floor(job.flops / epoch)
    if fit < 1:
        raise LeaderboardError(
            f"One epoch of {job.arm} takes {epoch:.3g} FLOPs, more than the budget of {job.flops:.3g}; "
            "raise budget.flops."
        )
    return fit
