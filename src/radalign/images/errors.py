"""What goes wrong with an image, as a sentence."""

from __future__ import annotations


class ImageError(ValueError):
    """An image cannot be used; the message names the file and says what to do."""
