"""Geometry that a DICOM header states: the collimated field, which way is up, the shape of a pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def pixel_aspect(header: Dataset) -> float:
    """Height of a pixel over its width; 1 when the header does not say or says nonsense.

    A spacing counts before the ratio, which is for files that have none.

    References:
        DICOM PS3.3 10.7.1.3 (Pixel Spacing: between rows, between columns), C.8.7.1 (Imager Pixel Spacing),
        C.8.6.1 (Nominal Scanned Pixel Spacing), C.7.6.3.1.7 (Pixel Aspect Ratio: vertical over horizontal).

    >>> from pydicom.dataset import Dataset
    >>> header = Dataset()
    >>> header.PixelAspectRatio = ["2", "1"]
    >>> pixel_aspect(header)
    2.0
    """
    for keyword in _SHAPES_OF_A_PIXEL:
        height, width = _pair(header, keyword)
        if height > 0 and width > 0:
            ratio = height / width
            return ratio if 0.1 <= ratio <= 10 else 1.0
    return 1.0


def _pair(header: Dataset, keyword: str) -> tuple[float, float]:
    """Two numbers of an element; zeros where it has not two, or none that is a number, such as `0,143`."""
    try:
        value = header.get(keyword)
        several = isinstance(value, Sequence) and not isinstance(value, str)
        numbers = [float(number) for number in value] if several else []
    except (ValueError, TypeError):
        return 0.0, 0.0
    return (numbers[0], numbers[1]) if len(numbers) == 2 else (0.0, 0.0)


_SHAPES_OF_A_PIXEL = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio")


def upright(image: np.ndarray, header: Dataset) -> tuple[np.ndarray, bool]:
    """Turn an image so that it hangs as usual: head up, the patient's left on the right of a frontal view.

    Only what the header states is undone: without Patient Orientation, or with oblique directions, nothing
    is. A lateral is never mirrored, since both ways of facing are usual.

    Args:
        image: [H, W].
        header: The data set; `PatientOrientation` names where the rows and where the columns lead.

    Returns:
        The image, and whether its rows became columns.

    References:
        DICOM PS3.3 C.7.6.1.1.1 (Patient Orientation).

    >>> from pydicom.dataset import Dataset
    >>> header = Dataset()
    >>> header.PatientOrientation = ["R", "F"]
    >>> upright(np.array([[1, 2], [3, 4]]), header)[0].tolist()
    [[2, 1], [4, 3]]
    """
    value = header.get("PatientOrientation")
    rows, columns = (str(code) for code in value) if value and len(value) == 2 else ("", "")
    turned = rows in _UP_DOWN
    if turned:
        image, rows, columns = image.T, columns, rows
    if columns not in _UP_DOWN or rows not in _SIDEWAYS:
        return (image.T if turned else image), False
    image = image[::-1] if columns == "H" else image
    return (image[:, ::-1] if rows == "R" else image), turned


_UP_DOWN = frozenset({"H", "F"})
_SIDEWAYS = frozenset({"L", "R", "A", "P"})


def crop_to_collimation(image: np.ndarray, header: Dataset) -> np.ndarray:
    """Cut [H, W] to the rectangular collimator or shutter, or to the box around a polygonal one.

    An image whose header lacks the edges or the vertices is not cut; nor for a circular one.

    References:
        DICOM PS3.3 C.8.7.3 (X-Ray Collimator), C.7.6.11 (Display Shutter); edges count pixels from 1, and
        vertices are pairs of row and column.
    """
    for kind in ("Collimator", "Shutter"):
        shape = str(header.get(f"{kind}Shape", ""))
        if "RECTANGULAR" in shape:
            return _crop(image, [header.get(f"{kind}{edge}Edge") for edge in _EDGES])
        if "POLYGONAL" in shape:
            return _crop(image, _around(header.get(f"VerticesOfThePolygonal{kind}")))
    return image


_EDGES = ("UpperHorizontal", "LowerHorizontal", "LeftVertical", "RightVertical")


def _around(vertices: Sequence[int] | None) -> list[int]:
    """Top, bottom, left and right of a polygon given as row, column, row, column, ..."""
    if not isinstance(vertices, Sequence) or len(vertices) < 6:
        return []
    rows, columns = [int(v) for v in vertices[0::2]], [int(v) for v in vertices[1::2]]
    return [min(rows), max(rows), min(columns), max(columns)]


def _crop(image: np.ndarray, edges: Sequence[object]) -> np.ndarray:
    if len(edges) != 4 or any(edge is None for edge in edges):
        return image
    top, bottom, left, right = (int(str(edge)) for edge in edges)
    top, left = max(top - 1, 0), max(left - 1, 0)
    cut = image[top:bottom, left:right]
    return cut if cut.size and bottom > 0 and right > 0 else image
