"""Questions about an image, answered by its patches: a decoder with cross-attention and nothing else.

    question [W] ── depth x ( + attention over patches ── + MLP ) ── norm ── answer [W]
                                   │
    patches [B, N, W] ─────────────┘  absent ones masked

Questions do not see each other, so an answer does not depend on what else is asked.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from radalign.nn.linear import Linear


class QueryLayer(nn.Module):
    """One layer: pre-LN cross-attention, then a pre-LN MLP, both residual.

    Args:
        width: W.
        heads: Attention heads.
        mlp_width: Hidden width of the MLP.
    """

    def __init__(self, width: int, heads: int, mlp_width: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"A width of {width} does not divide into {heads} heads; choose other heads.")
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key_value = Linear(width, width), Linear(width, 2 * width)
        self.out = Linear(width, width)
        self.up, self.down = Linear(width, mlp_width), Linear(mlp_width, width)

    def forward(self, asked: Tensor, patches: Tensor, mask: Tensor) -> Tensor:
        """Update questions [B, Q, W] from patches [B, N, W] under bool [B, N]."""
        asked = asked + self.out(self._attend(self.norm1(asked), patches, mask))
        hidden = F.gelu(self.up(self.norm2(asked)))
        updated: Tensor = asked + self.down(hidden)
        return updated

    def _attend(self, asked: Tensor, patches: Tensor, mask: Tensor) -> Tensor:
        query = self._by_head(self.query(asked))
        key, value = (self._by_head(half) for half in self.key_value(patches).chunk(2, -1))
        seen = F.scaled_dot_product_attention(query, key, value, mask[:, None, None, :])  # [B, H, Q, d]
        return seen.transpose(1, 2).flatten(2)  # [B, H, Q, d] -> [B, Q, W]

    def _by_head(self, rows: Tensor) -> Tensor:
        batch, count, width = rows.shape
        split = rows.view(batch, count, self.heads, width // self.heads)  # [B, N, W] -> [B, N, H, d]
        return split.transpose(1, 2)  # -> [B, H, N, d]


class QueryDecoder(nn.Module):
    """A stack of query layers over one memory.

    Args:
        width: W.
        depth: Layers.
        heads: Attention heads.

    References:
        Carion et al., "End-to-End Object Detection with Transformers", ECCV 2020, section 3.2, without the
        attention between queries; Wu et al., "MedKLIP", ICCV 2023.
    """

    def __init__(self, width: int, depth: int = 4, heads: int = 4) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList(QueryLayer(width, heads, 4 * width) for _ in range(depth))
        self.last_norm = nn.LayerNorm(width)

    def forward(self, questions: Tensor, patches: Tensor, mask: Tensor) -> Tensor:
        """Answer questions about images.

        Args:
            questions: [Q, W], the same for every image.
            patches: [B, N, W].
            mask: bool [B, N], True = present.

        Returns:
            [B, Q, W].
        """
        memory = self.norm(patches)
        asked = questions.expand(len(patches), -1, -1)  # [Q, W] -> [B, Q, W]
        for layer in self.layers:
            asked = layer(asked, memory, mask)
        answers: Tensor = self.last_norm(asked)
        return answers
