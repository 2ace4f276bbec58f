"""What goes wrong with an image, as a sentence."""

from __future__ import annotations


class ForcedWindowWarning(UserWarning):
    """A window in modality units was used on an image that has none."""


class ImageError(ValueError):
    """An image cannot be used; the message names the file and says what to do."""
