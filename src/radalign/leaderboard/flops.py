"""Operations of a training step, and how many epochs of a system fit into a budget of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from radalign.leaderboard.cells import Job
from radalign.leaderboard.plan import LeaderboardError
from radalign.study import Manifest
from radalign.train.record import write_json

SAMPLE = 2


def step_flops(system: Any, batches: Sequence[Any]) -> float:
    """Operations of the matrix products of a step, forward and backward, mean of some batches.

    Args:
        system: What trains.
        batches: Real ones: absent views and short reports cost less.
    """
    from radalign.train.profile.products import MatrixProducts

    was_training, counts = system.training, list[float]()
    system.train()

    for batch in batches:
        with MatrixProducts() as count:
            total = system.total(system.objectives(batch.to(system.device)))
        total.backward()
        system.zero_grad(set_to_none=True)
        counts.append(count.flops)
    system.train(was_training)
    return sum(counts) / len(counts)


def trains(system: Any) -> bool:
    """Whether anything in a system trains by gradient."""
    return any(p.requires_grad for p in system.parameters())


def write_step_flops(path: Path, system: Any, job: Job, manifest: Manifest) -> None:
    """Count the first steps of a trained system's epoch, if it trains; keep the budget that it had."""
    found = {"budget": job.flops} if job.flops else {}
    if trains(system):
        batches, _ = _first_batches(system, job, manifest)
        found["step"] = step_flops(system, batches)
    if found:
        write_json(path, found)


def epochs_within(job: Job, manifest: Manifest) -> int:
    """Whole epochs that fit into the job's budget of operations.

    Raises:
        LeaderboardError: If not even one fits.
    """
    from radalign.systems.base import create

    system = create(job.recipe, job.settings)
    if not trains(system):
        return int(system.recipe.train.epochs)
    system.feature_cache = Path(job.cache)
    batches, data = _first_batches(system, job, manifest)
    system.warm_start(data.usable)
    epoch = step_flops(system, batches) * len(data.train)
    fit = math.floor(job.flops / epoch)
    if fit < 1:
        raise LeaderboardError(
            f"One epoch of {job.arm} takes {epoch:.3g} FLOPs, more than the budget of {job.flops:.3g}; "
            "raise budget.flops."
        )
    return fit


def _first_batches(system: Any, job: Job, manifest: Manifest) -> tuple[list[Any], Any]:
    from radalign.train.device import Processes
    from radalign.train.prepare import prepare_data

    cache = Path(job.cache)
    data = prepare_data(system, manifest, cache, Processes(system.recipe.train, "auto", cache))
    return list(itertools.islice(data.train.epoch(0), SAMPLE)), data
