"""Word-to-patch alignment (GLoRIA's form with learnable scales), for a whole batch at once.

patches [B, N, E] ─┐                             attention of every word    cosine of word and
                   ├─ dot products [B, N, R, L] ─ over the image's patches ─ its image context ── Z [B, R]
words   [R, L, E] ─┘
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from radalign.objectives.contrastive import symmetric_cross_entropy
from radalign.objectives.word_context import word_cosines

Aggregation = Literal["sum", "mean"]
DEFAULT_CHUNK_ELEMENTS = 24_000_000


class LocalScales(NamedTuple):
    """The three scales of the local objective: over patches, over words, and of the final logits.

    ALTA learns their logarithms from ln(1/0.07); GLoRIA fixes 4, 5 and 10.
    """

    patch: Tensor | float
    word: Tensor | float
    logit: Tensor | float


def word_similarities(
    patches: Tensor, patch_mask: Tensor, words: Tensor, word_mask: Tensor, patch_scale: Tensor | float
) -> Tensor:
    """Cosine between every word and the image context that the word attends to.

    For image i with patches p_ik and report j with words w_jl: `u_kl = <p_ik, w_jl>`; `a_kl` = softmax of u
    over the
    report's words l; `b_lk` = softmax over patches k of `patch_scale * a_kl`; `c_l = sum_k b_lk p_ik`; the
    result is
    `cos(w_jl, c_l)`.

    Args:
        patches: [B, N, E] local image embeddings.
        patch_mask: [B, N] bool, True = present.
        words: [R, L, E] local text embeddings.
        word_mask: [R, L] bool, True = a word.
        patch_scale: Scale of the attention over patches.

    Returns:
        [B, R, L] cosines; 0 where the word or the whole image is absent.

    References:
        Huang et al. 2021 (GLoRIA), eq. 4 to 6; ALTA, arXiv:2506.08990 (local objective).
    """
    u = torch.einsum("bne,rle->brnl", patches, words)  # [B, R, N, L]
    a = u.masked_fill(~word_mask[None, :, None, :], -torch.inf).softmax(-1)
    no_patch = ~patch_mask[:, None, :, None]  # [B, 1, N, 1]
    b = (patch_scale * a).masked_fill(no_patch, torch.finfo(a.dtype).min).softmax(2)
    b = b.masked_fill(no_patch, 0.0)
    context = torch.einsum("brnl,bne->brle", b, patches)  # [B, R, L, E]
    cosine = F.cosine_similarity(words[None], context, dim=-1, eps=1e-8)  # [B, R, L]
    return cosine.masked_fill(~word_mask[None], 0.0)


def report_scores(
    patches: Tensor,
    patch_mask: Tensor,
    words: Tensor,
    word_mask: Tensor,
    scales: LocalScales,
    how: Aggregation = "sum",
) -> Tensor:
    """Score of every image for every report: `Z_ij = tau3 * log sum_l exp(tau2 * r_l)`.

    Args:
        patches: [B, N, E].
        patch_mask: [B, N] bool.
        words: [R, L, E].
        word_mask: [R, L] bool; every report has at least one word.
        scales: The three scales.
        how: `sum` as published, or `mean`, which takes away the sum's bias towards long reports (log n_j).

    Returns:
        [B, R].
    """
    cosine = word_similarities(patches, patch_mask, words, word_mask, scales.patch)
    return _pooled(cosine, word_mask, scales, how)


def _pooled(cosine: Tensor, word_mask: Tensor, scales: LocalScales, how: Aggregation) -> Tensor:
    """Scores [B, R] from the cosines of every word [B, R, L]."""
    logits = (scales.word * cosine).masked_fill(~word_mask[None], -torch.inf)
    pooled = logits.logsumexp(-1)  # [B, R]
    if how == "mean":
        pooled = pooled - word_mask.sum(-1).log()[None]
    return scales.logit * pooled


def report_scores_in_chunks(
    patches: Tensor,
    patch_mask: Tensor,
    words: Tensor,
    word_mask: Tensor,
    scales: LocalScales,
    how: Aggregation = "sum",
    max_elements: int = DEFAULT_CHUNK_ELEMENTS,
) -> Tensor:
    """`report_scores` in bounded memory: reports of like length together, chunks recomputed backwards.

    Args:
        patches: [B, N, E].
        patch_mask: [B, N] bool.
        words: [R, L, E].
        word_mask: [R, L] bool, words first, then padding.
        scales: The three scales.
        how: See `report_scores`.
        max_elements: Upper bound on the numbers in one chunk's [B, R, N, L] attention.

    Returns:
        [B, R], equal to `report_scores` to rounding.
    """
    lengths = word_mask.shape[1] - word_mask.flip(1).int().argmax(1)  # [R] position after the last word
    order = lengths.argsort()
    scores, start = [], 0
    while start < len(order):
        chunk = _next_chunk(lengths[order], start, len(patches) * patches.shape[1], max_elements)
        rows, longest = order[start : start + chunk], int(lengths[order[start + chunk - 1]])
        args = (patches, patch_mask, words[rows, :longest], word_mask[rows, :longest], scales, how)
        needs_grad = torch.is_grad_enabled() and (patches.requires_grad or words.requires_grad)
        whole = start == 0 and chunk == len(order)
        recompute = needs_grad and not whole
        scores.append(
            checkpoint(report_scores, *args, use_reentrant=False) if recompute else report_scores(*args)
        )
        start += chunk
    return torch.cat(scores, 1)[:, order.argsort()]  # [B, R] in the given order


def _next_chunk(sorted_lengths: Tensor, start: int, per_word: int, max_elements: int) -> int:
    """How many of the next (length-sorted) reports fit into `max_elements` attention weights."""
    rest = sorted_lengths[start:]
    costs = torch.arange(1, len(rest) + 1, device=rest.device) * rest * per_word
    return max(1, int((costs <= max_elements).sum()))


def local_contrastive(
    patches: Tensor,
    patch_mask: Tensor,
    words: Tensor,
    word_mask: Tensor,
    scales: LocalScales,
    same: Tensor | None = None,
    how: Aggregation = "sum",
) -> Tensor:
    """Symmetric contrastive loss over the local scores of every image and every report of the batch.

    Args:
        patches: [B, N, E]; patch_mask: [B, N].
        patch_mask: [B, N] bool.
        words: [B, L, E].
        word_mask: [B, L] bool.
        scales: The three scales.
        same: [B, B] agreement, or None.
        how: See `report_scores`.

    Returns:
        Loss in nats.

    References:
        GLoRIA (Huang et al. 2021), eq. 7 to 9; ALTA's learnable scales.
    """
    usable = patch_mask.any(1) & word_mask.any(1)  # a study without any view or word has no local side
    if not bool(usable.all()):
        patches, patch_mask = patches[usable], patch_mask[usable]
        words, word_mask = words[usable], word_mask[usable]
        same = None if same is None else same[usable][:, usable]
    if not len(patches):
        return words.sum() * 0.0
    sides = (patches.float(), patch_mask, words.float(), word_mask)
    if patches.device.type == "cpu":
        scores = _pooled(word_cosines(*sides, scales.patch), word_mask, scales, how)
    else:  # an accelerator likes few and large calls
        scores = report_scores_in_chunks(*sides, scales, how)
    return symmetric_cross_entropy(scores, same)
