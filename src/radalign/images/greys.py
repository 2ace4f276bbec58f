"""From stored values to grey values: every photometric step folded into one map.

    word ──[ its stored bits ─> modality LUT ─> VOI LUT or window ─> polarity ─> padding = black ]──> 0..1

With at most 16 bits there are at most 65,536 words, so the steps are worked out once per stored value, by the
plain functions of `radalign.images.window`, and kept as a table of all words: it needs no checks when a word
is looked up. Where the table is a straight line cut off at 0 and 1, as a linear window makes it, the line is
used instead: the same numbers, several times faster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from radalign.images.stored_bits import StoredBits, stored_bits
from radalign.images.window import Voi, is_signed, modality_lut, polarity

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_PERCENTILES = (0.5, 99.5)
_LINE_TOLERANCE = 1e-6
_FEW_POINTS = 64
_COUNTED_AT_ONCE = 2**19  # words: counting makes eight bytes of each


@dataclass(frozen=True)
class GreyMap:
    """A map from the words of a frame to grey values.

    Args:
        table: float32, the grey value of every word, read without a sign.
        bits: Where the value is in a word.
        line: (slope, offset) when every entry is slope * value + offset, cut off at 0 and 1.

    >>> table = np.linspace(0, 1, 256, dtype=np.float32)
    >>> GreyMap(table, StoredBits(8, 8, 0, False), None)(np.array([[0, 51, 255]], np.uint8)).round(2).tolist()
    [[0.0, 0.20000000298023224, 1.0]]
    """

    table: np.ndarray
    bits: StoredBits
    line: tuple[float, float] | None

    def __call__(self, words: np.ndarray) -> np.ndarray:
        """Grey values, float32, of words of any shape."""
        if self.line is None:
            # Each word is in the table, so nothing wraps; this mode alone looks up without a check.
            return np.asarray(self.table.take(_unsigned(words), mode="wrap"))
        grey = self.bits.values(words).astype(np.float32)
        grey *= np.float32(self.line[0])
        grey += np.float32(self.line[1])
        return np.clip(grey, 0, 1, out=grey)


def grey_map(frame: np.ndarray, header: Dataset, voi: Voi | None) -> GreyMap:
    """The map for an integer frame of at most 16 bits.

    Args:
        frame: Its words; only looked at when percentiles are needed.
        header: The data set.
        voi: From modality values to 0..1; None takes percentiles of the frame.

    References:
        DICOM PS3.3 C.7.6.3.1 (Bits Stored, High Bit, Pixel Representation).
    """
    bits = stored_bits(frame, header)
    values = np.arange(bits.lowest, bits.lowest + 2**bits.stored)
    words = bits.all_words()
    value_index = bits.values(words).astype(np.int64) - bits.lowest
    padded = _padded_words(words, bits, header)
    counts = None
    if voi is None:
        of_words = np.where(padded, 0, count_words(frame))
        counts = np.bincount(value_index, of_words, minlength=len(values))
    grey = photometry(values, counts, header, voi)
    table = np.where(padded, np.float32(0), grey.take(value_index))
    return GreyMap(table, bits, None if padded.any() else straight_line(values, grey))


def count_words(frame: np.ndarray) -> np.ndarray:
    """How often each word of at most 16 bits occurs, read without a sign.

    >>> count_words(np.array([[0, 255, 255]], np.uint8))[[0, 1, 255]].tolist()
    [1, 0, 2]
    """
    counts = np.zeros(2 ** (frame.dtype.itemsize * 8), np.int64)
    rows = max(1, _COUNTED_AT_ONCE // max(frame.shape[1], 1))
    for top in range(0, len(frame), rows):
        counts += np.bincount(_unsigned(frame[top : top + rows]).ravel(), minlength=len(counts))
    return counts


def _unsigned(words: np.ndarray) -> np.ndarray:
    return words.view(f"{words.dtype.byteorder}u{words.dtype.itemsize}")


def _padded_words(words: np.ndarray, bits: StoredBits, header: Dataset) -> np.ndarray:
    """Words that are padding although no stored value is: -32768 in a word of which 12 bits are stored."""
    limits = padding_limits(header)
    if limits is None or bits.lowest <= limits[0] < bits.lowest + 2**bits.stored:
        return np.zeros(words.shape, bool)
    return is_padding(words.view(f"{'i' if bits.signed else 'u'}{bits.allocated // 8}"), header)


def photometry(stored: np.ndarray, counts: np.ndarray | None, header: Dataset, voi: Voi | None) -> np.ndarray:
    """Stored values to grey values by all steps, in the standard's order.

    Args:
        stored: Values, any shape.
        counts: How often each occurs, for percentiles; None = once.
        header: The data set.
        voi: From modality values to 0..1; None takes percentiles of the frame.

    Returns:
        float32 of the same shape.
    """
    values, padding = modality_lut(stored, header), is_padding(stored, header)
    if voi is not None:
        grey = voi(values)
    else:
        counts = np.ones(values.shape, np.int64) if counts is None else counts
        grey = _percentile_window(values, np.where(padding, 0, counts))
    grey = polarity(grey, str(header.get("PhotometricInterpretation")))
    return np.where(padding, 0, grey).astype(np.float32)


def is_padding(stored: np.ndarray, header: Dataset) -> np.ndarray:
    """Which stored values are padding, not image.

    References:
        DICOM PS3.3 C.7.5.1.1.2 (Pixel Padding Value and Pixel Padding Range Limit).
    """
    limits = padding_limits(header)
    if limits is None:
        return np.zeros(stored.shape, bool)
    return np.asarray((stored >= limits[0]) & (stored <= limits[1]))


def padding_limits(header: Dataset) -> tuple[int, int] | None:
    """The lowest and the highest padding value, read with the sign of the pixels, or None.

    Some writers state a negative one as a word without a sign (VR US), or the other way round.

    >>> from pydicom.dataset import Dataset
    >>> header = Dataset()
    >>> header.PixelRepresentation, header.PixelPaddingValue = 1, 63536
    >>> padding_limits(header)
    (-2000, -2000)
    """
    first = header.get("PixelPaddingValue")
    if first is None or first == "":
        return None
    last = header.get("PixelPaddingRangeLimit")
    both = [int(first), int(first if last is None or last == "" else last)]
    if is_signed(header):
        both = [value - 65536 if value >= 32768 else value for value in both]
    else:
        both = [value + 65536 if value < 0 else value for value in both]
    return min(both), max(both)


def straight_line(values: np.ndarray, table: np.ndarray) -> tuple[float, float] | None:
    """Slope and offset when a table is a straight line cut off at 0 and 1, else None.

    >>> straight_line(np.arange(5), np.array([0, 0.25, 0.5, 0.75, 1]))
    (0.25, 0.0)
    """
    # Most curves are told from a few of their points; looking at all takes long beside a small image.
    some = slice(None, None, max(1, len(table) // _FEW_POINTS))
    if _bends(values[some], table[some]):
        return None
    return _fitted(values, table)


def _bends(values: np.ndarray, table: np.ndarray) -> bool:
    """Whether two points or more are between 0 and 1, and no line cut off there goes through all."""
    return int(((table > 0) & (table < 1)).sum()) >= 2 and _fitted(values, table) is None


def _fitted(values: np.ndarray, table: np.ndarray) -> tuple[float, float] | None:
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
