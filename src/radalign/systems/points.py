"""From embeddings as the heads give them to embeddings of unit length."""

from __future__ import annotations

import torch.nn.functional as F

from radalign.data.batches import Embeddings
from radalign.nn.fusion import masked_mean


def unit_points(points: Embeddings, local_stands_in: bool = False) -> Embeddings:
    """The same embeddings at unit length, local ones too.

    Args:
        points: Global [B, E] and, where there are any, local [B, N, E] with their mask.
        local_stands_in: The mean of the unit local embeddings is the global one: nothing trained that.

    >>> import torch
    >>> unit_points(Embeddings(torch.tensor([[3.0, 4.0]]))).global_
    tensor([[0.6000, 0.8000]])
    """
    if points.local is None:
        return Embeddings(F.normalize(points.global_.float(), dim=-1))
    local, mask = F.normalize(points.local.float(), dim=-1), points.mask
    stands_in = local_stands_in and mask is not None
    point = masked_mean(local, mask) if stands_in else points.global_.float()  # type: ignore[arg-type]
    return Embeddings(F.normalize(point, dim=-1), local, mask)
