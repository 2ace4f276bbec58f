"""Compressed DICOM frames: which decoder reads them, and the sentence when none that is installed does.

pydicom and the decoders of the extra `codecs` read all but one kind: 12-bit JPEG Extended, the lossy JPEG of
some older radiographs. Of the freely licensed decoders only imagecodecs (BSD-3-Clause, with libjpeg-turbo 3)
reads it, so it is asked directly. No decoder under the GPL is ever used.

Corrupt data make decoders do more than raise: one written in Rust panics, which Python sees as an exception
outside `Exception`; broken boxes around a JPEG 2000 codestream make pydicom loop for ever; CharLS looks for
most of a minute for what comes behind the last byte of cut JPEG-LS; and GDCM can end the whole process, so it
is asked only where no other decoder reads the syntax, as with lossless JPEG. Where a run must not end,
`apart` asks in a child process.
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from radalign.images.errors import ImageError
from radalign.images.jp2_boxes import has_sound_boxes

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pydicom.uid import UID


def first_frame(path: Path, header: Dataset, syntax: UID) -> np.ndarray:
    """Decode the first frame.

    Args:
        path: Named in errors.
        header: The data set with its pixel data.
        syntax: Its transfer syntax.

    Returns:
        The words of a grey frame, [H, W], with the bits around the stored values as they are (see
        `radalign.images.stored_bits`), or the samples of a coloured one, [H, W, 3]. Of uncompressed data it
        is a view that cannot be written to.

    Raises:
        ImageError: If no installed decoder reads the transfer syntax, and the message says which one would,
            or if the data are corrupt.
    """
    if not syntax.is_compressed or syntax.is_deflated:
        return _by_pydicom(header)
    if is_twelve_bit_jpeg(syntax, int(header.get("BitsStored", 8))):
        return _twelve_bit_jpeg(path, header)
    _need_decoder(path, syntax)
    if fault := fault_before_decoding(header, syntax):
        raise ImageError(f"{path} is corrupt: {fault}; fetch it again.")
    try:
        return _by_pydicom(header, decoders(syntax))
    except (RuntimeError, NotImplementedError) as error:
        if find_spec("gdcm") is None:
            raise _missing(path, syntax) from error
        raise
    except BaseException as error:
        # A panic of a Rust decoder is a BaseException of no public type.
        if isinstance(error, Exception) or type(error).__name__ != "PanicException":
            raise
        what = " ".join(str(error).split())[:200]
        raise ImageError(f"{path} is corrupt ({syntax.name}: {what}); fetch it again.") from error


def _by_pydicom(header: Dataset, names: tuple[str, ...] = ("",)) -> np.ndarray:
    """The first frame by the first decoder that reads it."""
    return decoded(header, names, index=0, view_only=True, correct_unused_bits=not has_words(header))


def decoded(header: Dataset, names: tuple[str, ...], **options: Any) -> np.ndarray:
    """Pixels by the first of the named decoders that reads them; if none does, the last one's complaint."""
    from pydicom.pixels import pixel_array

    for name in names[:-1]:
        with suppress(Exception):  # the next one is asked, and the last one complains
            return np.asarray(pixel_array(header, decoding_plugin=name, **options))
    return np.asarray(pixel_array(header, decoding_plugin=names[-1], **options))


def fault_before_decoding(header: Dataset, syntax: UID) -> str:
    """What of the first frame a decoder would follow for ever, or for most of a minute; "" when nothing.

    References:
        ISO/IEC 14495-1 C.1.1 (JPEG-LS ends with the marker EOI, which its coded data cannot hold).
    """
    if not syntax.is_encapsulated:
        return ""
    if "JPEG 2000" in syntax.name and not has_sound_boxes(_first_codestream(header)):
        return "the JP2 boxes around its pixels lead nowhere"
    if "JPEG-LS" in syntax.name and _END_OF_IMAGE not in _first_codestream(header):
        return "its JPEG-LS data are cut off before their end"
    return ""


def decoders(syntax: UID) -> tuple[str, ...]:
    """Pydicom's names of the installed decoders, in the order in which they are asked."""
    from pydicom.pixels import get_decoder

    names = get_decoder(syntax).available_plugins
    others = tuple(name for name in names if name not in (_ENDS_THE_PROCESS, _SLOW))
    return others or tuple(name for name in (_ENDS_THE_PROCESS, _SLOW) if name in names)


_END_OF_IMAGE = b"\xff\xd9"
_ENDS_THE_PROCESS, _SLOW = "gdcm", "pydicom"  # pydicom's own decoder, of RLE, is written in Python


def has_words(header: Dataset) -> bool:
    """Whether a frame is grey with at most 16 bits allocated, so that a table can map its words."""
    colour = (
        header.get("PhotometricInterpretation") == "PALETTE COLOR" or header.get("SamplesPerPixel", 1) != 1
    )
    return not colour and int(header.get("BitsAllocated", 16)) in (8, 16) and "PixelData" in header


def _first_codestream(header: Dataset) -> bytes:
    from pydicom.encaps import get_frame

    frames = int(header.get("NumberOfFrames") or 1)
    return bytes(get_frame(header.PixelData, 0, number_of_frames=frames))


def is_twelve_bit_jpeg(syntax: UID, bits: int) -> bool:
    """Whether a frame is JPEG Extended with more than 8 bits.

    References:
        DICOM PS3.5 8.2.1 (JPEG Image Compression), A.4.1.
    """
    from pydicom.uid import JPEGExtended12Bit

    return bool(syntax == JPEGExtended12Bit) and bits > 8


def _twelve_bit_jpeg(path: Path, header: Dataset) -> np.ndarray:
    if find_spec("imagecodecs") is None:
        raise ImageError(f"{path}: pixel data is 12-bit JPEG Extended; install imagecodecs, which reads it.")
    return np.asarray(import_module("imagecodecs").jpeg8_decode(_first_codestream(header)))


def _need_decoder(path: Path, syntax: UID) -> None:
    from pydicom.pixels import get_decoder

    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        raise ImageError(f"{path}: pixel data is {syntax.name}, which cannot be read; convert it.") from None
    if not available:
        raise _missing(path, syntax)


def _missing(path: Path, syntax: UID) -> ImageError:
    return ImageError(f"{path}: pixel data is {syntax.name}; install radalign[codecs].")
