"""Heads: from an encoder's width to the joint space."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from radalign.nn.linear import Linear


class ProjectionHead(nn.Module):
    """CXR-BERT's projection: Linear, GELU, LayerNorm, Linear; [..., d_in] -> [..., d_out].

    >>> sum(p.numel() for p in ProjectionHead(768, 128).parameters())
    115200
    """

    def __init__(self, d_in: int, d_out: int = 128) -> None:
        super().__init__()
        self.dense = Linear(d_in, d_out)
        self.norm = nn.LayerNorm(d_out, 1e-12)
        self.out = Linear(d_out, d_out)

    def forward(self, x: Tensor) -> Tensor:
        """Project x [..., d_in] -> [..., d_out], not normalised to unit length."""
        projected: Tensor = self.out(self.norm(nn.functional.gelu(self.dense(x))))
        return projected


class WordHead(nn.Module):
    """BERT's prediction head: Linear, GELU, LayerNorm, then the word embeddings themselves and a bias.

    >>> sum(p.numel() for p in WordHead(768, 30522).parameters())
    622650
    """

    def __init__(self, width: int, vocabulary: int) -> None:
        super().__init__()
        self.dense = Linear(width, width)
        self.norm = nn.LayerNorm(width, 1e-12)
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(self, x: Tensor, words: Tensor) -> Tensor:
        """Logits of every word: x [M, D], words [vocabulary, D] -> [M, vocabulary]."""
        hidden = self.norm(nn.functional.gelu(self.dense(x)))
        return nn.functional.linear(hidden, words.to(hidden.dtype), self.bias.to(hidden.dtype))
