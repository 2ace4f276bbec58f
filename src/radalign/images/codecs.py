"""Compressed DICOM frames: which decoder reads them, and the sentence when none that is installed does.

pydicom and the decoders of the extra `codecs` read all but one kind: 12-bit JPEG Extended, the lossy JPEG of
some older radiographs. Of the freely licensed decoders only imagecodecs (BSD-3-Clause, with libjpeg-turbo 3)
reads it, so it is asked directly. No decoder under the GPL is ever used.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from radalign.images.errors import ImageError

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
        The stored values, [H, W] or [H, W, 3].

    Raises:
        ImageError: If no installed decoder reads the transfer syntax; the message says which one would.
    """
    from pydicom.pixels import pixel_array

    if not syntax.is_compressed or syntax.is_deflated:
        return np.asarray(pixel_array(header, index=0))
    if is_twelve_bit_jpeg(syntax, int(header.get("BitsStored", 8))):
        return _twelve_bit_jpeg(path, header)
    _need_decoder(path, syntax)
    try:
        return np.asarray(pixel_array(header, index=0))
    except (RuntimeError, NotImplementedError) as error:
        if find_spec("gdcm") is None:
            raise _missing(path, syntax) from error
        raise


def is_twelve_bit_jpeg(syntax: UID, bits: int) -> bool:
    """Whether a frame is JPEG Extended with more than 8 bits.

    References:
        DICOM PS3.5 8.2.1 (JPEG Image Compression), A.4.1.
    """
    from pydicom.uid import JPEGExtended12Bit

    return bool(syntax == JPEGExtended12Bit) and bits > 8


def _twelve_bit_jpeg(path: Path, header: Dataset) -> np.ndarray:
    from pydicom.encaps import get_frame

    if find_spec("imagecodecs") is None:
        raise ImageError(f"{path}: pixel data is 12-bit JPEG Extended; install imagecodecs, which reads it.")
    frames = int(header.get("NumberOfFrames") or 1)
    decode = import_module("imagecodecs").jpeg8_decode
    return np.asarray(decode(get_frame(header.PixelData, 0, number_of_frames=frames)))


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
