"""Interaction of two frozen towers: USEformer makes queries, orthogonal cross-attention adapters apply them.

    vision tokens ─┐
                   ├─ USEformer (one set of weights for all levels) ─ queries z ─┬─ OCA of the vision level ─
                   new part only
    text tokens  ──┘                                                             └─ OCA of the text level   ─
    new part only

References: NEARL-CLIP, arXiv:2508.04101. No code was published; the sizes reproduce its 1.46M and "442k per
modality".
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from radalign.nn.orthogonal import split_update, squared_cosine

Orthogonality = Literal["hard", "soft", "both", "none"]


class USEformer(nn.Module):
    """Cross-modality queries that read both towers, level after level.

    At level k: `q = z + e_k`; `q <- q + W_o Attn(W_q LN q, W_k LN[P_v V; P_t T], W_v LN[...])`;
    `z = q + W_2 GELU(W_1 LN q)`. No biases unless asked for.

    Args:
        vision_width: Width of the vision tokens.
        text_width: Width of the text tokens.
        levels: How many levels have an embedding e_k; 0 for none.
        width: Width of the queries.
        queries: M.
        inner: Width of the attention.
        heads: Attention heads.
        hidden: Width of the feed-forward layer.
        bias: Whether the linear layers have biases.
        reads: Whether `forward` is used; if not, only the queries train, as learned constants.

    >>> sum(p.numel() for p in USEformer(768, 512, 12).parameters())
    579072
    """

    def __init__(
        self,
        vision_width: int,
        text_width: int,
        levels: int,
        width: int = 256,
        queries: int = 4,
        inner: int = 192,
        heads: int = 6,
        hidden: int = 96,
        bias: bool = False,
        reads: bool = True,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.from_vision = nn.Linear(vision_width, width, bias=bias)
        self.from_text = nn.Linear(text_width, width, bias=bias)
        self.to_query, self.to_key, self.to_value = (nn.Linear(width, inner, bias=bias) for _ in range(3))
        self.out = nn.Linear(inner, width, bias=bias)
        self.up, self.down = nn.Linear(width, hidden, bias=bias), nn.Linear(hidden, width, bias=bias)
        self.query_norm, self.token_norm, self.mlp_norm = (nn.LayerNorm(width) for _ in range(3))
        self.queries = nn.Parameter(torch.randn(queries, width) * 0.02)
        self.level = nn.Parameter(torch.zeros(levels, width)) if levels else None
        self.requires_grad_(reads)
        self.queries.requires_grad_(True)

    def start(self, count: int) -> Tensor:
        """z^0 for `count` sequences: [count, M, S]."""
        return self.queries.expand(count, -1, -1)

    def forward(
        self, z: Tensor, level: int, vision: Tensor, text: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """One level.

        Args:
            z: [N, M, S] queries of the level below.
            level: k, from 0.
            vision: [N, A, D_v] vision tokens.
            text: [N, C, D_t] text tokens.
            mask: bool [N, A + C], True = a real token; None takes all.

        Returns:
            [N, M, S].
        """
        q = z if self.level is None else z + self.level[level]
        both = self.token_norm(
            torch.cat([self.from_vision(vision), self.from_text(text)], 1)
        )  # [N, A + C, S]
        query, key, value = (
            _heads(m, self.heads)
            for m in (self.to_query(self.query_norm(q)), self.to_key(both), self.to_value(both))
        )
        keys = None if mask is None else mask[:, None, None]  # [N, 1, 1, A + C]
        read = F.scaled_dot_product_attention(query, key, value, keys)  # [N, H, M, d]
        q = q + self.out(read.transpose(1, 2).flatten(2))  # [N, M, H * d]
        mixed: Tensor = q + self.down(F.gelu(self.up(self.mlp_norm(q))))
        return mixed


class OrthogonalCrossAttention(nn.Module):
    """A low-rank cross-attention whose update keeps only what is new to each token.

    `Delta = softmax(LN f W_q (z W_k)^T / sqrt(r)) z W_v W_o` is split into the part parallel to f
    (incremental) and the rest (novel): `f' = f + scale * novel + alpha * incremental`. `W_o` starts at zero,
    so the start is the frozen tower.

    Args:
        width: d of the tower.
        rank: r.
        query_width: S of the queries.
        scale: s, the weight of the novel part.
        alpha: Weight of the incremental part; 0 is the hard projection, 1 does not decouple.
        affine: The norm has weights and the output a bias (which starts at zero).
        detach: No gradient reaches the features through the projection.

    >>> 12 * sum(p.numel() for p in OrthogonalCrossAttention(768, 18).parameters())
    442368
    """

    def __init__(
        self,
        width: int,
        rank: int,
        query_width: int = 256,
        scale: float = 1.0,
        alpha: float = 0.0,
        affine: bool = False,
        detach: bool = True,
    ) -> None:
        super().__init__()
        self.scale, self.alpha, self.rank, self.detach = scale, alpha, rank, detach
        self.norm = nn.LayerNorm(width, elementwise_affine=affine)
        self.to_query = nn.Linear(width, rank, bias=False)
        self.to_key = nn.Linear(query_width, rank, bias=False)
        self.to_value = nn.Linear(query_width, rank, bias=False)
        self.out = nn.Linear(rank, width, bias=affine)
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)

    def forward(self, f: Tensor, z: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Update the tokens of a level.

        Args:
            f: [N, A, d] features.
            z: [N, M, S] queries.
            mask: bool [N, A], the tokens to update; None takes all.

        Returns:
            (updated features [N, A, d], sum and count of cos^2 of update and feature [2]).
        """
        update = self.update(f, z)
        parallel, novel = split_update(update, f, detach=self.detach)
        step = self.scale * novel + self.alpha * parallel
        if mask is not None:
            step = step * mask[..., None]
        return f + step.to(f.dtype), squared_cosine(update, f, mask)

    def update(self, f: Tensor, z: Tensor) -> Tensor:
        """Delta, before it is split: [N, A, d], float32."""
        query = self.to_query(self.norm(f))  # [N, A, r]
        attention = (query @ self.to_key(z).transpose(1, 2) * self.rank**-0.5).softmax(-1)  # [N, A, M]
        update: Tensor = self.out(attention @ self.to_value(z)).float()
        return update


def _heads(x: Tensor, heads: int) -> Tensor:
    """[N, A, H * d] -> [N, H, A, d]."""
    n, a, width = x.shape
    return x.view(n, a, heads, width // heads).transpose(1, 2)
