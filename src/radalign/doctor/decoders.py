"""DICOM pixels: which transfer syntaxes can be read here, those that can be written by a round trip."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import get_decoder
from pydicom.uid import (
    JPEG2000,
    UID,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from radalign.data.phantom.storage import stored_as, writable_syntaxes
from radalign.doctor.check import Check
from radalign.images.codecs import first_frame

COMPRESSED = (
    RLELossless, JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, JPEG2000, HTJ2KLossless,
)  # fmt: skip
"""Those that radiography uses (DICOM PS3.5 A.4)."""
_MEND = 'pip install -e ".[codecs]"'
_LEFT_OUT = "12-bit JPEG Extended"  # which the extra has no decoder for; see images/codecs.py


def check_decoders() -> Iterator[Check]:
    """Which compressed DICOM can be read, and whether what can be written comes back as it was."""
    missing = [uid.name for uid in COMPRESSED if not get_decoder(uid).is_available]
    found = f"cannot read {', '.join(missing)}" if missing else "all usual kinds can be read"
    yield Check("DICOM decoders", "note" if missing else "fine", found, _MEND if missing else "")
    if find_spec("imagecodecs") is None:
        yield Check(_LEFT_OUT, "note", "a rare kind of DICOM, cannot be read", "pip install imagecodecs")
    tried = writable_syntaxes()
    wrong = [why for uid in tried if (why := round_trip(uid))]
    found = "; ".join(wrong) or f"{len(tried)} transfer syntaxes come back as they were written"
    yield Check("DICOM pixels", "broken" if wrong else "fine", found, _MEND if wrong else "")


def round_trip(uid: UID) -> str:
    """Why a 12-bit image does not come back, "" if it does."""
    sent = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64)
    try:
        header = pydicom.dcmread(BytesIO(stored_as(_file(sent), "as it is", uid)))
        back = first_frame(Path(uid.name), header, uid)
    except (ValueError, RuntimeError, NotImplementedError, AttributeError, ImportError) as error:
        return f"{uid.name}: {error}"
    return "" if np.array_equal(sent, back) else f"{uid.name}: other pixels come back than were written"


def _file(pixels: np.ndarray) -> bytes:
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.SOPClassUID = DigitalXRayImageStorageForPresentation
    header.SOPInstanceUID = "1.2.826.0.1.3680043.8.498.1"
    header.PatientOrientation = ["L", "F"]
    header.Rows, header.Columns = pixels.shape
    header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 16, 12, 11, 0
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.PixelData = pixels.tobytes()
    out = BytesIO()
    pydicom.dcmwrite(out, header, enforce_file_format=True)
    return out.getvalue()
