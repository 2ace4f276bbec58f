"""Heads that start from the canonical correlation of frozen features, for every system that wants it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from radalign.nn.heads import ProjectionHead
from radalign.nn.maps import SlotMap, UnitMap
from radalign.objectives.closed_form import canonical_maps
from radalign.objectives.gather import gather
from radalign.study import Manifest
from radalign.systems.frozen_features import cached_features

if TYPE_CHECKING:
    from radalign.systems.base import Progress, System

IMAGE_PENALTY, TEXT_PENALTY, POWER = 2.0, 0.05, 1.5


class MapPair(nn.Module):
    """One linear map per side.

    Attributes:
        image: CLS and mean patch of every slot, standardised, to E.
        text: Mean token, unit length, centred, to E.
    """

    def __init__(self, slots: int, image_width: int, text_width: int, out: int) -> None:
        super().__init__()
        self.image = SlotMap(slots, image_width, out)
        self.text = UnitMap(text_width, out)


class WarmMaps(MapPair):
    """Linear maps beside a system's heads; before the first step they alone decide the embedding.

    The maps were fitted on the training pairs, so those look easier than new ones, and a loss over them
    teaches little but overfitting. With `folds`, a training study is scored by maps fitted without its fold.

    Args:
        system: Gives the widths of both backbones and of the joint space.
        slots: V.
        folds: Parts of the training studies for cross-fitting; 0 for none.
        train: Whether the maps themselves train.
    """

    def __init__(self, system: System, slots: int, folds: int = 0, train: bool = False) -> None:
        widths = (2 * system.vision.width, system.text.width, system.width)
        super().__init__(slots, *widths)
        self.folds = nn.ModuleList(MapPair(slots, *widths) for _ in range(folds))
        self.requires_grad_(train)

    @staticmethod
    def silence(*heads: nn.Module) -> None:
        """Let heads (`ProjectionHead`, or one matrix) start at zero, so that the maps alone speak."""
        for head in heads:
            last = head.out if isinstance(head, ProjectionHead) else head
            for parameter in last.parameters():
                nn.init.zeros_(parameter)

    def fit(
        self, system: System, manifest: Manifest, progress: Progress | None = None, mask_ratio: float = 0.0
    ) -> dict[str, float]:
        """Fill all maps from the manifest's training studies.

        Args:
            system: Its towers are still the frozen backbones.
            manifest: With a training part.
            progress: Called around the batches.
            mask_ratio: Share of patches that training drops. The folds' maps are used in training only, so
                they are fitted on views with as many patches missing; maps of whole views do not fit those.

        Returns:
            Numbers for the log.
        """
        ids, rows, present, texts = cached_features(system, manifest, progress)
        numbers = fit_canonical(self.image, self.text, rows, present, texts)
        if mask_ratio and len(self.folds):
            ids, rows, present, texts = cached_features(system, manifest, progress, mask_ratio)
        fold = self._folds(ids)
        for number, pair in enumerate(self._pairs()):
            kept = fold != number  # [B]
            kept_rows = kept[present.nonzero()[:, 0]]  # [N]
            fit_canonical(pair.image, pair.text, rows[kept_rows], present[kept], texts[kept])
        return numbers

    def cross_fitted(
        self,
        image: ImageFeatures,
        text: TextFeatures,
        ids: Sequence[str],
        log_scale: Tensor,
        same: Tensor | None,
    ) -> Tensor:
        """Global InfoNCE in which each study is a query under the maps that never saw it.

        Args:
            image: Head output and features of the studies.
            text: Head output and features of their reports.
            ids: B study ids, which decide the folds.
            log_scale: Log of the inverse temperature.
            same: [B, B] agreement, or None.

        Returns:
            Mean over queries and both directions, in nats.
        """
        fold = gather(self._folds(ids).to(log_scale.device))
        target = torch.eye(len(fold), device=log_scale.device) if same is None else same
        total = log_scale.new_zeros(())
        for number, pair in enumerate(self._pairs()):
            z_img = gather(F.normalize(image.head.float() + pair.image(image.rows, image.present), dim=-1))
            z_txt = gather(F.normalize(text.head.float() + pair.text(text.mean), dim=-1))
            logits = log_scale.exp() * z_img @ z_txt.T  # [B, B]
            mine = fold == number
            for scores, wanted in ((logits, target), (logits.T, target.T)):
                wanted = wanted[mine] / wanted[mine].sum(1, keepdim=True)
                total = total - 0.5 * (wanted * scores[mine].log_softmax(1)).sum()
        return total / len(fold)

    def _pairs(self) -> list[MapPair]:
        return [pair for pair in self.folds if isinstance(pair, MapPair)]

    def _folds(self, ids: Sequence[str]) -> Tensor:
        """The fold of each study: int64 [B]."""
        return torch.tensor([fold_of(i, max(1, len(self.folds))) for i in ids])


class ImageFeatures(NamedTuple):
    """What a study's maps need.

    Attributes:
        head: [B, E], the output of the system's own head.
        rows: [N, 2 D], CLS and mean patch of the present views.
        present: bool [B, V].
    """

    head: Tensor
    rows: Tensor
    present: Tensor


class TextFeatures(NamedTuple):
    """What a text's maps need.

    Attributes:
        head: [B, E], the output of the system's own head.
        mean: [B, D], the mean token.
    """

    head: Tensor
    mean: Tensor


def fold_of(study_id: str, folds: int) -> int:
    """The fold of a study, by a hash of its id.

    >>> {fold_of(str(i), 3) for i in range(50)}
    {0, 1, 2}
    """
    return int.from_bytes(hashlib.sha256(study_id.encode()).digest()[:4], "big") % folds


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
