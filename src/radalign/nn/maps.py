"""Linear maps into the joint space that a closed form can fill: one per side, standardisation included."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from radalign.nn.slots import slot_of_each_view


class SlotMap(nn.Module):
    """Standardise each slot's feature, put absent slots at zero (the mean), map all slots to E.

    Args:
        slots: V.
        width: D of one slot's feature.
        out: E.

    Attributes:
        mean: [V, D] of the training studies.
        std: [V, D].
        weight: [V * D, E]; zero until it is filled.
        bias: [E].
    """

    mean: Tensor
    std: Tensor

    def __init__(self, slots: int, width: int, out: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(slots, width))
        self.register_buffer("std", torch.ones(slots, width))
        self.weight = nn.Parameter(torch.zeros(slots * width, out))
        self.bias = nn.Parameter(torch.zeros(out))

    def forward(self, rows: Tensor, present: Tensor) -> Tensor:
        """Map the features of present views, rows [N, D] in the order of `present` [B, V], to [B, E]."""
        return self.standardise(rows, present) @ self.weight + self.bias

    def standardise(self, rows: Tensor, present: Tensor) -> Tensor:
        """Standardised features side by side, zeros where a slot is absent: [B, V * D]."""
        slot = slot_of_each_view(present, len(self.mean))  # [N]
        out = torch.zeros(*present.shape, rows.shape[-1], device=rows.device)  # [B, V, D]
        out[present] = (rows.float() - self.mean[slot]) / self.std[slot]
        return out.flatten(1)  # -> [B, V * D]

    @torch.no_grad()
    def set_statistics(self, rows: Tensor, present: Tensor) -> None:
        """Take each slot's mean and deviation from training features; a slot never seen keeps 0 and 1."""
        slot = slot_of_each_view(present, len(self.mean))
        for v in range(present.shape[1]):
            if int((slot == v).sum()) > 1:
                self.mean[v] = rows[slot == v].float().mean(0)
                self.std[v] = rows[slot == v].float().std(0).clamp(min=1e-6)


class UnitMap(nn.Module):
    """L2-normalise, centre, map: text features [B, D] -> [B, E].

    Attributes:
        mean: [D], subtracted after the normalisation.
        weight: [D, E].
    """

    mean: Tensor

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.weight = nn.Parameter(torch.zeros(width, out))

    def forward(self, x: Tensor) -> Tensor:
        """Map x [B, D] -> [B, E]."""
        return (F.normalize(x.float(), dim=-1) - self.mean) @ self.weight
