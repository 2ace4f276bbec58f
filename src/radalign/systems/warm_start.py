"""Heads that start from the canonical correlation of frozen features, for every system that wants it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from radalign.data.batches import ImageBatch, TextBatch
from radalign.data.read_slots import has_view, read_slots
from radalign.nn.heads import ProjectionHead
from radalign.nn.maps import SlotMap, UnitMap
from radalign.nn.masking import random_keep
from radalign.nn.text import TextEncoder
from radalign.nn.vision import VisionEncoder
from radalign.objectives.closed_form import canonical_maps
from radalign.objectives.gather import gather
from radalign.study import Manifest, Study

if TYPE_CHECKING:
    from radalign.systems.base import Progress, System

IMAGE_PENALTY, TEXT_PENALTY, POWER = 2.0, 0.05, 1.5
Features = tuple[list[str], Tensor, Tensor, Tensor]


class FeatureCacheError(ValueError):
    """Features cannot be kept for other runs; the message says what to do."""


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
    def silence(*heads: ProjectionHead) -> None:
        """Let heads start at zero, so that the maps alone speak."""
        for head in heads:
            nn.init.zeros_(head.out.weight)
            nn.init.zeros_(head.out.bias)

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


def pooled_views(vision: VisionEncoder, images: ImageBatch, mask_ratio: float = 0.0) -> Tensor:
    """CLS and mean (kept) patch of every present view: [N, 2 D], N = present views in mask order.

    Args:
        vision: The tower.
        images: The studies' views.
        mask_ratio: Share of patches dropped per view.
    """
    views = images.images[images.view_mask][:, None]  # [N, 1, H, W]
    keep = None
    if mask_ratio:
        patches = (views.shape[-2] // vision.patch_px) * (views.shape[-1] // vision.patch_px)
        keep = random_keep(len(views), patches, mask_ratio).to(views.device)
    tokens = vision(views, keep)  # [N, 1 + P, D]
    return torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], -1)


def pooled_texts(text: TextEncoder, texts: TextBatch) -> Tensor:
    """Mean over the real tokens: [B, D]."""
    tokens, mask = text(texts.input_ids, texts.attention_mask), texts.attention_mask
    mean: Tensor = tokens.sum(1) / mask.sum(1, keepdim=True)  # padding rows are zero
    return mean


def cached_features(
    system: Any, manifest: Manifest, progress: Progress | None = None, mask_ratio: float = 0.0
) -> Features:
    """`training_features` of a system whose towers are still the frozen backbones, kept for other runs.

    The file lies in `system.feature_cache` (none: nothing is kept) under a hash of backbones, input settings,
    studies and image files, so any change computes them anew; so does a damaged file.

    Raises:
        FeatureCacheError: If the disk is full or cannot be written.
    """
    folder: Path | None = system.feature_cache
    if folder is None:
        return training_features(system, manifest, progress, mask_ratio)
    masked = f"-masked-{mask_ratio:g}-seed-{system.recipe.train.seed}" if mask_ratio else ""
    path = Path(folder) / f"features-{_features_key(system, manifest)}{masked}.safetensors"
    kept = _kept_features(path)
    if kept is not None:
        return kept
    made = training_features(system, manifest, progress, mask_ratio)
    _keep_features(path, *made)
    return made


def _kept_features(path: Path) -> Features | None:
    """What `_keep_features` wrote; None where there is nothing, or nothing that can be read."""
    try:
        with safe_open(path, "pt") as file:
            ids = json.loads(file.metadata()["ids"])
            return ids, file.get_tensor("rows"), file.get_tensor("present"), file.get_tensor("texts")
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        return None


def _keep_features(path: Path, ids: list[str], rows: Tensor, present: Tensor, texts: Tensor) -> None:
    # A name of its own, because two runs may begin with the same features at the same time.
    partial = path.with_name(f"{path.stem}-{uuid4().hex[:12]}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            save_file({"rows": rows, "present": present, "texts": texts}, partial, {"ids": json.dumps(ids)})
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except (OSError, SafetensorError) as error:
        raise FeatureCacheError(
            f"The warm start's features cannot be kept in {path.parent} ({error}); free some space or choose "
            "another cache folder."
        ) from error


def _features_key(system: Any, manifest: Manifest) -> str:
    data, backbones = system.recipe.data, system.recipe.backbones
    studies = manifest.where(split="train")
    parts = [*system.backbones.values(), str(backbones.max_tokens), studies.sha256()]
    parts += [str(getattr(data, name)) for name in ("size_px", "geometry", "window", "slots", "unknown_view")]
    if data.resize_px or data.resample != "bilinear" or data.mean:
        parts += [str(data.resize_px), data.resample, str(data.mean), str(data.std)]
    parts += [str(data.size_px), str(torch.is_autocast_enabled(system.device.type))]
    parts += [str(manifest.root.absolute()), *_image_states(studies, manifest)]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:20]


def _image_states(studies: Manifest, manifest: Manifest) -> Iterator[str]:
    """Path, time and bytes of every image of the studies and their priors: what the manifest cannot tell."""
    for study in studies:
        prior = manifest.prior(study)
        for view in (*study.views, *(prior.views if prior is not None else ())):
            path = manifest.image_path(view)
            try:
                found = path.stat()
            except OSError:
                yield f"{path}:absent"
            else:
                yield f"{path}:{found.st_mtime_ns}:{found.st_size}"


@torch.inference_mode()
def training_features(
    system: Any,
    manifest: Manifest,
    progress: Progress | None = None,
    mask_ratio: float = 0.0,
    batch_size: int = 32,
) -> tuple[list[str], Tensor, Tensor, Tensor]:
    """Pooled features of the manifest's training studies that have a view and a report.

    Args:
        system: Its towers, settings and tokenizer are used as they are.
        manifest: With a training part.
        progress: Called around the batches.
        mask_ratio: Share of patches dropped per view, drawn once.
        batch_size: Studies at a time.

    Returns:
        their ids, rows [N, 2 D] of present views, present [B, V], texts [B, D]; float32 on the CPU.

    Raises:
        ValueError: If there is no such study.
    """
    chosen = [s for s in manifest.where(split="train") if usable(s, manifest, system)]
    if not chosen:
        raise ValueError(
            "No training study has both a view and a report; split the manifest with `radalign data split`."
        )
    was_training, data = system.training, system.recipe.data
    system.eval()
    starts: Iterable[int] = range(0, len(chosen), batch_size)
    rows, present, texts = [], [], []
    for start in starts if progress is None else progress(starts, "Computing frozen features"):
        part = chosen[start : start + batch_size]
        images = read_slots(part, manifest, data).to(system.device)
        rows.append(pooled_views(system.vision, images, mask_ratio).float().cpu())
        present.append(images.view_mask.cpu())
        batch = system.tokenize([s.report.body for s in part]).to(system.device)
        texts.append(pooled_texts(system.text, batch).float().cpu())
    system.train(was_training)
    return [s.id for s in chosen], torch.cat(rows), torch.cat(present), torch.cat(texts)


def usable(study: Study, manifest: Manifest, system: Any) -> bool:
    """Whether a study has a current view and a report, so that it can teach anything."""
    return bool(study.report.body) and has_view(study, manifest, system.recipe.data)
