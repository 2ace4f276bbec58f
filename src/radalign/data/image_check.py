"""Looking at one image: is it there, does it decode, and what is seen of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from radalign.data.first_bytes import MISSING, UNREADABLE
from radalign.images.errors import ImageError

if TYPE_CHECKING:
    from radalign.images.quality import Quality


@dataclass(frozen=True)
class ImageCheck:
    """What looking at one image gave.

    Args:
        fault: Why it cannot be used, as (reason, sentence); None when it can.
        fingerprint: See `radalign.images.fingerprint`; b"" when the image was not decoded.
        frontal: See `radalign.images.position`; None when the image was not decoded.
        quality: See `radalign.images.quality`; None when it was not measured.
    """

    fault: tuple[str, str] | None = None
    fingerprint: bytes = b""
    frontal: float | None = None
    quality: Quality | None = None


def check_image(path: str, root: Path, quality: bool = False) -> ImageCheck:
    """Decode one image, or say why it cannot be."""
    from radalign.images.fingerprint import fingerprint
    from radalign.images.position import frontal_score
    from radalign.images.quality import measure
    from radalign.images.read import read_image

    if not (root / path).is_file():
        return ImageCheck((MISSING, path))
    try:
        image = read_image(root / path)
    except ImageError as error:
        return ImageCheck((UNREADABLE, str(error).replace(f"{root}{os.sep}", "")))
    except Exception as error:  # a file that no reader foresaw is reported like any other broken one
        return ImageCheck((UNREADABLE, f"{path} cannot be decoded ({type(error).__name__}: {error})."))
    measured = measure(image) if quality else None
    return ImageCheck(None, fingerprint(image), frontal_score(image), measured)
