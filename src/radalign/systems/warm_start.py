"""Heads that start from the canonical correlation of frozen features, for every system that wants it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from radalign.data.batches import ImageBatch, TextBatch
from radalign.data.read_slots import has_view, read_slots
from radalign.nn.heads import ProjectionHead
from radalign.nn.maps import SlotMap, UnitMap
from radalign.nn.text import TextEncoder
from radalign.nn.vision import VisionEncoder
from radalign.objectives.closed_form import canonical_maps
from radalign.study import Manifest, Study

if TYPE_CHECKING:
    from radalign.systems.base import Progress, System

IMAGE_PENALTY, TEXT_PENALTY, POWER = 2.0, 0.05, 1.5


class WarmMaps(nn.Module):
    """Two linear maps beside a system's heads; before the first step they alone decide the embedding.

    Args:
        system: Gives the widths of both backbones and of the joint space.
        slots: V.

    Attributes:
        image: CLS and mean patch of every slot, standardised, to E.
        text: Mean token, unit length, centred, to E.
    """

    def __init__(self, system: System, slots: int) -> None:
        super().__init__()
        self.image = SlotMap(slots, 2 * system.vision.width, system.width)
        self.text = UnitMap(system.text.width, system.width)

    @staticmethod
    def silence(*heads: ProjectionHead) -> None:
        """Let heads start at zero, so that the maps alone speak."""
        for head in heads:
            nn.init.zeros_(head.out.weight)
            nn.init.zeros_(head.out.bias)

    def fit(self, system: System, manifest: Manifest, progress: Progress | None = None) -> dict[str, float]:
        """Fill both maps from the manifest's training studies."""
        rows, present, texts = training_features(system, manifest, progress)
        return fit_canonical(self.image, self.text, rows, present, texts)


@torch.no_grad()
def fit_canonical(
    image_map: SlotMap,
    text_map: UnitMap,
    rows: Tensor,
    present: Tensor,
    texts: Tensor,
    penalties: tuple[float, float] = (IMAGE_PENALTY, TEXT_PENALTY),
    power: float = POWER,
) -> dict[str, float]:
    """Fill both maps from pooled features: rows [N, 2 D] of present views [B, V], texts [B, D]."""
    image_map.set_statistics(rows, present)
    x, y = image_map.standardise(rows, present), F.normalize(texts, dim=-1)
    text_map.mean.copy_(y.mean(0))
    maps = canonical_maps(x, y - y.mean(0), text_map.weight.shape[1], *penalties, power)
    image_map.weight.copy_(maps.image.float())
    image_map.bias.zero_()
    text_map.weight.copy_(maps.text.float())
    return {"studies": len(x), "first_correlation": float(maps.correlations[0])}


def pooled_views(vision: VisionEncoder, images: ImageBatch) -> Tensor:
    """CLS and mean patch of every present view: [N, 2 D], N = present views in mask order."""
    tokens = vision(images.images[images.view_mask][:, None])  # [N, 1 + P, D]
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
    was_training = system.training
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
    system.train(was_training)
    return torch.cat(rows), torch.cat(present), torch.cat(texts)


def usable(study: Study, manifest: Manifest, system: Any) -> bool:
    """Whether a study has a current view and a report, so that it can teach anything."""
    return bool(study.report.body) and has_view(study, manifest, system.recipe.data)
