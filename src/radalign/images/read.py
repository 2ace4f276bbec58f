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

from radalign.images.dicom import Frame, check_size, read_frame
from radalign.images.errors import ImageError
from radalign.images.geometry import Fit, Resample, centre, inner_size, resize, resize_bicubic
from radalign.images.shrink import shrink
from radalign.images.window import Window

__all__ = ["MAX_PIXELS", "ImageError", "is_dicom", "read_image", "read_square"]

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
        float32 [H, W], 0..1, bright = dense, pixels square; the first frame of several.

    Raises:
        ImageError: If the file is missing, empty, truncated, too large, or of no known kind.
    """
    frame = _open(Path(path), window, force_window, crop_collimation, max_pixels)
    image = frame.greys(frame.stored)
    height, width = upright_size(frame)
    return resize(image, height, width)


def read_square(
    path: str | Path,
    size_px: int,
    mode: Fit = "stretch",
    original: tuple[int, int] | None = None,
    window: Window = "dicom",
    *,
    force_window: bool = False,
    crop_collimation: bool = False,
    max_pixels: int = MAX_PIXELS,
    resize_px: int = 0,
    resample: Resample = "bilinear",
) -> np.ndarray:
    """Read a radiograph as a square: `geometry.fit_square(read_image(path), ...)`, several times faster.

    The two agree to rounding where pixels are square. Where they are not, `read_image` stretches them first;
    this resizes once from the stored pixels, which keeps the finer side sharper.

    Args:
        path: The file.
        size_px: Side of the square.
        mode: See `radalign.images.geometry.fit_square`.
        original: See `radalign.images.geometry.fit_square`. Where it is the very size that a DICOM header
            states, nothing was squashed, and the header's shape of a pixel and orientation count.
        window: See `read_image`.
        force_window: See `read_image`.
        crop_collimation: See `read_image`.
        max_pixels: See `read_image`.
        resize_px: With `crop`: the side to which the image is scaled before its middle is kept; 0 = size_px.
        resample: How it is resized.

    Returns:
        float32 [size_px, size_px], 0..1, bright = dense.

    Raises:
        ImageError: As `read_image`.
    """
    frame = _open(Path(path), window, force_window, crop_collimation, max_pixels)
    squashed = None if original == frame.written else original
    height, width = inner_size(upright_size(frame), resize_px or size_px, mode, squashed)
    if resample == "bicubic":
        return centre(resize_bicubic(frame.greys(frame.stored), height, width), size_px)
    if height > frame.stored.shape[0] or width > frame.stored.shape[1]:
        return centre(resize(frame.greys(frame.stored), height, width), size_px)
    return centre(shrink(frame.stored, frame.greys, height, width), size_px)


def upright_size(frame: Frame) -> tuple[int, int]:
    """Height and width of a frame once its pixels are square: the coarser side is stretched.

    References:
        DICOM PS3.3 C.7.6.3.1.7 (Pixel Aspect Ratio), 10.7.1.3 (Pixel Spacing).

    >>> upright_size(Frame(np.zeros((10, 10)), np.asarray, aspect=2.0))
    (20, 10)
    """
    height, width = frame.stored.shape
    if abs(frame.aspect - 1) < 0.01:
        return height, width
    if frame.aspect > 1:
        return max(1, round(height * frame.aspect)), width
    return height, max(1, round(width / frame.aspect))


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


def _open(path: Path, window: Window, force_window: bool, crop_collimation: bool, max_pixels: int) -> Frame:
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
        return read_frame(path, window, force_window, crop_collimation, max_pixels)
    return _open_raster(path, window, max_pixels)


def _open_raster(path: Path, window: Window, max_pixels: int) -> Frame:
    if not isinstance(window, str):
        raise ImageError(
            f"{path} is not DICOM, so a window in modality units means nothing; use data.window=percentile "
            "(in Python: window='percentile')."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(path)
        with image:
            check_size(path, image.width, image.height, max_pixels)
            frame = _raster_frame(ImageOps.exif_transpose(image), path)
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
    if window == "percentile":
        return Frame(stretch(frame.greys(frame.stored), 0.5, 99.5), np.asarray)
    return frame


def stretch(image: np.ndarray, low_percent: float, high_percent: float) -> np.ndarray:
    """Spread the grey values between two percentiles over 0..1, clipped; a flat image becomes 0.

    >>> stretch(np.array([[2.0, 4.0, 6.0]]), 0, 100).tolist()
    [[0.0, 0.5, 1.0]]
    """
    low, high = np.percentile(image, (low_percent, high_percent))
    if high <= low:
        return np.zeros(image.shape, np.float32)
    return np.asarray(np.clip((image - low) / (high - low), 0, 1), np.float32)


def _raster_frame(image: Image.Image, path: Path) -> Frame:
    if image.mode in _WIDE_MODES:
        return Frame(_wide_grey(image, path), lambda stored: np.asarray(stored, np.float32) / 65535)
    if image.mode == "F":
        return Frame(_float_grey(image, path), np.asarray)
    if image.mode in {"P", "PA"} or "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode in {"LA", "La", "RGBA", "RGBa"}:
        image = _over_black(image)
    return Frame(np.asarray(image.convert("L")), lambda stored: np.asarray(stored, np.float32) / 255)


def _wide_grey(image: Image.Image, path: Path) -> np.ndarray:
    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 65535:
        raise ImageError(f"{path} has grey values {low:g} to {high:g}; convert it to 16 bits.")
    return values


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
