"""Pooled features of the training studies under the frozen towers, computed once and kept for other runs.

A long computation is kept in portions, so that one that is stopped or killed goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from radalign.data.batches import ImageBatch, TextBatch
from radalign.data.read_slots import has_view, read_slots
from radalign.nn.fusion import cls_and_mean_patch
from radalign.nn.masking import random_keep
from radalign.nn.text import TextEncoder
from radalign.nn.tower import VisionTower
from radalign.study import Manifest, Study

if TYPE_CHECKING:
    from radalign.systems.base import Progress

BATCH = 32  # studies that go through the towers together
PORTION = 32 * BATCH  # studies that are kept together
Features = tuple[list[str], Tensor, Tensor, Tensor]


class FeatureCacheError(ValueError):
    """Features cannot be kept for other runs; the message says what to do."""


def pooled_views(vision: VisionTower, images: ImageBatch, mask_ratio: float = 0.0) -> Tensor:
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
    return cls_and_mean_patch(tokens)


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
    # Masks are drawn from one stream of random numbers, which a second start could not take up in the middle.
    portions = None if mask_ratio else path
    made = training_features(system, manifest, progress, mask_ratio, portions)
    _keep_features(path, *made)
    for portion in path.parent.glob(f"{path.stem}-portion-*.safetensors"):
        portion.unlink(missing_ok=True)
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
    parts += [name for name in ("force_window", "crop_collimation") if getattr(data, name)]
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
    kept: Path | None = None,
) -> Features:
    """Pooled features of the manifest's training studies that have a view and a report.

    Args:
        system: Its towers, settings and tokenizer are used as they are.
        manifest: With a training part.
        progress: Called around the batches.
        mask_ratio: Share of patches dropped per view, drawn once.
        kept: Portions lie beside this path while the work goes on; those that are there are not done again.

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
    was_training = system.training
    system.eval()
    starts: Iterable[int] = range(0, len(chosen), BATCH)
    found: list[Features] = []  # of whole portions
    begun: list[Features] = []  # of the batches of the portion under way
    for start in starts if progress is None else progress(starts, "Computing frozen features"):
        portion = chosen[start - start % PORTION :][:PORTION]
        path = None if kept is None else _portion_path(kept, start // PORTION)
        if not start % PORTION and path is not None:
            before = _kept_features(path)
            found += [before] if before is not None and before[0] == [s.id for s in portion] else []
        if len(found) > start // PORTION:
            continue
        begun.append(_features_of(chosen[start : start + BATCH], manifest, system, mask_ratio))
        if start + BATCH >= len(chosen) or not (start + BATCH) % PORTION:
            found.append(_together(begun))
            begun = []
            if path is not None:
                _keep_features(path, *found[-1])
    system.train(was_training)
    return _together(found)


def _portion_path(kept: Path, number: int) -> Path:
    return kept.with_name(f"{kept.stem}-portion-{number:05}.safetensors")


def _features_of(studies: Sequence[Study], manifest: Manifest, system: Any, mask_ratio: float) -> Features:
    """Features of one batch."""
    images = read_slots(studies, manifest, system.recipe.data).to(system.device)
    rows = pooled_views(system.vision, images, mask_ratio).float().cpu()
    texts = system.tokenize([s.report.body for s in studies]).to(system.device)
    pooled = pooled_texts(system.text, texts).float().cpu()
    return [s.id for s in studies], rows, images.view_mask.cpu(), pooled


def _together(parts: Sequence[Features]) -> Features:
    ids = [i for part in parts for i in part[0]]
    rows, present, texts = (torch.cat([part[side] for part in parts]) for side in (1, 2, 3))  # type: ignore[misc]
    return ids, rows, present, texts


def usable(study: Study, manifest: Manifest, system: Any) -> bool:
    """Whether a study has a current view and a report, so that it can teach anything."""
    return bool(study.report.body) and has_view(study, manifest, system.recipe.data)
