"""How the views of a study become one vector: their mean, or a small transformer across them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from radalign.nn.packing import Packed
from radalign.nn.slots import slot_of_each_view
from radalign.nn.transformer import Transformer, TransformerConfig


def cls_and_mean_patch(tokens: Tensor) -> Tensor:
    """What a closed form sees of a view: CLS and the mean of its patches, [N, 1 + P, D] -> [N, 2 D].

    >>> cls_and_mean_patch(torch.tensor([[[5.0], [1.0], [3.0]]])).tolist()
    [[5.0, 2.0]]
    """
    return torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], -1)


def mean_over_views(rows: Tensor, present: Tensor) -> Tensor:
    """Mean over each study's present views.

    Args:
        rows: [N, D], one per present view in the order of `present`.
        present: bool [B, V].

    Returns:
        [B, D]; zero for a study without views.

    >>> present = torch.tensor([[True, True], [False, True]])
    >>> mean_over_views(torch.tensor([[1.0], [3.0], [5.0]]), present).tolist()
    [[2.0], [5.0]]
    """
    study = present.nonzero()[:, 0]  # [N]
    total = rows.new_zeros(len(present), rows.shape[1]).index_add(0, study, rows)
    return total / present.sum(1, keepdim=True).clamp(min=1)


def spread_over_slots(rows: Tensor, present: Tensor) -> Tensor:
    """Rows of present views back in their slots, zeros elsewhere: [N, ...], bool [B, V] -> [B, V, ...]."""
    out = rows.new_zeros(*present.shape, *rows.shape[1:])
    out[present] = rows
    return out


def masked_mean(rows: Tensor, mask: Tensor) -> Tensor:
    """Mean of the present rows: [B, N, E], bool [B, N] -> [B, E]; zero where there is none.

    >>> masked_mean(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[True, True, False]])).tolist()
    [[2.0]]
    """
    return (rows * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)


class SlotEmbedding(nn.Module):
    """What tells views and times apart: a vector per view type plus one per time, both zero at the start.

    Args:
        slots: The model's inputs in order, such as `prior_lateral`.
        width: D.

    References:
        ALTA, arXiv:2506.08990 (temporal-multiview embeddings).
    """

    lateral: Tensor
    prior: Tensor

    def __init__(self, slots: Sequence[str], width: int) -> None:
        super().__init__()
        self.view = nn.Parameter(torch.zeros(2, width))  # frontal, lateral
        self.time = nn.Parameter(torch.zeros(2, width))  # current, prior
        lateral = torch.tensor([int(slot.endswith("lateral")) for slot in slots])
        prior = torch.tensor([int(slot.startswith("prior")) for slot in slots])
        self.register_buffer("lateral", lateral, persistent=False)
        self.register_buffer("prior", prior, persistent=False)

    def forward(self, present: Tensor) -> Tensor:
        """The vectors of the present views: bool [B, V] -> [N, D]."""
        slot = slot_of_each_view(present, len(self.lateral))  # [N]
        return self.view[self.lateral[slot]] + self.time[self.prior[slot]]


class AttentionFusion(nn.Module):
    """A small transformer over the CLS tokens of a study's present views, then their mean, as a residual.

    The output projections start at zero, so that the start is the plain mean.

    Args:
        width: D.
        depth: Blocks.
        heads: Attention heads.
    """

    def __init__(self, width: int, depth: int = 2, heads: int = 8) -> None:
        super().__init__()
        heads = heads if width % heads == 0 else 1
        self.transformer = Transformer(TransformerConfig(width, depth, heads, 2 * width))
        for block in self.transformer.blocks:
            for name in ("out.weight", "out.bias", "down.weight", "down.bias"):
                nn.init.zeros_(block.get_parameter(name))

    def forward(self, rows: Tensor, present: Tensor) -> Tensor:
        """Fuse rows [N, D] of present views, bool [B, V], into [B, D]."""
        packed = Packed.pack(spread_over_slots(rows, present), present)
        mixed = self.transformer(packed).unpack()  # [B, V, D], zeros at absent views
        mean: Tensor = mixed.sum(1) / present.sum(1, keepdim=True).clamp(min=1)
        return mean
