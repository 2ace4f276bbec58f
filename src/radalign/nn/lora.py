"""Low-rank updates of frozen linear layers: delta W = (alpha / rank) * up * down, with up starting at zero.

    x ──┬── frozen W ───────────────┬── +
        └── down [r] ── up ── alpha/r ┘      merged: W + alpha / r * up * down

A packed layer (query, key and value in one matrix) gets one update per chosen part, each of its own rank.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from radalign.nn.linear import Linear


class LowRank(nn.Module):
    """The update of one linear layer, for `Linear.low_rank`.

    Args:
        d_in: Width of the input.
        d_out: Width of the output.
        rank: r.
        alpha: The update is scaled by alpha / r, so that r can change without a new learning rate.
        parts: Which parts of the output are updated, ascending.
        of: How many equal parts the output has; 3 for a packed query, key and value.

    References:
        Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022, section 4.1.

    >>> sum(p.numel() for p in LowRank(768, 3 * 768, 8, parts=(0, 2), of=3).parameters())
    24576
    """

    def __init__(
        self,
        d_in: int,
        d_out: int,
        rank: int = 8,
        alpha: float = 16.0,
        parts: Sequence[int] = (0,),
        of: int = 1,
    ) -> None:
        super().__init__()
        if d_out % of or not parts or not set(parts) <= set(range(of)):
            raise ValueError(
                f"Parts {list(parts)} of {of} do not fit an output of {d_out}; choose parts in 0..{of - 1}."
            )
        self.rank, self.scale, self.parts, self.of = rank, alpha / rank, tuple(parts), of
        self.down = nn.Parameter(torch.empty(len(self.parts), rank, d_in))
        self.up = nn.Parameter(torch.zeros(len(self.parts), d_out // of, rank))
        for part in self.down:
            nn.init.kaiming_uniform_(part, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """The update of the layer's result: x [..., d_in] -> [..., d_out]."""
        rows = torch.nn.functional.linear(x, self.down.flatten(0, 1))  # [..., parts * r]
        made = {
            part: torch.nn.functional.linear(row, self.scale * up)  # [..., d_out / of]
            for part, row, up in zip(self.parts, torch.split(rows, self.rank, -1), self.up, strict=True)
        }
        nothing = torch.zeros_like(made[self.parts[0]])
        return torch.cat([made.get(part, nothing) for part in range(self.of)], -1)

    def weight(self) -> Tensor:
        """The update as a matrix: [d_out, d_in]."""
        product = self.scale * self.up @ self.down  # [parts, d_out / of, d_in]
        whole = product.new_zeros(self.of, *product.shape[1:])
        whole[list(self.parts)] = product
        return whole.flatten(0, 1)

    @torch.no_grad()
    def merge_into(self, linear: Linear) -> None:
        """Add the update to a layer's weight, and take this module out of its slot.

        Args:
            linear: The layer; it gives the same results afterwards, at its own cost.
        """
        linear.weight += self.weight().to(linear.weight.dtype)
        linear.low_rank = None
