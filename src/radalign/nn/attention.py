"""Self-attention within packed sequences.

Two ways give the same numbers. `torch.nn.functional.scaled_dot_product_attention` is used wherever it is
quick. Its backward on a CPU is not: in bfloat16 it takes about eight times as long as three matrix products,
and with dropout it leaves its quick path. So a CPU that trains multiplies the matrices itself, those of long
sequences some at a time (`attention_pieces.py`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from radalign.nn.attention_pieces import attend_in_pieces
from radalign.nn.dropout import dropout as drop
from radalign.nn.packing import Bucket, Layout, pack_rows, unpack_rows

_LONGEST_FLOAT32 = 128
_LONGEST_WHOLE = 200  # longer ones go in pieces, which is slower below and far smaller above


def attend(qkv: Tensor, layout: Layout, heads: int, causal: bool = False, dropout: float = 0.0) -> Tensor:
    """Self-attention within each sequence of packed rows.

    Args:
        qkv: float [T, 3 * D], query, key and value side by side.
        layout: How the rows divide into sequences.
        heads: H; each head is D / H wide.
        causal: Whether a token sees only itself and earlier ones.
        dropout: The probability of dropping an attention weight.

    Returns:
        float [T, D], the heads side by side, before the output projection.

    References:
        Vaswani et al., "Attention Is All You Need", NeurIPS 2017, equation 1.

    >>> attend(torch.ones(2, 3), Layout.even(1, 2), heads=1).tolist()
    [[1.0], [1.0]]
    """
    if not layout.buckets:
        return qkv[:, : qkv.shape[1] // 3]
    parts = torch.split(qkv, [bucket.rows for bucket in layout.buckets])
    outs = [
        _attend_bucket(part, bucket, heads, causal, dropout)
        for part, bucket in zip(parts, layout.buckets, strict=True)
    ]
    return outs[0] if len(outs) == 1 else torch.cat(outs)


def _attend_bucket(qkv: Tensor, bucket: Bucket, heads: int, causal: bool, dropout: float) -> Tensor:
    """Attention of neighbouring sequences [rows, 3 * D] -> [rows, D], padded if lengths differ."""
    count, length = len(bucket.lengths), max(bucket.lengths)
    mask = torch.ones(length, length, dtype=torch.bool, device=qkv.device).tril() if causal else None
    if bucket.is_even:
        return _attend_even(qkv, count, heads, mask, dropout)
    layout = bucket.padded(qkv.device)
    present = layout.mask[:, None, None, :]  # [n, L] -> [n, 1, 1, L]
    mask = present if mask is None else present & mask
    padded = unpack_rows(qkv, layout).flatten(0, 1)  # [n, L, 3 * D] -> [n * L, 3 * D]
    out = _attend_even(padded, count, heads, mask, dropout)
    return pack_rows(out.view(count, length, -1), layout)  # [n * L, D] -> [n, L, D] -> [rows, D]


def _attend_even(qkv: Tensor, count: int, heads: int, mask: Tensor | None, dropout: float) -> Tensor:
    """Attention of `count` sequences of one length: [count * L, 3 * D] -> [count * L, D]."""
    rows, width = qkv.shape[0], qkv.shape[1] // 3
    by_products = _by_products(qkv, rows // count)
    if by_products and mask is None and not dropout and rows // count > _LONGEST_WHOLE:
        return attend_in_pieces(qkv, count, heads)
    split = qkv.view(count, rows // count, 3, heads, width // heads)  # [n * L, 3 * D] -> [n, L, 3, H, d]
    split = split.permute(2, 0, 3, 1, 4)  # -> [3, n, H, L, d]
    if by_products:
        out = _products(split, mask, dropout)
    else:
        out = F.scaled_dot_product_attention(split[0], split[1], split[2], mask, dropout)
    return out.transpose(1, 2).reshape(rows, width)  # [n, H, L, d] -> [n * L, D]


def _by_products(qkv: Tensor, length: int) -> bool:
    """Whether plain matrix products are the quicker way here."""
    trains = qkv.device.type == "cpu" and qkv.requires_grad and torch.is_grad_enabled()
    return trains and (length <= _LONGEST_FLOAT32 or qkv.dtype != torch.float32)


def _products(split: Tensor, mask: Tensor | None, dropout: float) -> Tensor:
    """Attention as two batched products and a softmax: [3, n, H, L, d] -> [n, H, L, d]."""
    _, count, heads, length, depth = split.shape
    query, key, value = split.reshape(3, count * heads, length, depth).unbind()
    nothing = query.new_zeros(())
    scores = torch.baddbmm(nothing, query, key.transpose(1, 2), beta=0, alpha=depth**-0.5)  # [n * H, L, L]
    if mask is not None:
        scores = scores.view(count, heads, length, length).masked_fill(~mask, float("-inf")).flatten(0, 1)
    weights = drop(scores.softmax(-1), dropout)
    return torch.bmm(weights, value).view(count, heads, length, depth)
