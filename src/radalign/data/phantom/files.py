"""Simulated views on disk: PNG or DICOM bytes, written whole or not at all."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from radalign.data.phantom.case import Case
from radalign.data.phantom.dicom import NOTICE, SOURCE, dicom_bytes
from radalign.data.phantom.grid import Array
from radalign.data.phantom.photometry import Photometry
from radalign.data.phantom.png import grey_png

FORMATS = ("png", "dicom")


class SimulationError(ValueError):
    """A simulation cannot be made or stored; the message says what to do."""


@dataclass(frozen=True)
class FileFormat:
    """How views are stored.

    Args:
        name: `png` or `dicom`.
        photometry: For DICOM: how grey values are stored.

    >>> FileFormat("png").suffix
    '.png'
    """

    name: str = "png"
    photometry: Photometry = field(default_factory=Photometry)

    def __post_init__(self) -> None:
        if self.name not in FORMATS:
            raise SimulationError(f"The format {self.name!r} is unknown; choose png or dicom.")

    @property
    def suffix(self) -> str:
        """The end of a file's name."""
        return ".dcm" if self.name == "dicom" else ".png"

    def encode(self, case: Case, position: str, image: Array) -> bytes:
        """One view as the bytes of a file."""
        if self.name == "dicom":
            return dicom_bytes(case, position, image, self.photometry)
        return png_bytes(case, position, image)


def png_bytes(case: Case, position: str, image: Array) -> bytes:
    """An 8-bit PNG whose text says what it is.

    Args:
        case: The study that the view belongs to.
        position: `PA`, `AP` or `LL`.
        image: float32 [H, W], 0..1.
    """
    text = {"Software": SOURCE, "Description": NOTICE, "Title": f"{case.study_id} {position}"}
    return grey_png(np.rint(255 * image).astype(np.uint8), text)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under another name first, so that a broken write never stands where a good file belongs.

    Raises:
        SimulationError: If it cannot be written, for example on a full disk.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_bytes(content)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise SimulationError(why(error, path)) from error


def why(error: OSError, path: Path) -> str:
    """What went wrong with a file, as a sentence that ends with what to do."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return (
            f"The disk is full: {path} could not be written. Free some space and run the same command again; "
            "finished images are kept."
        )
    if error.errno in {errno.ENOTDIR, errno.EEXIST}:
        return f"{path.parent} is not a folder; choose another folder with --out."
    return f"{path} could not be written ({error.strerror or error}); choose a folder that you may write to."
