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

from radalign.nn.attention import attend
from radalign.nn.dropout import dropout
from radalign.nn.linear import Linear, autocast_dtype
from radalign.nn.packing import Layout, Packed

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
        probability = config.attention_dropout if self.training else 0.0
        heads = attend(self.qkv(x), layout, config.heads, config.causal, probability)
        return self._drop(self.out(heads, self.scale1))

    def _mlp(self, x: Tensor) -> Tensor:
        return self._drop(self.down(activate(self.up(x), self.config.activation), self.scale2))

    def _drop(self, branch: Tensor) -> Tensor:
        return dropout(branch, self.config.dropout) if self.training else branch


class Transformer(nn.Module):
    """A stack of blocks over packed tokens; embeddings and the final norm belong to the encoder."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))

    def forward(self, packed: Packed) -> Packed:
        """Run every block on tokens [T, D]."""
        dtype = autocast_dtype(packed.tokens.device)
        tokens = packed.tokens if dtype is None else packed.tokens.to(dtype)
        for block in self.blocks:
            tokens = block(tokens, packed.layout)
        return packed.replace(tokens)
