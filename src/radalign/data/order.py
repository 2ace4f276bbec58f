"""The order of an epoch: a function of seed and epoch alone, so that a run can go on from any batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def epoch_batches(
    count: int, batch_size: int, seed: int, epoch: int, lengths: Sequence[int] | None = None
) -> list[list[int]]:
    """Shuffled batches of study numbers; all are full, and what does not fill one waits for another epoch.

    Args:
        count: Number of studies.
        batch_size: Studies per batch, over all processes; fewer studies than that make one smaller batch.
        seed: The run's seed.
        epoch: Counted from 0.
        lengths: Length of each report; groups similar ones (the batches stay shuffled). None groups nothing.

    >>> epoch_batches(5, 2, seed=0, epoch=0) == epoch_batches(5, 2, seed=0, epoch=0)
    True
    >>> [len(batch) for batch in epoch_batches(5, 2, seed=0, epoch=1)], epoch_batches(1, 8, seed=0, epoch=0)
    ([2, 2], [[0]])
    """
    rng = np.random.default_rng([seed, epoch, count])
    order = rng.permutation(count)
    whole = max(1, count // batch_size) if count else 0
    order = order[: whole * batch_size]
    if lengths is not None:
        # Noise of a tenth keeps neighbours from meeting in every epoch.
        noisy = np.asarray(lengths, dtype=np.float64)[order] * rng.uniform(0.9, 1.1, len(order))
        order = order[np.argsort(noisy, kind="stable")]
    batches = [order[i * batch_size : (i + 1) * batch_size].tolist() for i in range(whole)]
    return [batches[i] for i in rng.permutation(whole)] if lengths is not None else batches


def share_of(batch: Sequence[int], rank: int, world: int) -> list[int]:
    """This process's equal part of a batch; a remainder that cannot be shared is left out.

    Raises:
        ValueError: If there are fewer studies than processes.

    >>> share_of([7, 8, 9, 5], rank=1, world=2)
    [9, 5]
    """
    size = len(batch) // world
    if not size:
        raise ValueError(
            f"A batch of {len(batch)} studies cannot feed {world} processes; use fewer processes."
        )
    return list(batch[rank * size : (rank + 1) * size])
