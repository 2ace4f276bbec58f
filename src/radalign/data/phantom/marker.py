"""Letters burned into the pixels: the word SIMULATED in every image, and the side marker when asked."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from radalign.data.phantom.grid import Array

WORD = "SIMULATED"


def burn_in(image: Array, position: str, side_marker: bool) -> Array:
    """Write the word SIMULATED into the lower corner of an image, and a side marker if asked, in place.

    Args:
        image: float32 [H, W], 0..1.
        position: `PA`, `AP` or `LL`.
        side_marker: Put an L where the patient's left is (upper right of a frontal view).

    Returns:
        The same image.
    """
    size = image.shape[0]
    word = letters(WORD, max(7, round(0.034 * size)))
    _paste(image, word, size - word.shape[0] - 3, 3)
    if side_marker:
        sign = letters("L" if position != "AP" else "L AP", max(9, round(0.06 * size)))
        _paste(image, sign, round(0.03 * size) + 2, size - sign.shape[1] - round(0.03 * size))
    return image


@lru_cache(maxsize=16)
def letters(text: str, height_px: int) -> Array:
    """White letters on nothing, float32 [h, w], 0..1, with an empty rim of one pixel."""
    font = ImageFont.load_default(size=height_px)
    left, top, right, bottom = font.getbbox(text)
    canvas = Image.new("L", (int(right - left) + 2, int(bottom - top) + 2))
    ImageDraw.Draw(canvas).text((1 - left, 1 - top), text, fill=255, font=font)
    return np.asarray(np.asarray(canvas) / 255, np.float32)


def _paste(image: Array, ink: Array, top: int, left: int) -> None:
    spot = image[top : top + ink.shape[0], left : left + ink.shape[1]]
    ink = ink[: spot.shape[0], : spot.shape[1]]
    spot *= 0.45 * (1 - ink)
    spot += 0.95 * ink
