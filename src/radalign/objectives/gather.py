"""What processes share, with gradient: loss and gradients equal one process with the whole batch.

Every process computes the full loss over the gathered batch. The backward pass sums what all processes want
of one process's rows, which is world-size times the wanted gradient, and the data-parallel wrapper's mean
divides by the world size again. The agreement matrix needs no gathering: the loader of each process knows the
studies of all, and gives it whole.

Terms over tokens, patches or pairs need no rows of others, only how many there are in all: `mean_of_all`.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from radalign.data.batches import Embeddings


def gather(rows: Tensor) -> Tensor:
    """Concatenate the rows of all processes, in rank order; gradients flow back to each.

    Args:
        rows: [B, ...], the same shape in every process.

    Returns:
        [W * B, ...]; the input itself when there is one process.

    >>> gather(torch.ones(2, 3)).shape
    torch.Size([2, 3])
    """
    if world_size() == 1:
        return rows
    return _Gather.apply(rows)  # type: ignore[no-any-return, no-untyped-call]


def gather_embeddings(embeddings: Embeddings) -> Embeddings:
    """Gather global and local embeddings; local ones are padded to the longest of any process.

    Args:
        embeddings: This process's, B rows.

    Returns:
        W * B rows; every row keeps its own mask.
    """
    if world_size() == 1:
        return embeddings
    if embeddings.local is None:
        return Embeddings(gather(embeddings.global_))
    local, mask = embeddings.local, embeddings.mask
    if mask is None:
        mask = torch.ones(local.shape[:2], dtype=torch.bool, device=local.device)
    missing = _longest(local.shape[1], local.device) - local.shape[1]
    local = F.pad(local, (0, 0, 0, missing))  # [B, N_max, E]
    mask = F.pad(mask, (0, missing))  # [B, N_max]
    gathered_mask = gather(mask.to(torch.uint8)).bool()
    return Embeddings(gather(embeddings.global_), gather(local), gathered_mask)


def gather_uneven(rows: Tensor) -> Tensor:
    """`gather` where every process may have another number of rows (views of its studies, say).

    Args:
        rows: [N, ...]; N is each process's own.

    Returns:
        The rows of all processes, in rank order; the input itself when there is one process.
    """
    if world_size() == 1:
        return rows
    own = len(rows)
    longest = _longest(own, rows.device)
    padded = F.pad(rows, (0, 0) * (rows.ndim - 1) + (0, longest - own))
    there = torch.arange(longest, device=rows.device) < own
    return gather(padded)[gather(there.to(torch.uint8)).bool()]


def mean_of_all(total: Tensor, count: Tensor | int) -> Tensor:
    """The mean of what all processes hold, from each one's sum and count.

    A mean of the processes' own means would weigh a process with few hidden words like one with many. Here
    the gradient is that of the own sum times processes over all counted, so that the data-parallel wrapper's
    mean is the gradient of the whole batch. Without gradient (a validation, which every process does alone)
    nothing is exchanged.

    Args:
        total: Sums, of any shape.
        count: How many were added up in each; the same shape, or a number.

    Returns:
        The means, the same in every process; 0 where nothing was counted anywhere.

    >>> mean_of_all(torch.tensor(6.0), 4), mean_of_all(torch.tensor(0.0), 0)
    (tensor(1.5000), tensor(0.))
    """
    total = total.to(torch.promote_types(total.dtype, torch.float32))
    count = torch.as_tensor(count, device=total.device).detach().to(total.dtype).expand(total.shape)
    if world_size() == 1 or not torch.is_grad_enabled():
        return total / count.clamp(min=1)
    whole = torch.stack([total.detach(), count])
    dist.all_reduce(whole)
    wanted = total * (world_size() / whole[1].clamp(min=1))
    return wanted + (whole[0] / whole[1].clamp(min=1) - wanted).detach()


def world_size() -> int:
    """Processes that train together; 1 when nothing is distributed."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def _longest(length: int, device: torch.device) -> int:
    longest = torch.tensor(length, device=device)
    dist.all_reduce(longest, op=dist.ReduceOp.MAX)
    return int(longest)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *wanted: Tensor) -> Tensor:
        total = wanted[0].contiguous().clone()
        dist.all_reduce(total)
        size = total.shape[0] // dist.get_world_size()
        return total[dist.get_rank() * size : (dist.get_rank() + 1) * size]
