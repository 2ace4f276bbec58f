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
from radalign.images.errors import ForcedWindowWarning, ImageError
from radalign.images.functional_groups import with_first_frame
from radalign.images.greys import grey_map, photometry
from radalign.images.window import Voi, Window, check_window, choose_voi

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

HOUNSFIELD_MODALITIES = frozenset({"CT"})
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Frame:
    """An image that is not yet grey: stored words, and the map from them to grey values.

    Args:
        stored: [H, W], integers, or float where they are grey already; it may be read-only.
        greys: Maps any rows of it to float32, 0..1, bright = dense.
        aspect: Height of a pixel over its width.
        written: (width, height) as a DICOM header states them, before anything is cut or turned.
    """

    stored: np.ndarray
    greys: Callable[[np.ndarray], np.ndarray]
    aspect: float = 1.0
    written: tuple[int, int] = (0, 0)


def read_frame(
    path: Path, window: Window, force_window: bool, crop_collimation: bool, max_pixels: int
) -> Frame:
    """The first frame of a DICOM file; for the arguments see `radalign.images.read.read_image`.

    A window or LUT in the file that the standard does not define is replaced by percentiles, with a warning.

    Raises:
        ImageError: If there are no pixels, the codec is missing, the window given is not defined, or the
            file is broken.

    References:
        DICOM PS3.3 C.7.6.3 (Image Pixel), C.11.1, C.11.2, C.7.6.3.1.2 (polarity).
    """
    with _one_sentence(path):
        header = with_first_frame(read_header(path, pixels=True))
        _check(path, header, window, force_window, max_pixels)
        voi, fault = choose_voi(header, window)
        frame = _frame(header, stored_frame(path, header), voi)
        stored = crop_to_collimation(frame.stored, header) if crop_collimation else frame.stored
        stored, turned = upright(stored, header)
        aspect = 1 / frame.aspect if turned else frame.aspect
    if fault:
        warnings.warn(f"{path}: its own window cannot be used, so percentiles are ({fault})", stacklevel=3)
    if not isinstance(window, str) and header.get("Modality") not in HOUNSFIELD_MODALITIES:
        what = f"{path}: a window in modality units was forced on {header.get('Modality')}."
        warnings.warn(what, ForcedWindowWarning, stacklevel=3)
    return Frame(stored, frame.greys, aspect, (int(header.Columns), int(header.Rows)))


def read_header(path: Path, pixels: bool = False) -> Dataset:
    """A DICOM file's data set, without its pixels unless asked.

    Raises:
        ImageError: If the file is not DICOM.
    """
    import pydicom

    with _one_sentence(path):
        header = pydicom.dcmread(path, stop_before_pixels=not pixels, force=True)
    if not len(header) and len(getattr(header, "file_meta", ())):
        raise ImageError(
            f"{path} is cut short: an element does not end before the file does; fetch it again."
        )
    if not len(header):
        raise ImageError(f"{path} holds no DICOM elements; it is broken or of another kind: fetch it again.")
    return header


def stored_frame(path: Path, header: Dataset) -> np.ndarray:
    """The first frame's words, [H, W], or its samples in RGB, [H, W, 3]; see `codecs.first_frame`.

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


def _frame(header: Dataset, stored: np.ndarray, voi: Voi | None) -> Frame:
    aspect = pixel_aspect(header)
    if stored.ndim == 3:
        return Frame(
            stored[..., :3].astype(np.float32) @ _LUMA / _brightest(header, stored), _as_it_is, aspect
        )
    if stored.dtype.kind in "iu" and stored.dtype.itemsize <= 2:
        return Frame(stored, grey_map(stored, header, voi), aspect)
    return Frame(photometry(stored.astype(np.float64), None, header, voi), _as_it_is, aspect)


def _brightest(header: Dataset, samples: np.ndarray) -> np.float32:
    """The largest sample of a coloured frame; the colours of a palette fill their words."""
    bits = samples.dtype.itemsize * 8
    if header.get("PhotometricInterpretation") != "PALETTE COLOR":
        bits = min(max(int(header.get("BitsStored", bits)), 1), bits)
    return np.float32(2**bits - 1)


def _as_it_is(grey: np.ndarray) -> np.ndarray:
    return grey


def _check(path: Path, header: Dataset, window: Window, force_window: bool, max_pixels: int) -> None:
    if not any(header.get(name) for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        what = header.get("Modality") or "no modality named"
        raise ImageError(f"{path} is DICOM without an image ({what}); leave it out.")
    if "Rows" not in header or "Columns" not in header:
        raise ImageError(f"{path} does not say how large its image is (Rows, Columns); fetch it again.")
    check_size(path, int(header.Columns), int(header.Rows), max_pixels)
    if not isinstance(window, str):
        try:
            check_window(window[1], "LINEAR")
        except ValueError as error:
            raise ImageError(f"{path} was not read: {error}") from None
    modality = header.get("Modality") or "of unknown modality"
    if not (isinstance(window, str) or modality in HOUNSFIELD_MODALITIES or force_window):
        raise ImageError(
            f"{path} is {modality}, which has no Hounsfield units, so the window {window} means nothing; "
            "use data.window=dicom, or data.force_window=true to have it anyway (in Python: window='dicom', "
            "force_window=True)."
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
