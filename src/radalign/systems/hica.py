"""HiCA-style hierarchical contrast: a study against its report, its sentences, and the findings they assert.

    report      CLS of the study ── against ── the whole report         own report is right
    sentences   patches ─────────── against ── every sentence           own sentences are right
    findings    CLS of the study ── against ── the whole report         right as far as the findings agree

This is a reading, not a reproduction: what is at hand says "hierarchical contrast" and no more. Taken as
given here: three levels from fine to coarse; sentences attend to patches as GLoRIA's words do, each being the
mean of its tokens; two reports agree as far as the sets of findings that they call present overlap (Jaccard,
`No Finding` being one), as read by `radalign.reports`. The coarse level keeps "no acute disease" of one
patient from being wrong for another; the fine level keeps one long report from being a single point.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from radalign.data.batches import Embeddings, StudyBatch, TextBatch
from radalign.objectives.contrastive import global_contrastive
from radalign.objectives.gather import gather
from radalign.objectives.local import LocalScales, local_contrastive
from radalign.reports.lexicon import default_lexicon
from radalign.systems.base import Settings
from radalign.systems.read_texts import ReadTexts, asserted_by, grouped_mean, need_read, sentences_of
from radalign.systems.recipe import Recipe
from radalign.systems.two_towers import LOG_SCALE_MOST, TwoTowers, TwoTowerSettings

FINDINGS = tuple(name for name in default_lexicon().names if name != "Disease")


class HiCASettings(TwoTowerSettings):
    """HiCA's `[model]` section."""

    findings: tuple[str, ...] = Field(FINDINGS, min_length=1, description="Findings whose sets are compared.")


class HiCA(TwoTowers):
    """Three levels of contrast over any ViT-like or ResNet vision and BERT-like text backbone."""

    Settings: ClassVar[type[Settings]] = HiCASettings
    objective_names = ("report_contrastive", "sentence_contrastive", "finding_contrastive")
    has_local = True
    settings: HiCASettings

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self.log_scale.requires_grad_(bool(self.weight("report_contrastive")))
        start = self.log_scale.detach()
        self.finding_log_scale = nn.Parameter(start.clone(), bool(self.weight("finding_contrastive")))
        has_sentences = bool(self.weight("sentence_contrastive"))
        self.local_log_scales = nn.Parameter(start.repeat(3), has_sentences)  # patch, sentence, logit
        self._free_local_heads(has_sentences)

    def tokenize(self, texts: Sequence[str]) -> TextBatch:
        """Token ids, the sentence that each token is part of, and what the texts assert."""
        tokens = super().tokenize(texts)
        rows = [sentences_of(self.tokenizer.pieces(text)) for text in texts]
        return ReadTexts.of(tokens, rows, asserted_by(texts, self.settings.findings))

    def parts(self, tokens: Tensor, texts: TextBatch) -> tuple[Tensor, Tensor]:
        """Sentences: the mean of their tokens, [B, S, D]."""
        return grouped_mean(tokens, need_read(texts).groups)

    @property
    def local_scales(self) -> LocalScales:
        """The learned ones."""
        return LocalScales(*self.local_log_scales.exp())

    def terms(self, image: Embeddings, text: Embeddings, batch: StudyBatch) -> dict[str, Tensor]:
        """One loss per level."""
        z, terms = (image.global_, text.global_), {}
        if self.weight("report_contrastive"):
            terms["report_contrastive"] = global_contrastive(*z, self.log_scale, batch.same)
        if self.weight("sentence_contrastive"):
            sides = (image.local, image.mask, text.local, text.mask)
            found = local_contrastive(*sides, self.local_scales, batch.same, "mean")  # type: ignore[arg-type]
            terms["sentence_contrastive"] = found
        if self.weight("finding_contrastive"):
            same = agreement_of_findings(gather(need_read(batch.texts).asserted))
            terms["finding_contrastive"] = global_contrastive(*z, self.finding_log_scale, same)
        return terms

    def after_step(self) -> None:
        """Keep every scale between 1 and 100."""
        super().after_step()
        with torch.no_grad():
            self.finding_log_scale.clamp_(0, LOG_SCALE_MOST)
            self.local_log_scales.clamp_(0, LOG_SCALE_MOST)


def agreement_of_findings(asserted: Tensor) -> Tensor:
    """How far the findings that reports call present overlap: int8 [B, C] -> float [B, B], diagonal 1.

    >>> agreement_of_findings(torch.tensor([[1, 0], [1, 1], [0, 0]])).tolist()
    [[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    present = (asserted == 1).float()
    both = present @ present.T  # [B, B]
    size = present.sum(1)
    overlap = both / (size[:, None] + size - both).clamp(min=1)
    return overlap.fill_diagonal_(1.0)
