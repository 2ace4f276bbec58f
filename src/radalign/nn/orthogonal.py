"""Splitting an update into what repeats a feature and what is new to it (NEARL's decoupling)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def split_update(
    update: Tensor, feature: Tensor, eps: float = 1e-6, detach: bool = True
) -> tuple[Tensor, Tensor]:
    """Split `update` into its part parallel to `feature` and the orthogonal rest, token by token.

    Args:
        update: [..., D].
        feature: [..., D].
        eps: Lower bound of the squared norm of a feature.
        detach: The projector is a constant of the step: no gradient reaches the feature through it.

    Returns:
        (parallel, orthogonal), which add up to `update`.

    References:
        NEARL-CLIP, arXiv:2508.04101 (orthogonal cross-attention adapter); Gram-Schmidt, one step.

    >>> parallel, orthogonal = split_update(torch.tensor([3.0, 4.0]), torch.tensor([2.0, 0.0]))
    >>> parallel.tolist(), orthogonal.tolist()
    ([3.0, 0.0], [0.0, 4.0])
    """
    feature = feature.detach() if detach else feature
    share = (update * feature).sum(-1, keepdim=True) / feature.square().sum(-1, keepdim=True).clamp(min=eps)
    parallel = share * feature
    return parallel, update - parallel


def squared_cosine(update: Tensor, feature: Tensor, mask: Tensor | None = None) -> Tensor:
    """cos^2 between an update and its feature, added up: the orthogonal regularisation is its mean.

    Args:
        update: [..., D].
        feature: [..., D], not differentiated.
        mask: [...] bool of the tokens to count, or None for all.

    Returns:
        [2], the sum over tokens and their count, so that several processes can find their common mean.

    >>> squared_cosine(torch.tensor([[0.0, 1.0], [2.0, 0.0]]), torch.tensor([[3.0, 0.0]])).tolist()
    [1.0, 2.0]
    """
    value = F.cosine_similarity(update, feature.detach(), dim=-1, eps=1e-8).square()
    mask = torch.ones_like(value) if mask is None else mask
    return torch.stack([(value * mask).sum(dtype=value.dtype), mask.sum(dtype=value.dtype)])
