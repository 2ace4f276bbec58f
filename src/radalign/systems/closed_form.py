"""Frozen encoders and a linear map computed in one pass: the baseline that every adapted system must beat.

    CLS and mean patch of every present view ─ standardise ─ W_img ─┐
    mean token of the report ─ unit ─ centre ──────────────── W_txt ─┴─ cosine

`method = "ridge"` maps images into the text encoder's own space; `"cca"` finds the canonical directions of
both.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from radalign.data.batches import Embeddings, ImageBatch, StudyBatch, TextBatch
from radalign.nn.maps import SlotMap, UnitMap
from radalign.objectives.closed_form import ridge_map
from radalign.study import Manifest
from radalign.systems.base import Progress, Settings, System
from radalign.systems.frozen_features import cached_features, pooled_texts, pooled_views
from radalign.systems.recipe import Recipe
from radalign.systems.warm_start import fit_canonical


class ClosedFormSettings(Settings):
    """The `[model]` section of a closed-form system."""

    method: Literal["ridge", "cca"] = Field(
        "ridge", description="Ridge to the text space, or canonical correlation."
    )
    embedding_width: int = Field(
        128, ge=2, description="Dimensions kept by `cca`; ridge has the text encoder's."
    )
    ridge_penalty: float = Field(
        3000.0, gt=0, description="Ridge penalty, in summed squares of standardised features."
    )
    image_penalty: float = Field(2.0, gt=0, description="`cca`: added to the image covariance.")
    text_penalty: float = Field(
        0.05, gt=0, description="`cca`: share of the largest eigenvalue, added to the text's."
    )
    power: float = Field(1.5, ge=0, description="`cca`: exponent of the correlation that scales a dimension.")


class ClosedForm(System):
    """Ridge or canonical correlation on frozen, pooled features; nothing trains by gradient."""

    Settings: ClassVar[type[Settings]] = ClosedFormSettings
    settings: ClosedFormSettings

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        slots = len(recipe.data.slots)
        self.image_map = SlotMap(slots, 2 * self.vision.width, self.width).requires_grad_(False)
        self.text_map = UnitMap(self.text.width, self.width).requires_grad_(False)

    @property
    def width(self) -> int:
        """E: the text encoder's width for ridge, the kept dimensions for canonical correlation."""
        return self.text.width if self.settings.method == "ridge" else self.settings.embedding_width

    def encode_images(self, images: ImageBatch) -> Embeddings:
        """Embed studies: global [B, E]."""
        z = self.image_map(pooled_views(self.vision, images), images.view_mask)
        return Embeddings(F.normalize(z, dim=-1))

    def text_points(self, texts: TextBatch) -> Tensor:
        """The texts' global embeddings before they get unit length: [B, E]."""
        points: Tensor = self.text_map(pooled_texts(self.text, texts))
        return points

    def encode_texts(self, texts: TextBatch) -> Embeddings:
        """Embed texts: global [B, E]."""
        return Embeddings(F.normalize(self.text_points(texts), dim=-1))

    def objectives(self, batch: StudyBatch) -> dict[str, Tensor]:
        """None: the map is computed, not trained."""
        return {}

    def warm_start(self, manifest: Manifest, progress: Progress | None = None) -> dict[str, float]:
        """Compute the maps from the training studies."""
        _, rows, present, texts = cached_features(self, manifest, progress)
        s = self.settings
        if s.method == "cca":
            penalties = (s.image_penalty, s.text_penalty)
            return fit_canonical(self.image_map, self.text_map, rows, present, texts, penalties, s.power)
        self.image_map.set_statistics(rows, present)
        return self._fit_ridge(self.image_map.standardise(rows, present), F.normalize(texts, dim=-1))

    @torch.no_grad()
    def _fit_ridge(self, x: Tensor, y: Tensor) -> dict[str, float]:
        mean = y.mean(0)
        self.image_map.weight.copy_(ridge_map(x, y - mean, self.settings.ridge_penalty).float())
        self.image_map.bias.copy_(mean)
        self.text_map.weight.copy_(torch.eye(len(mean)))
        residual = (y - self.image_map.bias - x @ self.image_map.weight).square().sum()
        return {"studies": len(x), "explained": 1 - float(residual / (y - mean).square().sum())}
