"""ClinVLA's objective as printed: attraction only, so that a constant map is a perfect minimum.

Kept verbatim because papers must be reproducible; `objectives/collapse.py` watches it and warns. The
variance hinge
is what keeps it alive in the recipe `clinvla-variance`.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from radalign.objectives.gather import mean_of_all

Pairing = Literal["attention", "index"]


def global_attraction(z_img: Tensor, z_txt: Tensor) -> Tensor:
    """`1 - cos`, mean over pairs; zero for any constant map.

    Args:
        z_img: [B, E] L2-normalised.
        z_txt: [B, E] L2-normalised.

    Returns:
        In 0..2.

    References:
        ClinVLA, doi:10.3389/fphys.2025.1661960, L_GLOBAL.

    >>> global_attraction(torch.eye(2), torch.eye(2).flip(0)).item()
    1.0
    """
    return (1 - (z_img * z_txt).sum(-1)).mean()


def local_attraction(
    patches: Tensor, patch_mask: Tensor, words: Tensor, word_mask: Tensor, pairing: Pairing = "attention"
) -> Tensor:
    """Mean over pairs of the mean over its words of `1 - cos(v_i, t_i)`.

    Patches and words have no order in common, so `attention` takes v_i as the context that word i attends to
    (softmax of dot products over patches); `index` pairs the i-th patch that is there with word i, as the
    formula literally reads.

    Args:
        patches: [B, N, E].
        patch_mask: [B, N] bool.
        words: [B, L, E].
        word_mask: [B, L] bool.
        pairing: See above.

    Returns:
        In 0..2; a pair without words or patches does not count.

    References:
        ClinVLA, doi:10.3389/fphys.2025.1661960, L_LOCAL.

    >>> words, mask = torch.tensor([[[1.0], [1.0]], [[-1.0], [0.0]]]), torch.tensor([[1, 1], [1, 0]]) > 0
    >>> local_attraction(torch.ones(2, 1, 1), torch.ones(2, 1) > 0, words, mask).item()  # pairs: 0 and 2
    1.0
    """
    if pairing == "index":
        patches, patch_mask = _present_first(patches, patch_mask)
        n = min(patches.shape[1], words.shape[1])
        context, words, mask = patches[:, :n], words[:, :n], word_mask[:, :n] & patch_mask[:, :n]
    else:
        u = words @ patches.transpose(1, 2)  # [B, L, N]
        context = u.masked_fill(~patch_mask[:, None], -1e9).softmax(-1) @ patches  # [B, L, E]
        mask = word_mask & patch_mask.any(1, keepdim=True)
    distance = 1 - F.cosine_similarity(context, words, dim=-1)  # [B, L]
    of_pair = (distance * mask).sum(1) / mask.sum(1).clamp(min=1)  # [B]
    return mean_of_all(of_pair.sum(), mask.any(1).sum())


def _present_first(patches: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Patches [B, N, E] of absent slots behind all others, which keep their order; so with the mask."""
    order = (~mask).to(torch.uint8).argsort(dim=1, stable=True)  # [B, N]
    return patches.gather(1, order[..., None].expand_as(patches)), mask.gather(1, order)


def variance_hinge(z: Tensor, target: float = 1.0) -> Tensor:
    """How far each dimension's spread, times sqrt(E), falls short of `target`: what stops a collapse.

    Args:
        z: [B, E] L2-normalised; a spread of 1/sqrt(E) per dimension is a uniform sphere.
        target: Wanted normalised standard deviation.

    Returns:
        In 0..target; 0 for a batch of one, which has no spread.

    References:
        Bardes et al. 2022 (VICReg), arXiv:2105.04906, eq. 1, on the normalised embedding.
    """
    if len(z) < 2:
        return z.sum() * 0.0
    std = (z.var(0) + 1e-6).sqrt() * z.shape[1] ** 0.5  # [E]
    return F.relu(target - std).mean()
