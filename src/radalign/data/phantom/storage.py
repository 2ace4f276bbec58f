"""A simulated DICOM file stored another way: turned or mirrored, in another transfer syntax, the same image.

file ── stored values turned, Patient Orientation changed to say so ── encoded anew ──> file
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
import pydicom
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

SYNTAXES = (
    ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian,
    RLELossless, JPEGLSLossless, JPEG2000Lossless,
)  # fmt: skip
"""Lossless transfer syntaxes that can be written; the last two need the extra `codecs`."""

_OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "H": "F", "F": "H"}
_Turn = Callable[[np.ndarray], np.ndarray]
TURNS: dict[str, _Turn] = {
    "as it is": lambda stored: stored,
    "mirrored": lambda stored: stored[:, ::-1],
    "upside down": lambda stored: stored[::-1],
    "half turn": lambda stored: stored[::-1, ::-1],
    "transposed": lambda stored: stored.T,
    "left turn": lambda stored: stored.T[::-1],
    "right turn": lambda stored: stored.T[:, ::-1],
    "transposed half turn": lambda stored: stored.T[::-1, ::-1],
}
"""The eight ways in which a detector's rows can lie."""


def writable_syntaxes() -> tuple[UID, ...]:
    """Those of `SYNTAXES` that the installed encoders write."""
    from pydicom.pixels import get_encoder

    return tuple(uid for uid in SYNTAXES if not uid.is_encapsulated or get_encoder(uid).is_available)


def stored_as(file: bytes, turn: str, syntax: UID) -> bytes:
    """The same picture in another orientation and transfer syntax; its header says so.

    Args:
        file: An uncompressed little-endian DICOM file of one grey frame, with Patient Orientation.
        turn: One of `TURNS`.
        syntax: One of `writable_syntaxes()`.

    References:
        DICOM PS3.3 C.7.6.1.1.1 (Patient Orientation), PS3.5 A (transfer syntaxes).
    """
    header = pydicom.dcmread(BytesIO(file))
    stored = np.ascontiguousarray(TURNS[turn](pydicom.pixels.pixel_array(header, raw=True)))
    header.PatientOrientation = turned_directions(tuple(header.PatientOrientation), turn)
    header.Rows, header.Columns = stored.shape
    raw = (stored.byteswap() if syntax == ExplicitVRBigEndian else stored).tobytes()
    header.PixelData = raw + bytes(len(raw) % 2)
    if syntax.is_encapsulated:
        header.compress(syntax, generate_instance_uid=False)
    out = BytesIO()
    header.file_meta.TransferSyntaxUID = syntax
    pydicom.dcmwrite(out, header, enforce_file_format=True)
    return out.getvalue()


def turned_directions(directions: tuple[str, str], turn: str) -> list[str]:
    """Where rows and columns lead after a turn.

    >>> turned_directions(("L", "F"), "mirrored"), turned_directions(("L", "F"), "left turn")
    (['R', 'F'], ['F', 'R'])
    """
    probe = TURNS[turn](np.array([[0, 1], [2, 3]]))
    along_rows, along_columns = int(probe[0, 1] - probe[0, 0]), int(probe[1, 0] - probe[0, 0])
    names = {1: directions[0], -1: _OPPOSITE[directions[0]], 2: directions[1], -2: _OPPOSITE[directions[1]]}
    return [names[along_rows], names[along_columns]]
