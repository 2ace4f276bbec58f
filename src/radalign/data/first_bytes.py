"""Looking at an image file without decoding it: is it there, is it empty, does it begin as an image does?

One open and one short read per file tell all three. That costs hardly more than asking for the file's size,
and it finds what a broken download leaves behind: files of 0 bytes, web pages saved under an image's name.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from radalign.images.read import is_dicom

MISSING = "image file is missing"
UNREADABLE = "image cannot be read"
_HEAD_BYTES = 132
_RASTER = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")


def fault_of_file(root: Path, path: str) -> tuple[str, str] | None:
    """Why a file cannot be an image, as (reason, sentence); None when it may be one.

    Args:
        root: The folder that the path starts from.
        path: As a view has it.

    >>> fault_of_file(Path("nowhere"), "a.png")
    ('image file is missing', 'a.png')
    """
    try:
        file = os.open(os.path.join(root, path), os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except (FileNotFoundError, NotADirectoryError):
        return MISSING, path
    except OSError as error:
        return UNREADABLE, f"{path} cannot be opened ({error.strerror}); check its permissions."
    try:
        head = os.read(file, _HEAD_BYTES)
    except IsADirectoryError:
        return MISSING, path
    except OSError as error:
        return UNREADABLE, f"{path} cannot be read ({error.strerror}); check the disk."
    finally:
        os.close(file)
    if not head:
        return UNREADABLE, f"{path} is empty (0 bytes); fetch the file again."
    if head.startswith(_RASTER) or is_dicom(head) or _is_rare_kind(root / path):
        return None
    return UNREADABLE, f"{path} is neither DICOM nor a raster image; fetch the file again."


def starts_as_dicom(path: Path) -> bool:
    """Whether a file is there and begins as DICOM does.

    >>> starts_as_dicom(Path("nowhere"))
    False
    """
    try:
        with path.open("rb") as file:
            return is_dicom(file.read(_HEAD_BYTES))
    except OSError:
        return False


def starts_as_plain_raster(path: Path) -> bool:
    """Whether a file begins as PNG or JPEG does, or cannot be read at all.

    >>> starts_as_plain_raster(Path("nowhere"))
    True
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return True
    return not head or head.startswith(_RASTER)


def _is_rare_kind(path: Path) -> bool:
    """Whether Pillow knows the kind of a file that is no PNG, JPEG or DICOM; only the header is read."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            Image.open(path).close()
        return True
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return False
    except Image.DecompressionBombError:
        return True
