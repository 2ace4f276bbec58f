"""Geometry that a DICOM header states: the collimated field and the shape of a pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from radalign.images.geometry import resize

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def square_pixels(image: np.ndarray, header: Dataset) -> np.ndarray:
    """Stretch the shorter-sampled side of [H, W] so that a pixel is as wide as it is high.

    References:
        DICOM PS3.3 C.7.6.3.1.7 (Pixel Aspect Ratio: vertical over horizontal), 10.7.1.3 (Pixel Spacing).
    """
    ratio = pixel_aspect(header)
    if abs(ratio - 1) < 0.01:
        return image
    height, width = image.shape
    if ratio > 1:
        return resize(image, max(1, round(height * ratio)), width)
    return resize(image, height, max(1, round(width / ratio)))


def pixel_aspect(header: Dataset) -> float:
    """Height of a pixel over its width; 1 when the header does not say or says nonsense.

    >>> from pydicom.dataset import Dataset
    >>> header = Dataset()
    >>> header.PixelAspectRatio = ["2", "1"]
    >>> pixel_aspect(header)
    2.0
    """
    for keyword in ("PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing"):
        value = header.get(keyword)
        if value is not None and len(value) == 2 and float(value[0]) > 0 and float(value[1]) > 0:
            ratio = float(value[0]) / float(value[1])
            return ratio if 0.1 <= ratio <= 10 else 1.0
    return 1.0


def crop_to_collimation(image: np.ndarray, header: Dataset) -> np.ndarray:
    """Cut [H, W] to the rectangular collimator or shutter, when the header has its four edges.

    References:
        DICOM PS3.3 C.8.7.3 (X-Ray Collimator), C.7.6.11 (Display Shutter); edges count pixels from 1.
    """
    for shape, prefix in (("CollimatorShape", "Collimator"), ("ShutterShape", "Shutter")):
        if "RECTANGULAR" in str(header.get(shape, "")):
            return _crop(image, [header.get(f"{prefix}{edge}Edge") for edge in _EDGES])
    return image


_EDGES = ("UpperHorizontal", "LowerHorizontal", "LeftVertical", "RightVertical")


def _crop(image: np.ndarray, edges: list[object]) -> np.ndarray:
    if any(edge is None for edge in edges):
        return image
    top, bottom, left, right = (int(str(edge)) for edge in edges)
    top, left = max(top - 1, 0), max(left - 1, 0)
    cut = image[top:bottom, left:right]
    return cut if cut.size and bottom > 0 and right > 0 else image
