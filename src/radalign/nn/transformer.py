"""One transformer for every encoder: pre-LN (ViT, DINOv2, CLIP) or post-LN (BERT), with adapter slots.

    pre-LN    m = attention(LN1 x);  x = x + A_attn(m)          post-LN   a = LN1(x + attention(x));  a =
    A_attn(a)
              n = LN2 x;  r = MLP(n)                                      r = MLP(a);  h = LN2(r + a)
              x = x + A_out(r, r) + A_par(n)                              x = LN2(A_out(h, r) + a) + A_par(a)

An empty slot costs nothing. Tokens come packed, [T, D], with a `Layout` (nn/packing.py); only attention
looks at it. A system may call `Transformer.forward`, or drive `Transformer.blocks` one by one and change the
tokens in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from radalign.nn.linear import Linear
from radalign.nn.packing import Bucket, Layout, Packed, take_rows

Activation = Literal["gelu", "quick_gelu", "relu"]


@dataclass(frozen=True)
class TransformerConfig:
    """The sizes and habits of a transformer.

    Attributes:
        width: D, the token width.
        depth: The number of blocks.
        heads: Attention heads; D must be a multiple.
        mlp_width: The hidden width of the MLP.
        norm: `pre` normalises a branch's input, `post` the sum after it.
        activation: The MLP's non-linearity; OpenAI's CLIP needs `quick_gelu`.
        causal: Whether a token sees only itself and earlier ones.
        layer_scale: Whether each branch is multiplied by a learned vector (DINOv2).
        norm_eps: The epsilon of every LayerNorm.
        qkv_bias: Whether query, key and value have biases.
        dropout: Dropout of each branch's output, in training.
        attention_dropout: Dropout of attention weights, in training.
    """

    width: int
    depth: int
    heads: int
    mlp_width: int
    norm: Literal["pre", "post"] = "pre"
    activation: Activation = "gelu"
    causal: bool = False
    layer_scale: bool = False
    norm_eps: float = 1e-6
    qkv_bias: bool = True
    dropout: float = 0.0
    attention_dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(
                f"A width of {self.width} does not divide into {self.heads} heads; choose other heads."
            )


def activate(x: Tensor, kind: Activation) -> Tensor:
    """Apply an activation elementwise.

    >>> activate(torch.tensor([-1.0, 2.0]), "relu").tolist()
    [0.0, 2.0]
    """
    if kind == "quick_gelu":
        return x * torch.sigmoid(1.702 * x)
    return F.gelu(x) if kind == "gelu" else F.relu(x)


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
    """
    if len(layout.buckets) == 1:
        return _attend_bucket(qkv, layout.buckets[0], heads, causal, dropout)
    if not layout.buckets:
        return qkv[:, : qkv.shape[1] // 3]
    parts = torch.split(qkv, [bucket.rows for bucket in layout.buckets])
    outs = [
        _attend_bucket(part, bucket, heads, causal, dropout)
        for part, bucket in zip(parts, layout.buckets, strict=True)
    ]
    return torch.cat(outs)


def _attend_bucket(qkv: Tensor, bucket: Bucket, heads: int, causal: bool, dropout: float) -> Tensor:
    """Attention of neighbouring sequences [rows, 3 * D] -> [rows, D], padded if lengths differ."""
    count = len(bucket.lengths)
    if bucket.is_even:
        return _attend_even(qkv, count, heads, None, causal, dropout)
    layout = bucket.padded
    gather, scatter = layout.gather.to(qkv.device), layout.scatter.to(qkv.device)
    mask = layout.mask.to(qkv.device)[:, None, None, :]  # [n, L] -> [n, 1, 1, L]
    if causal:
        mask = mask & torch.ones(layout.length, layout.length, dtype=torch.bool, device=qkv.device).tril()
    padded = take_rows(qkv, scatter, gather)
    return take_rows(_attend_even(padded, count, heads, mask, False, dropout), gather, scatter)


def _attend_even(
    qkv: Tensor, count: int, heads: int, mask: Tensor | None, causal: bool, dropout: float
) -> Tensor:
    """Attention of `count` sequences of one length: [count * L, 3 * D] -> [count * L, D]."""
    rows, width = qkv.shape[0], qkv.shape[1] // 3
    split = qkv.view(count, rows // count, 3, heads, width // heads)  # [n * L, 3 * D] -> [n, L, 3, H, d]
    query, key, value = split.permute(2, 0, 3, 1, 4)  # [n, L, 3, H, d] -> 3 of [n, H, L, d]
    out = F.scaled_dot_product_attention(query, key, value, mask, dropout, is_causal=causal)
    return out.transpose(1, 2).reshape(rows, width)  # [n, H, L, d] -> [n * L, D]


class Block(nn.Module):
    """One transformer layer with three adapter slots, each empty (None) until a system fills it.

    Attributes:
        attention_adapter: `f(out) -> out` on the attention branch (pre-LN) or on its normalised sum
            (post-LN).
        parallel_adapter: `f(n) -> delta` beside the MLP; added last.
        output_adapter: `f(h, r) -> r'` after the MLP; r is the MLP's output, h is r (pre-LN) or LN2(r + a)
            (post-LN).
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.width
        self.config = config
        self.norm1 = nn.LayerNorm(width, config.norm_eps)
        self.qkv = Linear(width, 3 * width, config.qkv_bias)
        self.out = Linear(width, width)
        self.norm2 = nn.LayerNorm(width, config.norm_eps)
        self.up = Linear(width, config.mlp_width)
        self.down = Linear(config.mlp_width, width)
        self.scale1 = nn.Parameter(torch.ones(width)) if config.layer_scale else None
        self.scale2 = nn.Parameter(torch.ones(width)) if config.layer_scale else None
        self.attention_adapter: nn.Module | None = None
        self.parallel_adapter: nn.Module | None = None
        self.output_adapter: nn.Module | None = None

    def forward(self, x: Tensor, layout: Layout) -> Tensor:
        """Transform packed tokens [T, D] -> [T, D]."""
        return self._pre(x, layout) if self.config.norm == "pre" else self._post(x, layout)

    def _pre(self, x: Tensor, layout: Layout) -> Tensor:
        branch = self._attention(self.norm1(x), layout)
        x = x + (self.attention_adapter(branch) if self.attention_adapter else branch)
        n = self.norm2(x)
        r = self._mlp(n)
        x = x + (self.output_adapter(r, r) if self.output_adapter else r)
        return x + self.parallel_adapter(n) if self.parallel_adapter else x

    def _post(self, x: Tensor, layout: Layout) -> Tensor:
        a = self.norm1(x + self._attention(x, layout))
        a = self.attention_adapter(a) if self.attention_adapter else a
        r = self._mlp(a)
        out: Tensor = self.norm2(r + a)
        if self.output_adapter:
            out = self.norm2(self.output_adapter(out, r) + a)
        return out + self.parallel_adapter(a) if self.parallel_adapter else out

    def _attention(self, x: Tensor, layout: Layout) -> Tensor:
        config = self.config
        dropout = config.attention_dropout if self.training else 0.0
        out: Tensor = self.out(attend(self.qkv(x), layout, config.heads, config.causal, dropout))
        return self._finish(out, self.scale1)

    def _mlp(self, x: Tensor) -> Tensor:
        return self._finish(self.down(activate(self.up(x), self.config.activation)), self.scale2)

    def _finish(self, branch: Tensor, scale: Tensor | None) -> Tensor:
        """LayerScale and dropout of a branch [T, D]."""
        branch = branch if scale is None else branch * scale
        return F.dropout(branch, self.config.dropout, self.training) if self.config.dropout else branch


class Transformer(nn.Module):
    """A stack of blocks over packed tokens; embeddings and the final norm belong to the encoder."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))

    def forward(self, packed: Packed) -> Packed:
        """Run every block on tokens [T, D]."""
        tokens = packed.tokens
        for block in self.blocks:
            tokens = block(tokens, packed.layout)
        return packed.replace(tokens)
