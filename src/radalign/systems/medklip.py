"""MedKLIP's shape: findings are questions to the patches, reports are lists of assertions.

    "pleural effusion", ... ── frozen text tower ── Linear ── questions [C, W] ┐
                                                                               decoder ── absent | present
    views ── vision tower (trained) ── patches ── Linear ── [B, N, W] ─────────┘   margin = present - absent
    report ── what it asserts: present, absent, unsure, not said ── targets

There is no joint space in the paper; here one follows from the answers. A study is its margins, each measured
against what that finding's margin usually is; a text is what it asserts, each against how often that is so.
"There is an effusion" then is the axis of effusion, and a study's cosine to it is the decoder's margin as a
share of all its margins: of two studies the one with less else to say may come first. `logits` has the
margins alone (`radalign evaluate --own-classes`). The decoder can be asked about any other words, too:
`existence`.

What is this project's reading: assertions come from `radalign.reports` (the paper: RadGraph entities and 51
positions), so there is no position loss; questions do not see each other; what a report does not mention
counts as absent unless `silence = "ignore"`; the image tower of recipe `medklip` is a ViT, that of
`medklip-resnet50` the paper's ResNet-50, read at its last stage.

References: Wu et al., "MedKLIP: Medical Knowledge Enhanced Language-Image Pre-training for X-ray Diagnosis",
    ICCV 2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from radalign.data.batches import Embeddings, ImageBatch, StudyBatch, TextBatch
from radalign.nn.fusion import spread_over_slots
from radalign.nn.linear import Linear
from radalign.nn.query_decoder import QueryDecoder
from radalign.objectives.gather import gather, mean_of_all
from radalign.reports.lexicon import default_lexicon
from radalign.systems.base import Settings
from radalign.systems.classifier import Decider
from radalign.systems.read_texts import NOT_SAID, ReadTexts, asserted_by, need_read
from radalign.systems.recipe import Recipe
from radalign.systems.two_towers import pool, unfreeze

ENTITIES = tuple(name for name in default_lexicon().names if name != "Disease")
IGNORED = -100


class MedKLIPSettings(Settings):
    """The `[model]` section of a query decoder."""

    entities: tuple[str, ...] = Field(
        ENTITIES, min_length=1, description="Findings asked about, as the report reader names them."
    )
    question: str = Field("{}", description="How a finding is put to the text tower; {} is its name.")
    text_pool: Literal["cls", "mean"] = Field("mean", description="The text's token that is the question.")
    decoder_width: int = Field(256, ge=1, description="W, width of the decoder.")
    decoder_depth: int = Field(4, ge=1, description="Layers of the decoder.")
    decoder_heads: int = Field(4, ge=1, description="Attention heads of the decoder.")
    fine_tune: Literal["none", "vision"] = Field("vision", description="Whether the vision tower trains.")
    silence: Literal["absent", "ignore"] = Field(
        "absent", description="What a finding counts as that a report does not mention."
    )
    usual_decay: float = Field(0.95, ge=0, lt=1, description="Decay per step of the running averages.")


class MedKLIP(Decider):
    """A query decoder over any ViT-like or ResNet vision backbone, its questions put by any text backbone."""

    Settings: ClassVar[type[Settings]] = MedKLIPSettings
    objective_names = ("existence",)
    exclusive = False
    settings: MedKLIPSettings
    questions: Tensor
    usual: Tensor
    spread: Tensor
    share: Tensor

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        s = self.settings
        self.patch_head = Linear(self.vision.width, s.decoder_width)
        self.question_head = Linear(self.text.width, s.decoder_width)
        self.decoder_head = QueryDecoder(s.decoder_width, s.decoder_depth, s.decoder_heads)
        self.existence_head = Linear(s.decoder_width, 2)  # absent, present
        self.register_buffer("questions", self._ask(s.entities), persistent=False)  # [C, D]
        self.register_buffer("usual", torch.zeros(len(s.entities)))  # mean margin of every finding
        self.register_buffer("spread", torch.ones(len(s.entities)))  # and its deviation
        self.register_buffer("share", torch.full((len(s.entities),), 0.5))  # how often it is present
        if s.fine_tune == "vision":
            unfreeze(self.vision)

    @property
    def width(self) -> int:
        """E: one axis per finding, and one for texts that assert nothing."""
        return len(self.settings.entities) + 1

    @torch.no_grad()
    def _ask(self, names: Sequence[str]) -> Tensor:
        """Names of findings as the frozen text tower sees them: [Q, D]."""
        texts = (
            super().tokenize([self.settings.question.format(name.lower()) for name in names]).to(self.device)
        )
        tokens = self.text(texts.input_ids, texts.attention_mask)
        return pool(tokens, texts.attention_mask, self.settings.text_pool)

    @property
    def own_classes(self) -> tuple[str, ...]:
        """The findings that the decoder is asked about."""
        return self.settings.entities

    def logits(self, images: ImageBatch) -> Tensor:
        """The margin (present minus absent) of every finding: [B, C]."""
        return self._margins(self._answers(images, self.questions))

    # -- encoding ----------------------------------------

    def encode_images(self, images: ImageBatch) -> Embeddings:
        """Embed studies: global [B, C + 1], the findings' margins against their usual ones."""
        z = (self.logits(images) - self.usual) / self.spread
        return Embeddings(F.normalize(F.pad(z, (0, 1)), dim=-1))

    def encode_texts(self, texts: TextBatch) -> Embeddings:
        """Embed texts: global [B, C + 1], what they assert.

        Raises:
            BatchError: If the texts were not tokenized by this system, so that nothing is known but ids.
        """
        asserted = need_read(texts).asserted
        says = torch.zeros(asserted.shape, device=asserted.device)
        says = torch.where(asserted == 1, 1 - self.share, says)
        says = torch.where(asserted == -1, 0.5 * (1 - self.share), says)
        says = torch.where(asserted == 0, -self.share, says)
        nothing = (says == 0).all(1, keepdim=True).float()  # [B, 1]
        return Embeddings(F.normalize(torch.cat([says, nothing], 1), dim=-1))

    def tokenize(self, texts: Sequence[str]) -> TextBatch:
        """Token ids, and what the texts assert of every finding."""
        return ReadTexts.of(super().tokenize(texts), asserted=asserted_by(texts, self.settings.entities))

    @torch.inference_mode()
    def existence(self, images: ImageBatch, names: Sequence[str]) -> Tensor:
        """Ask the decoder about anything: the chance that each named finding is present.

        Args:
            images: B studies.
            names: Q findings in words, from the trained list or not.

        Returns:
            float32 [B, Q] in 0..1; an answer does not depend on the other questions.
        """
        return self._margins(self._answers(images, self._ask(names))).sigmoid()

    def _answers(self, images: ImageBatch, questions: Tensor) -> Tensor:
        """Logits of absent and present: [B, Q, 2]."""
        present = images.view_mask  # [B, V]
        tokens = self.vision(images.images[present][:, None])  # [N, 1 + P, D]
        patches = spread_over_slots(self.patch_head(tokens[:, 1:]), present)  # [B, V, P, W]
        mask = present[:, :, None].expand(patches.shape[:3])  # [B, V, P]
        asked = self.question_head(questions)  # [Q, W]
        answers: Tensor = self.existence_head(
            self.decoder_head(asked, patches.flatten(1, 2), mask.flatten(1, 2))
        )
        return answers.float()

    @staticmethod
    def _margins(answers: Tensor) -> Tensor:
        return answers[..., 1] - answers[..., 0]

    # -- training ----------------------------------------

    def objectives(self, batch: StudyBatch) -> dict[str, Tensor]:
        """Cross-entropy of absent and present, mean over the findings that count."""
        answers = self._answers(batch.images, self.questions)
        said = need_read(batch.texts).asserted.long()  # [B, C]
        target = said.masked_fill(said == -1, IGNORED)
        target = target.masked_fill(said == NOT_SAID, 0 if self.settings.silence == "absent" else IGNORED)
        known = target != IGNORED
        if self.training:
            self._learn_usual(gather(self._margins(answers).detach()), gather(target))
        error = F.cross_entropy(answers[known], target[known], reduction="sum")
        return {"existence": mean_of_all(error, known.sum())}

    @torch.no_grad()
    def _learn_usual(self, margins: Tensor, target: Tensor) -> None:
        """Move the running averages towards a batch: margins [B, C], target [B, C]."""
        if len(margins) < 2:
            return
        weight, known = 1 - self.settings.usual_decay, target != IGNORED
        self.usual.lerp_(margins.mean(0), weight)
        self.spread.lerp_(margins.std(0).clamp(min=1e-3), weight)
        seen = ((target == 1).sum(0) / known.sum(0).clamp(min=1)).clamp(0.01, 0.99)
        self.share.copy_(torch.where(known.any(0), self.share.lerp(seen, weight), self.share))
