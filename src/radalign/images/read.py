"""Any image file in, one float32 picture out: height x width, 0..1, bright = dense.

    PNG, JPEG, ... ── grey, 8 or 16 bit ────────────────────────────────┐
    DICOM ── modality LUT ── VOI LUT or window ── polarity ── geometry ─┴─> float32 [H, W]

The kind of a file is told from its first bytes, never from its name.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from radalign.images.errors import ImageError
from radalign.images.window import Window

__all__ = ["MAX_PIXELS", "ImageError", "is_dicom", "read_image"]

MAX_PIXELS = 100_000_000
"""The largest image that is read without being asked; radiographs have at most about 20 million."""

_WIDE_MODES = {"I;16", "I;16L", "I;16B", "I;16N", "I"}
_DICOM_GROUPS = {b"\x02\x00", b"\x08\x00"}


def read_image(
    path: str | Path,
    window: Window = "dicom",
    *,
    force_window: bool = False,
    crop_collimation: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> np.ndarray:
    """Read a radiograph from PNG, JPEG (or another raster format) or DICOM.

    Args:
        path: The file.
        window: For DICOM: `"dicom"` (the file's own VOI LUT or window, else percentiles), `"percentile"`
            (0.5 to 99.5), or `(level, width)` in modality units. For other formats `"percentile"` stretches
            the grey values and `"dicom"` takes them as they are.
        force_window: Allow `(level, width)` on a modality without Hounsfield units; warns.
        crop_collimation: Cut a DICOM image to its collimator or shutter edges.
        max_pixels: Refuse larger images before decoding them.

    Returns:
        float32 [H, W], 0..1, bright = dense; the first frame of several.

    Raises:
        ImageError: If the file is missing, empty, truncated, too large, or of no known kind.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(132)
    except (FileNotFoundError, NotADirectoryError):
        raise ImageError(f"There is no image at {path}; check the path and the manifest's root.") from None
    except OSError as error:
        raise ImageError(f"{path} cannot be opened ({error}); check its permissions.") from error
    if not head:
        raise ImageError(f"{path} is empty (0 bytes); fetch the file again.")
    if is_dicom(head):
        from radalign.images.dicom import read_dicom

        return read_dicom(path, window, force_window, crop_collimation, max_pixels)
    return _read_raster(path, window, max_pixels)


def is_dicom(head: bytes) -> bool:
    r"""Whether a file's first 132 bytes are those of DICOM, with or without the preamble.

    References:
        DICOM PS3.10 7.1 (preamble and the prefix `DICM`).

    >>> is_dicom(bytes(128) + b"DICM"), is_dicom(b"\x08\x00\x05\x00CS\x0a\x00"), is_dicom(b"\x89PNG")
    (True, True, False)
    """
    if head[128:132] == b"DICM":
        return True
    return head[:2] in _DICOM_GROUPS and head[3:4] == b"\x00"


def _read_raster(path: Path, window: Window, max_pixels: int) -> np.ndarray:
    if not isinstance(window, str):
        raise ImageError(
            f"{path} is not DICOM, so a window in modality units means nothing; use window='percentile'."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(path)
        with image:
            check_size(path, image.width, image.height, max_pixels)
            grey = _grey(ImageOps.exif_transpose(image), path)
    except Image.DecompressionBombError:
        raise ImageError(f"{path} has far more pixels than the limit; make it smaller first.") from None
    except UnidentifiedImageError:
        raise ImageError(
            f"{path} is neither DICOM nor a raster image that can be read; remove or convert it."
        ) from None
    except ImageError:
        raise
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise ImageError(f"{path} is broken ({error}); fetch the file again.") from error
    return stretch(grey, 0.5, 99.5) if window == "percentile" else grey


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


def stretch(image: np.ndarray, low_percent: float, high_percent: float) -> np.ndarray:
    """Spread the grey values between two percentiles over 0..1, clipped; a flat image becomes 0.

    >>> stretch(np.array([[2.0, 4.0, 6.0]]), 0, 100).tolist()
    [[0.0, 0.5, 1.0]]
    """
    low, high = np.percentile(image, (low_percent, high_percent))
    if high <= low:
        return np.zeros(image.shape, np.float32)
    return np.asarray(np.clip((image - low) / (high - low), 0, 1), np.float32)


def _grey(image: Image.Image, path: Path) -> np.ndarray:
    if image.mode in _WIDE_MODES:
        return _wide_grey(image, path)
    if image.mode == "F":
        return _float_grey(image, path)
    if image.mode in {"P", "PA"} or "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode in {"LA", "La", "RGBA", "RGBa"}:
        image = _over_black(image)
    return np.asarray(image.convert("L"), np.float32) / 255


def _wide_grey(image: Image.Image, path: Path) -> np.ndarray:
    values = np.asarray(image, np.float32)
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 65535:
        raise ImageError(f"{path} has grey values {low:g} to {high:g}; convert it to 16 bits.")
    return values / 65535


def _float_grey(image: Image.Image, path: Path) -> np.ndarray:
    values = np.asarray(image, np.float32)
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
        raise ImageError(f"{path} has float values outside 0..1; scale it to 0..1.")
    return values


def _over_black(image: Image.Image) -> Image.Image:
    solid = "LA" if image.mode in {"LA", "La"} else "RGBA"
    black = Image.new(solid, image.size, (0,) * (len(solid) - 1) + (255,))
    image = image.convert(solid)
    return Image.composite(image, black, image.getchannel("A"))
