"""Text transformers: BERT and CLIP's text tower, over real tokens only.

Padding is dropped before the embeddings and put back, as zeros, after the last norm.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from radalign.nn.dropout import dropout
from radalign.nn.linear import Linear
from radalign.nn.packing import Layout, Packed
from radalign.nn.transformer import Transformer, TransformerConfig


@dataclass(frozen=True)
class TextConfig:
    """The sizes and habits of a text encoder.

    Attributes:
        transformer: The blocks; post-LN blocks are BERT's, pre-LN causal blocks are CLIP's.
        vocabulary: The number of token ids.
        max_tokens: The longest text, in tokens.
        projection: The width of the published joint space, or 0 for none (CLIP).
        projection_hidden: The hidden width of a two-layer projection, or 0 for a linear one (BiomedCLIP).
        segments: BERT's kinds of segment, 0 for none (CLIP). A report is one segment: the first.
    """

    transformer: TransformerConfig
    vocabulary: int
    max_tokens: int
    projection: int = 0
    projection_hidden: int = field(default=0, repr=False)  # the tensors' shapes tell it to a fingerprint
    segments: int = field(default=0, repr=False)  # a fingerprint counts the first in with the positions


class TextEncoder(nn.Module):
    """A text transformer over packed tokens.

    Attributes:
        width: D.
        max_tokens: The longest text, in tokens.
        depth: The number of blocks.
        name: What the encoder is called.
        identity: The name and the SHA-256 of the published weights; empty until weights are loaded.
        embedding_adapter: `f(tokens [T, D]) -> [T, D]` after the embeddings; None costs nothing.
        projection: The published map into a joint space, for CLIP's last token or BiomedCLIP's CLS; or None.
    """

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        blocks = config.transformer
        self.width, self.max_tokens, self.depth = blocks.width, config.max_tokens, blocks.depth
        self.name = self.identity = ""
        self.word = nn.Embedding(config.vocabulary, self.width)
        self.position = nn.Embedding(config.max_tokens, self.width)
        self.segment = nn.Parameter(torch.zeros(config.segments, self.width)) if config.segments else None
        self.first_norm = nn.LayerNorm(self.width, blocks.norm_eps) if blocks.norm == "post" else None
        self.embedding_adapter: nn.Module | None = None
        self.transformer = Transformer(blocks)
        self.norm = nn.LayerNorm(self.width, blocks.norm_eps) if blocks.norm == "pre" else None
        self.projection = _projection(config)
        nn.init.normal_(self.word.weight, std=0.02)
        nn.init.normal_(self.position.weight, std=0.02)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, extra: Tensor | None = None) -> Tensor:
        """Encode texts.

        Args:
            input_ids: LongTensor [B, L].
            attention_mask: bool [B, L], True = a real token; holes are allowed.
            extra: float [B, D] or [B, L, D], added after the embeddings' norm (an image's feature).

        Returns:
            float [B, L, D] after the last norm; zero at padding.

        Raises:
            ValueError: L is more than `max_tokens`.
        """
        return self.finish(self.transformer(self.embed(input_ids, attention_mask, extra)))

    def embed(self, input_ids: Tensor, attention_mask: Tensor, extra: Tensor | None = None) -> Packed:
        """Everything before the first block: tokens [T, D]. Arguments as in `forward`."""
        if input_ids.shape[1] > self.max_tokens:
            raise ValueError(
                f"A text has {input_ids.shape[1]} tokens but the limit is {self.max_tokens}; truncate it."
            )
        layout = Layout.of_mask(attention_mask.bool())
        tokens = self.word(input_ids.flatten()[layout.gather])  # [T, D]
        tokens = tokens + nn.functional.embedding(layout.position, self.places())
        if self.first_norm is not None:
            tokens = self.first_norm(tokens)
            tokens = dropout(tokens, self.config.transformer.dropout) if self.training else tokens
        if extra is not None:
            flat = extra[layout.sequence] if extra.dim() == 2 else extra.flatten(0, 1)[layout.gather]
            tokens = tokens + flat.to(tokens.dtype)  # [T, D]
        return Packed(tokens if self.embedding_adapter is None else self.embedding_adapter(tokens), layout)

    def places(self) -> Tensor:
        """What a token's column adds to it: its position and the first segment, [max_tokens, D]."""
        table = self.position.weight
        return table if self.segment is None else table + self.segment[0]

    def finish(self, packed: Packed) -> Tensor:
        """The last norm of tokens [T, D] -> [B, L, D]."""
        return (packed if self.norm is None else packed.replace(self.norm(packed.tokens))).unpack()


def _projection(config: TextConfig) -> nn.Module | None:
    """The map into the joint space, without biases: one layer or two."""
    width, hidden = config.transformer.width, config.projection_hidden
    if not config.projection:
        return None
    if not hidden:
        return Linear(width, config.projection, False)
    return nn.Sequential(Linear(width, hidden, False), nn.GELU(), Linear(hidden, config.projection, False))


def last_tokens(tokens: Tensor, attention_mask: Tensor) -> Tensor:
    """The last real token of each text, where CLIP reads its sentence: [B, L, D] -> [B, D].

    >>> last_tokens(torch.tensor([[[1.0], [2.0], [0.0]]]), torch.tensor([[True, True, False]])).tolist()
    [[2.0]]
    """
    place = torch.arange(tokens.shape[1], device=tokens.device)
    last = torch.where(attention_mask.bool(), place, 0).amax(1)
    return tokens[torch.arange(len(tokens), device=tokens.device), last]
