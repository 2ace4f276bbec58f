"""From stored values to grey values: every photometric step folded into one map.

    stored ──[ modality LUT ─> VOI LUT or window ─> polarity ─> padding = black ]──> 0..1, bright = dense

With at most 16 bits there are at most 65,536 stored values, so the steps are worked out once per value, by
the plain functions of `radalign.images.window`, and kept as a table. Where the table is a straight line cut
off at 0 and 1, as a linear window makes it, the line is used instead: the same numbers, several times faster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from radalign.images.window import Window, apply_window, is_signed, modality_lut, polarity, voi_transform

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_PERCENTILES = (0.5, 99.5)
_LINE_TOLERANCE = 1e-6


@dataclass(frozen=True)
class GreyMap:
    """A map from stored values to grey values.

    Args:
        table: float32, the grey value of each stored value; of a negative one, counted from the end.
        unused_bits: High bits of a stored word that are not part of the value.
        line: (slope, offset) when every entry is slope * value + offset, cut off at 0 and 1.

    >>> GreyMap(np.array([0.5, 0.75, 0.0, 0.25], np.float32), 0, None)(np.array([[-2, -1, 0, 1]])).tolist()
    [[0.0, 0.25, 0.5, 0.75]]
    """

    table: np.ndarray
    unused_bits: int
    line: tuple[float, float] | None

    def __call__(self, stored: np.ndarray) -> np.ndarray:
        """Grey values, float32, of stored values of any shape."""
        values = used_bits(stored, self.unused_bits)
        if self.line is None:
            return np.asarray(self.table.take(values))
        grey = values.astype(np.float32)
        grey *= np.float32(self.line[0])
        grey += np.float32(self.line[1])
        return np.clip(grey, 0, 1, out=grey)


def grey_map(frame: np.ndarray, header: Dataset, window: Window) -> GreyMap:
    """The map for an integer frame of at most 16 bits.

    Args:
        frame: Stored values; only looked at when percentiles are needed.
        header: The data set.
        window: See `radalign.images.read.read_image`.

    References:
        DICOM PS3.3 C.7.6.3.1 (Bits Stored, Pixel Representation).
    """
    bits = frame.dtype.itemsize * 8
    stored = min(max(int(header.get("BitsStored", bits)), 1), bits)
    lowest = -(2 ** (stored - 1)) if is_signed(header) else 0
    values = np.arange(lowest, lowest + 2**stored)
    counts = None
    if needs_counts(header, window):
        used = used_bits(frame, bits - stored).ravel().astype(np.int64)
        counts = np.bincount(used - lowest, minlength=len(values))
    table = photometry(values, counts, header, window)
    return GreyMap(np.roll(table, lowest), bits - stored, straight_line(values, table))


def photometry(stored: np.ndarray, counts: np.ndarray | None, header: Dataset, window: Window) -> np.ndarray:
    """Stored values to grey values by all steps, in the standard's order.

    Args:
        stored: Values, any shape.
        counts: How often each occurs, for percentiles; None = once.
        header: The data set.
        window: See `radalign.images.read.read_image`.

    Returns:
        float32 of the same shape.
    """
    values, padding = modality_lut(stored, header), is_padding(stored, header)
    voi = voi_transform(header) if window == "dicom" else None
    if isinstance(window, tuple):
        grey = apply_window(values, *window)
    elif voi is not None:
        grey = voi(values)
    else:
        counts = np.ones(values.shape, np.int64) if counts is None else counts
        grey = _percentile_window(values, np.where(padding, 0, counts))
    grey = polarity(grey, str(header.get("PhotometricInterpretation")))
    return np.where(padding, 0, grey).astype(np.float32)


def needs_counts(header: Dataset, window: Window) -> bool:
    """Whether the grey values depend on the image itself: percentiles, by choice or for want of a window."""
    return window == "percentile" or (window == "dicom" and voi_transform(header) is None)


def is_padding(stored: np.ndarray, header: Dataset) -> np.ndarray:
    """Which stored values are padding, not image.

    References:
        DICOM PS3.3 C.7.5.1.1.2 (Pixel Padding Value and Pixel Padding Range Limit).
    """
    first = header.get("PixelPaddingValue")
    if first is None or first == "":
        return np.zeros(stored.shape, bool)
    last = header.get("PixelPaddingRangeLimit", first)
    low, high = sorted((int(first), int(last)))
    return np.asarray((stored >= low) & (stored <= high))


def used_bits(stored: np.ndarray, unused: int) -> np.ndarray:
    """Drop the unused high bits of stored words, keeping the sign of signed ones.

    >>> [used_bits(np.array([word], kind), 4).item() for word, kind in ((0xA001, "u2"), (0x0FFF, "i2"))]
    [1, -1]
    """
    if not unused:
        return stored
    if stored.dtype.kind == "u":
        return np.asarray(stored & stored.dtype.type(2 ** (stored.dtype.itemsize * 8 - unused) - 1))
    return np.asarray((stored << unused) >> unused)


def straight_line(values: np.ndarray, table: np.ndarray) -> tuple[float, float] | None:
    """Slope and offset when a table is a straight line cut off at 0 and 1, else None.

    >>> straight_line(np.arange(5), np.array([0, 0.25, 0.5, 0.75, 1]))
    (0.25, 0.0)
    """
    inner = np.flatnonzero((table > 0) & (table < 1))
    if inner.size < 2:
        return None
    (x0, x1), (y0, y1) = (np.asarray(a, float)[inner[[0, -1]]] for a in (values, table))
    slope = (y1 - y0) / (x1 - x0)
    offset = y0 - slope * x0
    line = np.clip(slope * values + offset, 0, 1)
    return (float(slope), float(offset)) if np.abs(line - table).max() < _LINE_TOLERANCE else None


def _percentile_window(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    flat, weight = values.ravel(), counts.ravel()
    order = np.argsort(flat, kind="stable")
    share = np.cumsum(weight[order])
    if not share.size or share[-1] == 0:
        return np.zeros(values.shape)
    low, high = (flat[order][np.searchsorted(share, share[-1] * p / 100)] for p in _PERCENTILES)
    if high <= low:
        return np.zeros(values.shape)
    return np.asarray(np.clip((values - low) / (high - low), 0, 1))
