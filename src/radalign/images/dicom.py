"""DICOM pixels to one float32 picture, through one table from stored value to grey value.

    frame 0 ──> stored pattern ──[ table: modality, VOI, polarity, padding ]──> 0..1 ──> crop, aspect

With at most 16 bits there are at most 65,536 stored patterns, so every photometric step is worked out once
per pattern instead of once per pixel, by the plain functions of `radalign.images.window`.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from radalign.images.dicom_geometry import crop_to_collimation, square_pixels
from radalign.images.errors import ImageError
from radalign.images.window import Window, apply_window, is_signed, modality_lut, polarity, voi_transform

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

HOUNSFIELD_MODALITIES = frozenset({"CT"})
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_PERCENTILES = (0.5, 99.5)


def read_dicom(
    path: Path, window: Window, force_window: bool, crop_collimation: bool, max_pixels: int
) -> np.ndarray:
    """The first frame of a DICOM file as float32 [H, W], 0..1, bright = dense; see `read_image`.

    Raises:
        ImageError: If there are no pixels, the codec is missing, or the file is broken.

    References:
        DICOM PS3.3 C.7.6.3 (Image Pixel), C.11.1, C.11.2, C.7.6.3.1.2 (polarity).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = read_header(path, pixels=True)
            _check(path, header, window, force_window, max_pixels)
            image = _grey(header, stored_frame(path, header), window)
            image = crop_to_collimation(image, header) if crop_collimation else image
            image = square_pixels(image, header)
    except ImageError:
        raise
    except Exception as error:  # decoders raise anything on a broken file; all of it becomes one sentence
        raise ImageError(f"{path} is a broken DICOM file ({_brief(error)}); fetch it again.") from error
    if force_window and not isinstance(window, str) and header.get("Modality") not in HOUNSFIELD_MODALITIES:
        warnings.warn(
            f"{path}: a window in modality units was forced on {header.get('Modality')}.", stacklevel=3
        )
    return image


def read_header(path: Path, pixels: bool = False) -> Dataset:
    """A DICOM file's data set, without its pixels unless asked.

    Raises:
        ImageError: If the file is not DICOM.
    """
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        header = pydicom.dcmread(path, stop_before_pixels=not pixels, force=True)
    except (InvalidDicomError, EOFError) as error:
        raise ImageError(f"{path} is a broken DICOM file ({_brief(error)}); fetch it again.") from error
    if not len(header):
        raise ImageError(f"{path} holds no DICOM elements; it is broken or of another kind: fetch it again.")
    return header


def stored_frame(path: Path, header: Dataset) -> np.ndarray:
    """The first frame's stored values: [H, W], or [H, W, 3] in RGB.

    Raises:
        ImageError: If no installed decoder reads its transfer syntax.
    """
    from pydicom.pixels import apply_color_lut, get_decoder, pixel_array

    syntax = header.file_meta.get("TransferSyntaxUID") if hasattr(header, "file_meta") else None
    if syntax is None:
        raise ImageError(f"{path} does not name its transfer syntax; write it again with a file meta header.")
    if syntax.is_compressed and not syntax.is_deflated:
        try:
            available = get_decoder(syntax).is_available
        except NotImplementedError:
            raise ImageError(
                f"{path}: pixel data is {syntax.name}, which cannot be read; convert it first."
            ) from None
        if not available:
            raise ImageError(f"{path}: pixel data is {syntax.name}; install radalign[codecs].")
    try:
        frame = pixel_array(header, index=0)
    except (RuntimeError, NotImplementedError) as error:
        if syntax.is_compressed and not _codecs_installed():
            raise ImageError(f"{path}: pixel data is {syntax.name}; install radalign[codecs].") from error
        raise
    if header.get("PhotometricInterpretation") == "PALETTE COLOR":
        frame = apply_color_lut(frame, header)
    return np.asarray(frame)


def _grey(header: Dataset, frame: np.ndarray, window: Window) -> np.ndarray:
    if frame.ndim == 3:
        return _luminance(frame)
    if frame.dtype.kind not in "iu" or frame.dtype.itemsize > 2:
        counts: np.ndarray | None = np.ones(frame.shape, np.int64)
        return _photometry(frame.astype(np.float64), counts, _padding(frame, header), header, window)
    patterns = frame.view(np.uint8 if frame.dtype.itemsize == 1 else np.uint16)
    values = _pattern_values(frame.dtype.itemsize * 8, header)
    counts = np.bincount(patterns.ravel(), minlength=len(values)) if _needs_counts(header, window) else None
    table = _photometry(values, counts, _padding(values, header), header, window)
    return np.asarray(table[patterns])


def _photometry(
    stored: np.ndarray, counts: np.ndarray | None, padding: np.ndarray, header: Dataset, window: Window
) -> np.ndarray:
    """Stored values to grey values 0..1; `counts` says how often each occurs, for percentiles."""
    values = modality_lut(stored, header)
    if isinstance(window, tuple):
        image = apply_window(values, *window)
    else:
        voi = voi_transform(header) if window == "dicom" else None
        counts = np.ones(values.shape, np.int64) if counts is None else counts
        image = voi(values) if voi else _percentile_window(values, np.where(padding, 0, counts))
    image = polarity(image, str(header.get("PhotometricInterpretation")))
    return np.where(padding, 0, image).astype(np.float32)


def _percentile_window(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    flat, weight = values.ravel(), counts.ravel()
    order = np.argsort(flat, kind="stable")
    share = np.cumsum(weight[order])
    if not share.size or share[-1] == 0:
        return np.zeros(values.shape)
    low, high = (flat[order][np.searchsorted(share, share[-1] * p / 100)] for p in _PERCENTILES)
    return np.clip((values - low) / (high - low), 0, 1) if high > low else np.zeros(values.shape)


def _pattern_values(bits: int, header: Dataset) -> np.ndarray:
    """What each stored bit pattern means, unused high bits ignored (PS3.3 C.7.6.3.1)."""
    stored = min(int(header.get("BitsStored", bits)), bits)
    values = np.arange(2**bits, dtype=np.int64) & (2**stored - 1)
    sign = values >> (stored - 1) if is_signed(header) else np.zeros_like(values)
    return np.asarray(values - (sign << stored))


def _padding(values: np.ndarray, header: Dataset) -> np.ndarray:
    """Which values are padding, not image (PS3.3 C.7.5.1.1.2, Pixel Padding Value and Range Limit)."""
    first = header.get("PixelPaddingValue")
    if first is None or first == "":
        return np.zeros(values.shape, bool)
    last = header.get("PixelPaddingRangeLimit", first)
    low, high = sorted((int(first), int(last)))
    return (values >= low) & (values <= high)


def _needs_counts(header: Dataset, window: Window) -> bool:
    return window == "percentile" or (window == "dicom" and voi_transform(header) is None)


def _luminance(frame: np.ndarray) -> np.ndarray:
    return frame[..., :3].astype(np.float32) @ _LUMA / np.float32(np.iinfo(frame.dtype).max)


def _check(path: Path, header: Dataset, window: Window, force_window: bool, max_pixels: int) -> None:
    from radalign.images.read import check_size

    if not any(name in header for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        what = header.get("Modality") or "no modality named"
        raise ImageError(f"{path} is DICOM without an image ({what}); leave it out.")
    if "Rows" not in header or "Columns" not in header:
        raise ImageError(f"{path} does not say how large its image is (Rows, Columns); fetch it again.")
    check_size(path, int(header.Columns), int(header.Rows), max_pixels)
    if isinstance(window, str) or header.get("Modality") in HOUNSFIELD_MODALITIES or force_window:
        return
    modality = header.get("Modality") or "of unknown modality"
    raise ImageError(
        f"{path} is {modality}, which has no Hounsfield units, so the window {window} means nothing; "
        "use window='dicom', or force_window=True."
    )


def _codecs_installed() -> bool:
    from importlib.util import find_spec

    return find_spec("gdcm") is not None


def _brief(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]
