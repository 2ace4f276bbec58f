"""Which bits of a stored word are the pixel's value: those up to the high bit; the rest may be anything.

    16 bits allocated, 12 stored, high bit 13:   o o v v v v v v v v v v v v o o

Old files keep overlays or nothing at all in the other bits. Compressed frames other than RLE are made of
values, not of words, so there the high bit says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from radalign.images.window import is_signed

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


@dataclass(frozen=True)
class StoredBits:
    """Where the value is in a word.

    Args:
        allocated: Bits of a word, 8 or 16.
        stored: Bits of the value.
        low: Bits below the value.
        signed: Whether the value is two's complement.

    References:
        DICOM PS3.5 8.1.1 (Bits Allocated, Bits Stored, High Bit), PS3.3 C.7.6.3.1.

    >>> [StoredBits(16, 12, 0, False).values(np.array([word], "u2")).item() for word in (0xA001, 0x0FFF)]
    [1, 4095]
    >>> StoredBits(16, 12, 0, True).values(np.array([0x0FFF], "i2")).item()
    -1
    >>> StoredBits(16, 12, 4, False).values(np.array([0x0FFF], "u2")).item()
    255
    """

    allocated: int
    stored: int
    low: int
    signed: bool

    @property
    def lowest(self) -> int:
        """The lowest value that fits."""
        return -(2 ** (self.stored - 1)) if self.signed else 0

    def values(self, words: np.ndarray) -> np.ndarray:
        """The values of words of any shape, in integers of the same size."""
        words = words.view(f"{words.dtype.byteorder}{'i' if self.signed else 'u'}{self.allocated // 8}")
        above = self.allocated - self.stored - self.low
        if not (above or self.low):
            return words
        if self.signed:
            return np.asarray((words << above) >> (above + self.low))
        if self.low:
            words = words >> self.low
        return np.asarray(words & words.dtype.type(2**self.stored - 1)) if above else words

    def all_words(self) -> np.ndarray:
        """Every word that there is, in the order of its bits read without a sign."""
        return np.arange(2**self.allocated, dtype=f"u{self.allocated // 8}")


def stored_bits(frame: np.ndarray, header: Dataset) -> StoredBits:
    """Where the values are in the words of a frame; a header that contradicts itself counts from bit 0.

    >>> from pydicom.dataset import Dataset
    >>> header = Dataset()
    >>> header.BitsStored, header.HighBit = 12, 15
    >>> stored_bits(np.zeros((1, 1), np.uint16), header)
    StoredBits(allocated=16, stored=12, low=4, signed=False)
    """
    allocated = frame.dtype.itemsize * 8
    stored = min(max(int(header.get("BitsStored", allocated)), 1), allocated)
    low = int(header.get("HighBit", stored - 1)) + 1 - stored
    fits = 0 <= low <= allocated - stored and _is_made_of_words(header)
    return StoredBits(allocated, stored, low if fits else 0, is_signed(header))


def _is_made_of_words(header: Dataset) -> bool:
    from pydicom.uid import RLELossless

    syntax = header.file_meta.get("TransferSyntaxUID") if hasattr(header, "file_meta") else None
    return syntax is None or not syntax.is_encapsulated or syntax == RLELossless
