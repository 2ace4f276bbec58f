"""Pixel Data without what is not the image: bytes behind it, bits beside it, comments in its frames.

References:
    DICOM PS3.5 8.1.1 (bits that are not stored have no meaning), 8.2 and A.4 (native and encapsulated);
    PS3.3 C.9.2 (retired: overlays in the unused bits).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.utils import get_expected_length
from pydicom.uid import UID, ExplicitVRBigEndian, RLELossless

from radalign.deidentify.errors import DeidentifyError
from radalign.deidentify.streams import bare_jpeg, bare_jpeg_2000

_JPEG = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70, 80, 81))
_JPEG_2000 = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (90, 91, 201, 202, 203))
_OFFSET_TABLES = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")
_LARGEST_OFFSET = 2**32 - 2**20


def tidy_pixel_bytes(dataset: Dataset) -> list[str]:
    """Take out of Pixel Data, in place, what is not the image; what could not be done is returned as notes.

    Args:
        dataset: With `PixelData` and a transfer syntax.

    Raises:
        DeidentifyError: If a compressed frame cannot be followed.
    """
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    if not syntax.is_transfer_syntax or syntax.is_private:
        return ["Pixel Data of an unknown transfer syntax: what is not the image was not looked for in it."]
    return _tidy_frames(dataset, syntax) if syntax.is_encapsulated else _tidy_native(dataset, syntax)


def _tidy_native(dataset: Dataset, syntax: UID) -> list[str]:
    try:
        length = get_expected_length(dataset)
    except (AttributeError, TypeError, ValueError, KeyError) as error:
        raise DeidentifyError(
            "The header does not say how large the image is (Rows, Columns, Bits Allocated, ...); repair it."
        ) from error
    is_big = syntax == ExplicitVRBigEndian
    # Bytes are swapped in pairs in big endian words, so the last of an odd number stands behind its padding.
    data = bytes(dataset.PixelData)[: length + (length % 2 if is_big else 0)]
    data, notes = _without_unused_bits(data, dataset, ">" if is_big else "<")
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    return notes


def _without_unused_bits(data: bytes, dataset: Dataset, order: str) -> tuple[bytes, list[str]]:
    """Bits that are not stored: zero, or copies of the sign, so that the numbers read the same."""
    cell, stored = int(dataset.BitsAllocated), int(dataset.BitsStored)
    high = int(dataset.get("HighBit", stored - 1))
    if stored == cell:
        return data, []
    if cell not in (8, 16, 32) or not 0 < stored <= high + 1 <= cell:
        return data, [
            "Bits Allocated, Bits Stored and High Bit contradict each other: unused bits were kept."
        ]
    low = high + 1 - stored
    kind = "i" if dataset.get("PixelRepresentation") == 1 else "u"
    whole = len(data) - len(data) % (cell // 8)
    cells = np.frombuffer(data[:whole], f"{order}{kind}{cell // 8}")
    # Up against the left end and back again: the right shift of a signed number copies its sign.
    clean = ((cells << (cell - 1 - high)) >> (cell - stored)) << low
    if np.array_equal(clean, cells):
        return data, []
    note = "Bits outside Bits Stored (an overlay, or a wrong header) were cleared: look at the image."
    return clean.astype(cells.dtype).tobytes() + data[whole:], [note]


def _tidy_frames(dataset: Dataset, syntax: UID) -> list[str]:
    bare = _bare(syntax)
    if bare is None:
        return [f"Comments inside {syntax.name} streams were not looked for."]
    number = int(dataset.get("NumberOfFrames") or 1)
    tables = [dataset.get(keyword) for keyword in _OFFSET_TABLES]
    offsets = (tables[0], tables[1]) if all(tables) else None
    try:
        found = list(generate_frames(dataset.PixelData, number_of_frames=number, extended_offsets=offsets))
    except Exception as error:  # a broken offset table raises whatever it leads to
        raise DeidentifyError(f"The frames cannot be told apart ({error}); repair the file.") from error
    frames = [_even(bare(frame)) for frame in found[:number]]
    dataset.PixelData = encapsulate(frames, has_bot=sum(map(len, frames)) < _LARGEST_OFFSET)
    dataset["PixelData"].is_undefined_length = True
    for keyword in _OFFSET_TABLES:
        if keyword in dataset:
            delattr(dataset, keyword)
    return []


def _bare(syntax: UID) -> Callable[[bytes], bytes] | None:
    if syntax == RLELossless:
        return bytes
    if syntax in _JPEG:
        return bare_jpeg
    return bare_jpeg_2000 if syntax in _JPEG_2000 else None


def _even(frame: bytes) -> bytes:
    return frame + b"\0" * (len(frame) % 2)
