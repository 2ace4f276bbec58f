"""Attention of long sequences on a training CPU, some sequences at a time.

The attention weights of a batch, [n, H, L, L], do not fit into a processor's cache, and keeping them for the
backward pass takes more memory than everything else. So both passes go piece by piece, and the backward pass
computes the weights again from queries and keys.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

PIECE_BYTES = 3 * 2**20


def attend_in_pieces(qkv: Tensor, count: int, heads: int, piece: int = 0) -> Tensor:
    """Self-attention of `count` sequences of one length, without mask or dropout.

    Args:
        qkv: float [n * L, 3 * D], query, key and value side by side.
        count: n.
        heads: H; each head is D / H wide.
        piece: Sequences at a time; 0 = as many as keep their weights within `PIECE_BYTES`.

    Returns:
        float [n * L, D], equal to the whole batch at once.

    References:
        Rabe and Staats, "Self-attention does not need O(n^2) memory", arXiv:2112.05682.

    >>> attend_in_pieces(torch.ones(4, 3), count=2, heads=1).tolist()
    [[1.0], [1.0], [1.0], [1.0]]
    """
    length = qkv.shape[0] // count
    fits = PIECE_BYTES // (heads * length * length * qkv.element_size())
    out: Tensor = _Pieces.apply(qkv, count, heads, piece or max(1, fits))  # type: ignore[no-untyped-call]
    return out


class _Pieces(torch.autograd.Function):
    """Both passes; what is kept between them is `qkv` alone."""

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, count: int, heads: int, piece: int) -> Tensor:
        ctx.save_for_backward(qkv)
        ctx.sizes = (count, heads, piece)
        split = _split(qkv, count, 3, heads)  # [3, n, H, L, d]
        out = qkv.new_empty(qkv.shape[0], qkv.shape[1] // 3)
        target = _split(out, count, 1, heads)[0]  # [n, H, L, d], a view of `out`
        for start in range(0, count, piece):
            query, key, value = _matrices(split[:, start : start + piece])
            part = torch.bmm(_weights(query, key), value)  # [m * H, L, d]
            target[start : start + piece] = part.view(-1, heads, *part.shape[1:])  # -> [m, H, L, d]
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        (qkv,) = ctx.saved_tensors
        count, heads, piece = ctx.sizes
        split = _split(qkv, count, 3, heads)  # [3, n, H, L, d]
        given = _split(grads[0].contiguous(), count, 1, heads)  # [1, n, H, L, d]
        out = torch.empty_like(qkv)
        target = _split(out, count, 3, heads)  # a view of `out`
        for start in range(0, count, piece):
            rows = slice(start, start + piece)
            (grad,) = _matrices(given[:, rows])
            query, key, value = _matrices(split[:, rows])
            part = torch.stack(_backward(query, key, value, grad))  # [3, m * H, L, d]
            target[:, rows] = part.view(3, -1, heads, *part.shape[2:])  # -> [3, m, H, L, d]
        return out, None, None, None


def _split(packed: Tensor, count: int, parts: int, heads: int) -> Tensor:
    """View rows as heads: [n * L, parts * H * d] -> [parts, n, H, L, d]."""
    return packed.view(count, packed.shape[0] // count, parts, heads, -1).permute(2, 0, 3, 1, 4)


def _matrices(split: Tensor) -> tuple[Tensor, ...]:
    """One contiguous batch of matrices per part: [parts, m, H, L, d] -> parts of [m * H, L, d]."""
    return split.flatten(1, 2).unbind()


def _weights(query: Tensor, key: Tensor) -> Tensor:
    """Softmax of the scaled products: [m * H, L, L]."""
    nothing = query.new_zeros(())
    scores = torch.baddbmm(nothing, query, key.transpose(1, 2), beta=0, alpha=query.shape[-1] ** -0.5)
    return scores.softmax(-1)


def _backward(query: Tensor, key: Tensor, value: Tensor, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of query, key and value, [m * H, L, d] each.

    With P the weights and G the gradient: dV = P'G, dP = GV', dS = P * (dP - rowsum(dP * P)), dQ = s dS K,
    dK = s dS'Q.
    """
    weights, scale, nothing = _weights(query, key), query.shape[-1] ** -0.5, query.new_zeros(())
    d_value = torch.bmm(weights.transpose(1, 2), grad)
    d_weights = torch.bmm(grad, value.transpose(1, 2))
    d_scores = torch._softmax_backward_data(d_weights, weights, -1, weights.dtype)
    d_query = torch.baddbmm(nothing, d_scores, key, beta=0, alpha=scale)
    d_key = torch.baddbmm(nothing, d_scores.transpose(1, 2), query, beta=0, alpha=scale)
    return d_query, d_key, d_value
