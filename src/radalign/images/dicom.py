"""DICOM files: the first frame's stored values, the map that makes them grey, and every reason to refuse."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from radalign.images.codecs import first_frame
from radalign.images.dicom_geometry import crop_to_collimation, pixel_aspect, upright
from radalign.images.errors import ImageError
from radalign.images.greys import grey_map, photometry
from radalign.images.window import Window

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

HOUNSFIELD_MODALITIES = frozenset({"CT"})
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Frame:
    """An image that is not yet grey: stored values, and the map from them to grey values.

    Args:
        stored: [H, W], integers, or float where they are grey already.
        greys: Maps any rows of it to float32, 0..1, bright = dense.
        aspect: Height of a pixel over its width.
    """

    stored: np.ndarray
    greys: Callable[[np.ndarray], np.ndarray]
    aspect: float = 1.0


def read_frame(
    path: Path, window: Window, force_window: bool, crop_collimation: bool, max_pixels: int
) -> Frame:
    """The first frame of a DICOM file; for the arguments see `radalign.images.read.read_image`.

    Raises:
        ImageError: If there are no pixels, the codec is missing, or the file is broken.

    References:
        DICOM PS3.3 C.7.6.3 (Image Pixel), C.11.1, C.11.2, C.7.6.3.1.2 (polarity).
    """
    with _one_sentence(path):
        header = read_header(path, pixels=True)
        _check(path, header, window, force_window, max_pixels)
        frame = _frame(header, stored_frame(path, header), window)
        stored = crop_to_collimation(frame.stored, header) if crop_collimation else frame.stored
        stored, turned = upright(stored, header)
        aspect = 1 / frame.aspect if turned else frame.aspect
    if not isinstance(window, str) and header.get("Modality") not in HOUNSFIELD_MODALITIES:
        what = f"{path}: a window in modality units was forced on {header.get('Modality')}."
        warnings.warn(what, stacklevel=3)
    return Frame(stored, frame.greys, aspect)


def read_header(path: Path, pixels: bool = False) -> Dataset:
    """A DICOM file's data set, without its pixels unless asked.

    Raises:
        ImageError: If the file is not DICOM.
    """
    import pydicom

    with _one_sentence(path):
        header = pydicom.dcmread(path, stop_before_pixels=not pixels, force=True)
    if not len(header):
        raise ImageError(f"{path} holds no DICOM elements; it is broken or of another kind: fetch it again.")
    return header


def stored_frame(path: Path, header: Dataset) -> np.ndarray:
    """The first frame's stored values: [H, W], or [H, W, 3] in RGB.

    Raises:
        ImageError: If no installed decoder reads its transfer syntax.
    """
    from pydicom.pixels import apply_color_lut

    syntax = header.file_meta.get("TransferSyntaxUID") if hasattr(header, "file_meta") else None
    if syntax is None:
        raise ImageError(f"{path} does not name its transfer syntax; write it again with a file meta header.")
    frame = first_frame(path, header, syntax)
    if header.get("PhotometricInterpretation") == "PALETTE COLOR":
        frame = apply_color_lut(frame, header)
    return np.asarray(frame)


def _frame(header: Dataset, stored: np.ndarray, window: Window) -> Frame:
    aspect = pixel_aspect(header)
    if stored.ndim == 3:
        top = np.float32(np.iinfo(stored.dtype).max)
        return Frame(stored[..., :3].astype(np.float32) @ _LUMA / top, _as_it_is, aspect)
    if stored.dtype.kind in "iu" and stored.dtype.itemsize <= 2:
        return Frame(stored, grey_map(stored, header, window), aspect)
    return Frame(photometry(stored.astype(np.float64), None, header, window), _as_it_is, aspect)


def _as_it_is(grey: np.ndarray) -> np.ndarray:
    return grey


def _check(path: Path, header: Dataset, window: Window, force_window: bool, max_pixels: int) -> None:
    if not any(name in header for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        what = header.get("Modality") or "no modality named"
        raise ImageError(f"{path} is DICOM without an image ({what}); leave it out.")
    if "Rows" not in header or "Columns" not in header:
        raise ImageError(f"{path} does not say how large its image is (Rows, Columns); fetch it again.")
    check_size(path, int(header.Columns), int(header.Rows), max_pixels)
    modality = header.get("Modality") or "of unknown modality"
    if not (isinstance(window, str) or modality in HOUNSFIELD_MODALITIES or force_window):
        raise ImageError(
            f"{path} is {modality}, which has no Hounsfield units, so the window {window} means nothing; "
            "use window='dicom', or force_window=True."
        )


def check_size(path: Path, width_px: int, height_px: int, max_pixels: int) -> None:
    """Refuse an image with more than `max_pixels`, before its pixels are decoded.

    Raises:
        ImageError: If it is larger.
    """
    if width_px * height_px > max_pixels:
        raise ImageError(
            f"{path} has {width_px} x {height_px} pixels, more than the limit of {max_pixels:,}; "
            "make it smaller, or pass a larger max_pixels."
        )


@contextmanager
def _one_sentence(path: Path) -> Iterator[None]:
    """A broken file makes pydicom and its decoders warn, or raise anything: it becomes one ImageError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ImageError:
        raise
    except Exception as error:
        what = " ".join(str(error).split())[:300] or type(error).__name__
        raise ImageError(f"{path} is a broken DICOM file ({what}); fetch it again.") from error
