"""GLoRIA: whole image against whole text, and every word against the patches it attends to.

    image ─ vision tower ─┬ CLS ──── Linear ─┐ global: InfoNCE of 10 * cosine
                          └ patches ─ Linear ┼─────────────────────────────────────────────┐
    one sentence ─ text tower ─┬ CLS ─ Linear┘                                             │
                               └ words (their pieces summed) ─ Linear ─ attend over patches ┴ local: InfoNCE

The three temperatures are fixed: 4 over patches, 5 over words, 10 of the logits. The published towers are a
ResNet-50, whose patches come from its third stage, and the sum of BioClinicalBERT's last four layers. Here
both towers are read at their end; recipe `gloria` has a ViT, `gloria-resnet50` the CNN.

References: Huang et al., "GLoRIA: A Multimodal Global-Local Representation Learning Framework for
    Label-efficient Medical Image Recognition", ICCV 2021, equations 1 to 9.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from radalign.data.batches import Embeddings, StudyBatch, TextBatch
from radalign.objectives.contrastive import global_contrastive
from radalign.objectives.local import LocalScales, local_contrastive
from radalign.systems.base import Settings
from radalign.systems.read_texts import ReadTexts, grouped_sum, need_read, words_of
from radalign.systems.recipe import Recipe
from radalign.systems.two_towers import TwoTowers, TwoTowerSettings


class GLoRIASettings(TwoTowerSettings):
    """GLoRIA's `[model]` section."""

    patch_scale: float = Field(4.0, gt=0, description="Scale of the attention over patches, fixed.")
    word_scale: float = Field(5.0, gt=0, description="Scale of a word's cosine, fixed.")
    logit_scale: float = Field(10.0, gt=0, description="Scale of both objectives' logits, fixed.")


class GLoRIA(TwoTowers):
    """GLoRIA over any ViT-like or ResNet vision and BERT-like text backbone."""

    Settings: ClassVar[type[Settings]] = GLoRIASettings
    objective_names = ("global_contrastive", "local_contrastive")
    has_local = True
    settings: GLoRIASettings

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self.log_scale.requires_grad_(False)
        with torch.no_grad():
            self.log_scale.fill_(math.log(self.settings.logit_scale))

    def tokenize(self, texts: Sequence[str]) -> TextBatch:
        """Token ids, and which word each token is a piece of."""
        tokens = super().tokenize(texts)
        rows = [words_of(self.tokenizer.pieces(text)) for text in texts]
        return ReadTexts.of(tokens, group_rows=rows)

    @property
    def local_scales(self) -> LocalScales:
        """Fixed ones, as published."""
        s = self.settings
        return LocalScales(s.patch_scale, s.word_scale, s.logit_scale)

    def parts(self, tokens: Tensor, texts: TextBatch) -> tuple[Tensor, Tensor]:
        """Words: the sum of their pieces, [B, W, D]."""
        return grouped_sum(tokens, need_read(texts).groups)

    def terms(self, image: Embeddings, text: Embeddings, batch: StudyBatch) -> dict[str, Tensor]:
        """Both objectives; each is the mean of its two directions."""
        terms = {}
        if self.weight("global_contrastive"):
            terms["global_contrastive"] = global_contrastive(
                image.global_, text.global_, self.log_scale, batch.same
            )
        if self.weight("local_contrastive"):
            sides = (image.local, image.mask, text.local, text.mask)
            terms["local_contrastive"] = local_contrastive(*sides, self.local_scales, batch.same)  # type: ignore[arg-type]
        return terms
