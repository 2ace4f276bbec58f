"""Filling boxes from what surrounds them, as if nothing had been written there.

Every pixel takes the nearest pixels above, below, left and right of it that are not filled themselves, nearer
ones counting more. All boxes are filled at once, so that a line of writing is never continued from the next
line, which goes too.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from radalign.images.strokes import Box


def fill(image: np.ndarray, boxes: Iterable[Box], avoid: Iterable[Box] = ()) -> np.ndarray:
    """A copy whose boxes continue what surrounds them.

    Args:
        image: [H, W] or [H, W, 3] of any number type.
        boxes: What is filled.
        avoid: What nothing is continued from, such as marks that stay.

    >>> fill(np.array([[1, 1, 1], [1, 9, 1], [1, 1, 1]]), [Box(1, 1, 2, 2)])[1, 1]
    np.int64(1)
    """
    boxes = list(boxes)
    out = image.copy()
    if not boxes:
        return out
    filled = _mask(image.shape, boxes)
    unseen = filled | _mask(image.shape, avoid)
    if unseen.all():
        unseen = filled
    rows, columns = np.nonzero(filled)
    total = np.zeros((len(rows), *image.shape[2:]))
    weight = np.zeros(len(rows))
    for value, distance in _nearest(image, unseen, rows, columns):
        share = np.where(distance > 0, 1 / np.maximum(distance, 1), 0.0)
        total += value * (share if value.ndim == 1 else share[:, None])
        weight += share
    alone = weight == 0  # nothing to be seen in its row or its column
    total[alone] = image[~unseen if not unseen.all() else unseen].mean(axis=0)
    weight[alone] = 1
    new = total / (weight if total.ndim == 1 else weight[:, None])
    out[rows, columns] = new if np.issubdtype(out.dtype, np.floating) else np.rint(new)
    return out


def _mask(shape: tuple[int, ...], boxes: Iterable[Box]) -> np.ndarray:
    inside = np.zeros(shape[:2], bool)
    for box in boxes:
        inside[box.top : box.bottom, box.left : box.right] = True
    return inside


def _nearest(
    image: np.ndarray, unseen: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """For each pixel the nearest seen one above, below, left and right: values, and distances (0 = none)."""
    for axis in (0, 1):
        place = np.arange(unseen.shape[axis], dtype=np.int32)[
            (slice(None), None) if axis == 0 else (None, slice(None))
        ]
        here = rows if axis == 0 else columns
        before = np.maximum.accumulate(np.where(unseen, -1, place), axis=axis)[rows, columns]
        after = np.flip(np.where(unseen, unseen.shape[axis], place), axis)
        after = np.flip(np.minimum.accumulate(after, axis=axis), axis)[rows, columns]
        for found in (before, after):
            there = np.clip(found, 0, unseen.shape[axis] - 1)
            value = image[there, columns] if axis == 0 else image[rows, there]
            yield value.astype(np.float64), np.where(there == found, np.abs(here - found), 0)
