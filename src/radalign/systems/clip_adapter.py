"""CLIP-Adapter: a small bottleneck on the frozen image feature, mixed with the feature itself.

    image ─ frozen tower ─ f ─┬─ W2 ReLU(W1 f) ReLU ─ x 0.2 ─┐
                              └─ x 0.8 ──────────────────────┴─ cosine with the class sentences ─> logits

References: Gao et al., CLIP-Adapter, IJCV 2024 (arXiv:2110.04544), equations 2 to 5, the image side; the
prompts stay fixed. As published it does not start at the frozen model: the bottleneck is random at first.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from radalign.data.batches import Embeddings, ImageBatch, StudyBatch, TextBatch
from radalign.study import Manifest
from radalign.systems.base import Progress, Settings
from radalign.systems.classifier import Classifier, cosine_logits, targets_of
from radalign.systems.frozen_space import FrozenSpace, FrozenSpaceSettings
from radalign.systems.recipe import Recipe


class CLIPAdapterSettings(FrozenSpaceSettings):
    """CLIP-Adapter's `[model]` section."""

    reduction: int = Field(4, ge=1, description="The bottleneck has 1 / reduction of the joint width.")
    mix: float = Field(0.2, ge=0, le=1, description="Share of the adapted feature, rest frozen.")


class CLIPAdapter(Classifier):
    """CLIP-Adapter over CLIP, or over any two encoders with a map computed from the labels."""

    Settings: ClassVar[type[Settings]] = CLIPAdapterSettings
    objective_names = ("classification",)
    settings: CLIPAdapterSettings

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self.space = FrozenSpace(self)
        hidden = max(1, self.width // self.settings.reduction)
        self.adapter = nn.Sequential(
            nn.Linear(self.width, hidden, bias=False),
            nn.ReLU(),
            nn.Linear(hidden, self.width, bias=False),
            nn.ReLU(),
        )
        self.classes = self.settings.classes

    @property
    def width(self) -> int:
        """E: the backbones' own joint space, or the text encoder's width."""
        return FrozenSpace.width_of(self)

    def warm_start(self, manifest: Manifest, progress: Progress | None = None) -> dict[str, float]:
        """Compute the map into the text space, for encoders without a joint space."""
        maps = self.space.maps
        return {} if maps is None else maps.fit(self, manifest, self.settings.map_penalty, progress)

    def encode_images(self, images: ImageBatch) -> Embeddings:
        """Embed studies: global [B, E], the mean over their views, adapted."""
        frozen = self.space.images(self, images)
        mix = self.settings.mix
        return Embeddings(F.normalize(mix * self.adapter(frozen) + (1 - mix) * frozen, dim=-1))

    def encode_texts(self, texts: TextBatch) -> Embeddings:
        """Embed any texts with the frozen tower: global [B, E]."""
        return Embeddings(F.normalize(self.space.texts(self, texts), dim=-1))

    def decide(self, evidence: Tensor) -> Tensor:
        """Scaled cosine to the class sentences: [B, E] -> [B, C]."""
        return cosine_logits(self.settings.scale or self.space.scale, evidence, self.class_texts())

    def objectives(self, batch: StudyBatch) -> dict[str, Tensor]:
        """Cross-entropy of the classes."""
        with torch.no_grad():
            texts = self.class_texts()
        scale = self.settings.scale or self.space.scale
        logits = cosine_logits(scale, self.encode_images(batch.images).global_, texts)
        return {"classification": F.cross_entropy(logits, targets_of(batch, len(self.classes)))}
