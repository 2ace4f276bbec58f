"""NEARL's visual prototypes: running means of what images look like at every level, kept as buffers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from radalign.objectives.gather import gather_uneven


@torch.no_grad()
def learn_prototypes(prototypes: Tensor, started: Tensor, seen: Tensor, decay: float) -> None:
    """Move the nearest prototype of each image towards it, in place.

    The images are those of all processes, so that the means are what one process with the whole batch has.

    Args:
        prototypes: [K_v, P, D_v]; the last level decides which one is the nearest.
        started: bool scalar; until it is set, the first images are the prototypes. It is set here.
        seen: [K_v, N, D_v], CLS of every level of this process's views.
        decay: Of the running means.

    >>> means, started = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]), torch.tensor(True)
    >>> learn_prototypes(means, started, torch.tensor([[[0.0, 3.0]]]), 0.5)
    >>> means.tolist()
    [[[1.0, 0.0], [0.0, 2.0]]]
    """
    seen = gather_uneven(seen.detach().float().transpose(0, 1)).transpose(0, 1)  # [K_v, N of all, D_v]
    if not bool(started):
        first = torch.arange(prototypes.shape[1], device=seen.device) % seen.shape[1]
        prototypes.copy_(seen[:, first])
        started.fill_(True)
    last = F.normalize(prototypes[-1], dim=-1).to(seen.dtype)
    nearest = (F.normalize(seen[-1], dim=-1) @ last.T).argmax(1)  # [N]
    for p in sorted(set(nearest.tolist())):
        mean = seen[:, nearest == p].mean(1)  # [K_v, D_v]
        prototypes[:, p].lerp_(mean.to(prototypes.dtype), 1 - decay)
