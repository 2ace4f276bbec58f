"""Cosine of every word and the image context it attends to, as a processor likes it.

`objectives.local.word_similarities` says what is computed; this gives the same numbers and gradients sooner.
Absent patches are left out, and reports of like length go together. The context itself is never formed: a
cosine does not see its length, so with u = <p_k, w_l>, e = exp(patch_scale * a) and the patches' Gram matrix
G it is `e.u / (|w| sqrt(e.G e))`. Pieces are small enough to stay in the cache. What backward needs of them
is kept while all of it is below `KEPT_BYTES`; a larger batch makes it anew, so that memory stays bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CACHED_ELEMENTS = 100_000
KEPT_BYTES = 2**30
_TINY = 1e-30
_MILD = 40.0
_NEVER = -1e30  # a finite score that softmax takes for nothing


def word_cosines(
    patches: Tensor,
    patch_mask: Tensor,
    words: Tensor,
    word_mask: Tensor,
    patch_scale: Tensor | float,
    elements: int = CACHED_ELEMENTS,
    kept_bytes: int = KEPT_BYTES,
) -> Tensor:
    """Cosines of all words with all images, differentiable once.

    Args:
        patches: float32 [B, N, E].
        patch_mask: bool [B, N].
        words: float32 [R, L, E].
        word_mask: bool [R, L], words first, then padding.
        patch_scale: Scale of the attention over patches.
        elements: Attention weights of one piece.
        kept_bytes: How much may be kept for the backward pass, which otherwise computes it again.

    Returns:
        float32 [B, R, L]; 0 where the word or the whole image is absent.
    """
    scale = torch.as_tensor(patch_scale, dtype=patches.dtype, device=patches.device)
    args = (patches, patch_mask, words, word_mask, scale, elements, kept_bytes)
    with torch.autocast(patches.device.type, enabled=False):
        cosines: Tensor = _WordCosines.apply(*args)  # type: ignore[no-untyped-call]
    return cosines


class _Reports(NamedTuple):
    """Reports of like length, padded to the longest; C = r * L columns, one per word or padding.

    Attributes:
        rows: LongTensor [r], which reports.
        length: L.
        words: [C, E].
        padding: LongTensor, the columns that are no word.
        norm: [C] lengths of the words.
    """

    rows: Tensor
    length: int
    words: Tensor
    padding: Tensor
    norm: Tensor

    def columns(self, values: Tensor) -> Tensor:
        """Values [B, R, L_max] of these reports as columns [B, C]."""
        return values[:, self.rows, : self.length].flatten(1)


def _groups(words: Tensor, word_mask: Tensor, columns: int) -> Iterator[_Reports]:
    """All reports with words, sorted by length, in groups of at most `columns` columns (or one report)."""
    lengths = word_mask.sum(1)
    order = lengths.argsort()
    order = order[lengths[order] > 0]
    sizes = lengths[order].tolist()
    begin = 0
    while begin < len(sizes):
        end = begin + 1
        while end < len(sizes) and (end + 1 - begin) * sizes[end] <= columns:
            end += 1
        rows, longest = order[begin:end], sizes[end - 1]
        mask = word_mask[rows, :longest].flatten()  # [r, L] -> [C]
        w = words[rows, :longest].flatten(0, 1) * mask[:, None]  # [r, L, E] -> [C, E]
        padding = (~mask).nonzero()[:, 0]
        yield _Reports(rows, longest, w, padding, w.norm(dim=-1).clamp_(min=_TINY))
        begin = end


class _Weights(NamedTuple):
    """What both passes make of one image and a group of reports.

    Attributes:
        u: [K, C] dot products.
        a: [K, r, L] softmax of u over each report's words.
        e: [K, C] exp(scale * a), up to a factor per column.
        h: [K, C] Gram matrix times e.
        square: [C] e.h, the squared length of the context.
    """

    u: Tensor
    a: Tensor
    e: Tensor
    h: Tensor
    square: Tensor


def _bytes(weights: int) -> int:
    """What `_Weights` of so many pairs of a patch and a word take: four float32 numbers each."""
    return 4 * 4 * weights


def _weigh(p: Tensor, gram: Tensor, reports: _Reports, scale: float) -> _Weights:
    """Attention of a group's words over patches p [K, E]."""
    u = p @ reports.words.T
    if len(reports.padding):
        u.index_fill_(1, reports.padding, _NEVER)
    a = u.view(len(p), -1, reports.length).softmax(-1)  # [K, C] -> [K, r, L]
    flat = a.view(u.shape)
    shift = (
        -scale / 2 if scale <= _MILD else -scale * flat.amax(0)
    )  # so that squares neither vanish nor burst
    e = torch.add(torch.as_tensor(shift), flat, alpha=scale).exp_()
    h = gram @ e
    return _Weights(u, a, e, h, (e * h).sum(0).clamp_(min=_TINY))


class _WordCosines(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        patches: Tensor,
        patch_mask: Tensor,
        words: Tensor,
        word_mask: Tensor,
        scale: Tensor,
        elements: int,
        kept_bytes: int,
    ) -> Tensor:
        cosines = patches.new_zeros(len(patches), *word_mask.shape)
        groups = list(_groups(words, word_mask, elements // max(1, int(patch_mask.sum(1).amax()))))
        columns = sum(len(reports.words) for reports in groups)
        keeps = _bytes(int(patch_mask.sum()) * columns) <= kept_bytes
        keeps &= any(ctx.needs_input_grad)
        ctx.kept = {} if keeps else None
        for image, mask in enumerate(patch_mask):
            p = patches[image][mask]  # [K, E]
            gram = p @ p.T
            for number, reports in enumerate(groups if len(p) else ()):
                x = _weigh(p, gram, reports, scale.item())
                if keeps:
                    ctx.kept[image, number] = x
                value = (x.e * x.u).sum(0) / x.square.sqrt() / reports.norm  # [C]
                cosines[image, reports.rows, : reports.length] = value.view(-1, reports.length)
        cosines.masked_fill_(~word_mask, 0.0)
        ctx.save_for_backward(patches, patch_mask, words, word_mask, scale, cosines)
        ctx.groups = groups
        return cosines

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        patches, patch_mask, words, word_mask, scale, cosines = ctx.saved_tensors
        grad = grad.masked_fill(~word_mask, 0.0)
        d_patches, d_words, d_scale = (
            torch.zeros_like(patches),
            torch.zeros_like(words),
            torch.zeros_like(scale),
        )
        groups = [
            (reports, torch.zeros_like(reports.words), reports.columns(grad), reports.columns(cosines))
            for reports in ctx.groups
        ]
        for image, mask in enumerate(patch_mask):
            p = patches[image][mask]  # [K, E]
            gram, d_p = p @ p.T, torch.zeros_like(p)
            d_gram = torch.zeros_like(gram)
            for number, (reports, d_w, g, r) in enumerate(groups if len(p) else ()):
                x = _weigh(p, gram, reports, scale.item()) if ctx.kept is None else ctx.kept[image, number]
                alpha = g[image] / (x.square.sqrt() * reports.norm)  # [C]
                beta = r[image] * g[image] / x.square  # [C]
                d_a = (x.u * (scale * alpha)).addcmul_(x.h, scale * beta, value=-1).mul_(x.e).view(x.a.shape)
                d_scale += torch.dot(d_a.flatten(), x.a.flatten()) / scale
                d_u = torch._softmax_backward_data(d_a, x.a, -1, d_a.dtype).view(x.u.shape)
                d_u.addcmul_(x.e, alpha)
                d_gram.addmm_(x.e * beta, x.e.T)
                d_p.addmm_(d_u, reports.words)
                d_w.addmm_(d_u.T, p)
            d_patches[image, mask] = d_p.addmm_(d_gram, p, alpha=-1)
        for reports, d_w, _, _ in groups:
            d_words[reports.rows, : reports.length] = d_w.view(len(reports.rows), reports.length, -1)
        # A cosine falls as its word grows: d cosine / d w = -cosine * w / |w|^2, beside what came by u.
        own = (cosines * grad).sum(0) / words.square().sum(-1).clamp(min=_TINY)
        return d_patches, None, d_words - words * own[..., None], None, d_scale, None, None
