"""Resizing, and the three ways to make a square: stretch, crop, pad."""

from __future__ import annotations

from typing import Literal

import numpy as np
from PIL import Image

Fit = Literal["stretch", "crop", "pad"]
Resample = Literal["bilinear", "bicubic"]


def resize(image: np.ndarray, height_px: int, width_px: int) -> np.ndarray:
    """Resize by bilinear interpolation, antialiased where it shrinks.

    Args:
        image: float32 [H, W].
        height_px: New height.
        width_px: New width.

    Returns:
        float32 [height_px, width_px], within the range of the input.

    >>> resize(np.array([[0.0, 1.0], [0.0, 1.0]], np.float32), 1, 1).tolist()
    [[0.5]]
    """
    if height_px < 1 or width_px < 1:
        raise ValueError(f"An image cannot become {height_px} x {width_px} pixels; ask for at least 1 x 1.")
    image = np.ascontiguousarray(image, np.float32)
    if image.shape == (height_px, width_px):
        return image
    resized = Image.fromarray(image).resize((width_px, height_px), Image.Resampling.BILINEAR)
    return np.asarray(resized, np.float32)


def resize_bicubic(image: np.ndarray, height_px: int, width_px: int) -> np.ndarray:
    """Resize by bicubic interpolation, antialiased where it shrinks, in 8 bits as the published code does.

    Args:
        image: float32 [H, W], 0..1.
        height_px: New height.
        width_px: New width.

    Returns:
        float32 [height_px, width_px], multiples of 1/255 in 0..1: what overshoots is cut.

    >>> resize_bicubic(np.array([[0.0, 1.0], [0.0, 1.0]], np.float32), 2, 2).tolist()
    [[0.0, 1.0], [0.0, 1.0]]
    """
    whole = Image.fromarray((np.asarray(image) * 255).round().astype(np.uint8))
    resized = whole.resize((width_px, height_px), Image.Resampling.BICUBIC)
    return np.asarray(resized, np.float32) / 255


def fit_square(
    image: np.ndarray, size_px: int, mode: Fit = "stretch", original: tuple[int, int] | None = None
) -> np.ndarray:
    """Make a square of an image.

    Args:
        image: float32 [H, W].
        size_px: Side of the square.
        mode: `stretch` squashes the image into the square, `crop` keeps the middle of the longer side,
            `pad` keeps everything and fills with black.
        original: (width, height) in pixels before the source squashed the image; restores its aspect ratio
            first (only `crop` and `pad` can tell the difference). A zero means unknown.

    Returns:
        float32 [size_px, size_px].

    Raises:
        ValueError: If the mode is unknown.

    >>> wide = np.ones((2, 4), np.float32)
    >>> fit_square(wide, 4, "pad").sum(axis=1).tolist()
    [0.0, 4.0, 4.0, 0.0]
    """
    height, width = inner_size(image.shape[:2], size_px, mode, original)
    return centre(resize(image, height, width), size_px)


def inner_size(
    shape: tuple[int, ...], size_px: int, mode: Fit, original: tuple[int, int] | None = None
) -> tuple[int, int]:
    """Height and width of the whole image when it is scaled to cover (`crop`) or to fit (`pad`) the square.

    Raises:
        ValueError: If the mode is unknown.

    >>> inner_size((100, 200), 50, "crop"), inner_size((100, 200), 50, "pad")
    ((50, 100), (25, 50))
    >>> inner_size((9, 9), 50, "pad", original=(2, 1))
    (25, 50)
    """
    if mode == "stretch":
        return size_px, size_px
    if mode not in ("crop", "pad"):
        raise ValueError(f"The geometry {mode!r} is unknown; use stretch, crop or pad.")
    height, width = shape
    if original is not None and all(original):
        width, height = original
    scale = size_px / (min(height, width) if mode == "crop" else max(height, width))
    sides = (max(1, round(height * scale)), max(1, round(width * scale)))
    return sides if mode == "pad" else (max(size_px, sides[0]), max(size_px, sides[1]))


def centre(image: np.ndarray, size_px: int) -> np.ndarray:
    """Cut or fill each side to `size_px`, keeping the middle; what is filled is black.

    >>> centre(np.ones((1, 4), np.float32), 2).tolist()
    [[1.0, 1.0], [0.0, 0.0]]
    """
    if image.shape == (size_px, size_px):
        return image
    square = np.zeros((size_px, size_px), np.float32)
    (into_rows, from_rows), (into_columns, from_columns) = (_middle(side, size_px) for side in image.shape)
    square[into_rows, into_columns] = image[from_rows, from_columns]
    return square


def _middle(side: int, size_px: int) -> tuple[slice, slice]:
    """Where the middle of a side goes in the square, and where it comes from."""
    common, into, out_of = min(side, size_px), max(size_px - side, 0) // 2, max(side - size_px, 0) // 2
    return slice(into, into + common), slice(out_of, out_of + common)
