"""Read studies straight from their image files into a batch, for embedding a few without a cache.

Study (+ prior) ── first view of each slot ── file ── square uint8 ──> ImageBatch
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from radalign.data.batches import BatchError, ImageBatch
from radalign.data.decoding import decode, job_for
from radalign.data.settings import DataSettings
from radalign.data.slots import choose_views, slot_candidates
from radalign.images.errors import ImageError
from radalign.study import Manifest, Study, View


def has_view(study: Study, manifest: Manifest, settings: DataSettings) -> bool:
    """Whether a slot of the current study can be filled; a study without one cannot be embedded."""
    slots = zip(settings.slots, slot_candidates(study, manifest, settings), strict=True)
    return any(views for slot, views in slots if slot.startswith("current"))


def read_slots(studies: Sequence[Study], manifest: Manifest, settings: DataSettings) -> ImageBatch:
    """Read the first view of every slot from its file.

    Args:
        studies: B studies.
        manifest: Resolves paths and priors.
        settings: Size, geometry, window and slots.

    Returns:
        uint8 images [B, V, size_px, size_px] and their mask [B, V].

    Raises:
        ImageError: If an image cannot be read.
        BatchError: If a study has no view for any slot.
    """
    shape = (len(studies), len(settings.slots), settings.size_px, settings.size_px)
    images, mask = np.zeros(shape, np.uint8), np.zeros(shape[:2], bool)
    for b, study in enumerate(studies):
        for v, view in enumerate(choose_views(slot_candidates(study, manifest, settings))):
            if view is not None:
                images[b, v], mask[b, v] = read_square(view, manifest, settings), True
    # By id: the caller sees a list of studies, not the batches that it is cut into.
    absent = [study.id for study, row in zip(studies, mask, strict=True) if not row.any()]
    if absent:
        some = ", ".join(map(repr, absent[:3])) + (f" and {len(absent) - 3} more" if absent[3:] else "")
        raise BatchError(
            f"No image of the study {some} fits any of the slots {', '.join(settings.slots)}; give it a view "
            "with a position that does, or leave it out."
        )
    return ImageBatch(torch.from_numpy(images), torch.from_numpy(mask))


def read_square(view: View, manifest: Manifest, settings: DataSettings) -> np.ndarray:
    """Read one view as the square that a system sees: uint8 [size_px, size_px], bright = dense.

    Raises:
        ImageError: If the image cannot be read.
    """
    square = decode(job_for(view, manifest, settings))
    if isinstance(square, str):
        raise ImageError(square)
    return square
