"""Embeddings of all processes, with gradient: loss and gradients equal one process with the whole batch.

Every process computes the full loss over the gathered batch. The backward pass sums what all processes want
of one process's rows, which is world-size times the wanted gradient, and the data-parallel wrapper's mean
divides by the world size again. The agreement matrix needs no gathering: the loader of each process knows the
studies of all, and gives it whole.
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
