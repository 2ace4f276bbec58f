"""Frozen encoders and a linear map computed in one pass: the baseline that every adapted system must beat.

    CLS and mean patch of every present view ─ standardise ─ W_img ─┐
    mean token of the report ─ unit ─ centre ──────────────── W_txt ─┴─ cosine

`method = "ridge"` maps images into the text encoder's own space; `"cca"` finds the canonical directions of
both.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from radalign.data.batches import Embeddings, ImageBatch, StudyBatch, TextBatch
from radalign.data.read_slots import has_view, read_slots
from radalign.nn.maps import SlotMap, UnitMap
from radalign.nn.text import TextEncoder
from radalign.nn.vision import VisionEncoder
from radalign.objectives.closed_form import canonical_maps, ridge_map
from radalign.study import Manifest, Study
from radalign.systems.base import Progress, Settings, System
from radalign.systems.recipe import Recipe


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
    image_penalty: float = Field(3.0, gt=0, description="`cca`: added to the image covariance.")
    text_penalty: float = Field(
        0.1, gt=0, description="`cca`: share of the largest eigenvalue, added to the text's."
    )


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

    def encode_texts(self, texts: TextBatch) -> Embeddings:
        """Embed texts: global [B, E]."""
        return Embeddings(F.normalize(self.text_map(pooled_texts(self.text, texts)), dim=-1))

    def objectives(self, batch: StudyBatch) -> dict[str, Tensor]:
        """None: the map is computed, not trained."""
        return {}

    def warm_start(self, manifest: Manifest, progress: Progress | None = None) -> dict[str, float]:
        """Compute the maps from the training studies."""
        rows, present, texts = training_features(self, manifest, progress)
        self.image_map.set_statistics(rows, present)
        x = self.image_map.standardise(rows, present)
        if self.settings.method == "ridge":
            return self._fit_ridge(x, F.normalize(texts, dim=-1))
        return fit_canonical(
            self.image_map, self.text_map, x, texts, self.settings.image_penalty, self.settings.text_penalty
        )

    @torch.no_grad()
    def _fit_ridge(self, x: Tensor, y: Tensor) -> dict[str, float]:
        mean = y.mean(0)
        self.image_map.weight.copy_(ridge_map(x, y - mean, self.settings.ridge_penalty).float())
        self.image_map.bias.copy_(mean)
        self.text_map.weight.copy_(torch.eye(len(mean)))
        residual = (y - self.image_map.bias - x @ self.image_map.weight).square().sum()
        return {"studies": len(x), "explained": 1 - float(residual / (y - mean).square().sum())}


@torch.no_grad()
def fit_canonical(
    image_map: SlotMap, text_map: UnitMap, x: Tensor, texts: Tensor, image_penalty: float, text_penalty: float
) -> dict[str, float]:
    """Fill both maps from standardised image features x [N, P] and pooled texts [N, D]."""
    y = F.normalize(texts, dim=-1)
    text_map.mean.copy_(y.mean(0))
    width = text_map.weight.shape[1]
    maps = canonical_maps(x, y - y.mean(0), width, image_penalty, text_penalty)
    image_map.weight.copy_(maps.image.float())
    image_map.bias.zero_()
    text_map.weight.copy_(maps.text.float())
    return {"studies": len(x), "first_correlation": float(maps.correlations[0])}


def pooled_views(vision: VisionEncoder, images: ImageBatch, keep: Tensor | None = None) -> Tensor:
    """CLS and mean patch of every present view: [N, 2 D], N = present views in mask order."""
    tokens = vision(images.images[images.view_mask][:, None], keep)  # [N, 1 + P, D]
    return torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], -1)


def pooled_texts(text: TextEncoder, texts: TextBatch) -> Tensor:
    """Mean over the real tokens: [B, D]."""
    tokens, mask = text(texts.input_ids, texts.attention_mask), texts.attention_mask
    mean: Tensor = tokens.sum(1) / mask.sum(1, keepdim=True)  # padding rows are zero
    return mean


@torch.inference_mode()
def training_features(
    system: Any, manifest: Manifest, progress: Progress | None = None, batch_size: int = 32
) -> tuple[Tensor, Tensor, Tensor]:
    """Pooled features of the manifest's training studies that have a view and a report.

    Returns:
        rows [N, 2 D] of present views, present [B, V], texts [B, D]; float32 on the CPU.

    Raises:
        ValueError: If there is no such study.
    """
    chosen = [s for s in manifest.where(split="train") if usable(s, manifest, system)]
    if not chosen:
        raise ValueError(
            "No training study has both a view and a report; split the manifest with `radalign data split`."
        )
    system.eval()
    starts: Iterable[int] = range(0, len(chosen), batch_size)
    rows, present, texts = [], [], []
    for start in starts if progress is None else progress(starts, "Computing frozen features"):
        part = chosen[start : start + batch_size]
        images = read_slots(part, manifest, system.recipe.data).to(system.device)
        rows.append(pooled_views(system.vision, images).float().cpu())
        present.append(images.view_mask.cpu())
        batch = system.tokenize([s.report.body for s in part]).to(system.device)
        texts.append(pooled_texts(system.text, batch).float().cpu())
    return torch.cat(rows), torch.cat(present), torch.cat(texts)


def usable(study: Study, manifest: Manifest, system: Any) -> bool:
    """Whether a study has a current view and a report, so that it can teach anything."""
    return bool(study.report.body) and has_view(study, manifest, system.recipe.data)
