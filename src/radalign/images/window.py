"""DICOM grey values: modality LUT, then VOI LUT or window, then polarity - as pure functions of numbers.

    stored ──(Modality LUT)──> modality value ──(VOI LUT | window)──> 0..1 ──(MONOCHROME1)──> bright = dense

Inverting before the window is the classic mistake: a window is defined on modality values, so polarity
comes last.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Window = Literal["dicom", "percentile"] | tuple[float, float]
Voi = Callable[[np.ndarray], np.ndarray]


def modality_lut(values: np.ndarray, header: Dataset) -> np.ndarray:
    """Stored values to modality values, by LUT or by slope and intercept; unchanged without either.

    Args:
        values: Stored values, any shape.
        header: A dataset with `ModalityLUTSequence` or `RescaleSlope` and `RescaleIntercept`.

    Returns:
        float64 of the same shape.

    References:
        DICOM PS3.3 C.11.1.1 (Modality LUT Module).
    """
    sequence = header.get("ModalityLUTSequence")
    if sequence:
        table, first, _ = lookup_table(sequence[0], signed=is_signed(header))
        return _look_up(values, table, first)
    slope, intercept = _number(header, "RescaleSlope", 1.0), _number(header, "RescaleIntercept", 0.0)
    return np.asarray(values, np.float64) * slope + intercept


def voi_transform(header: Dataset) -> Voi | None:
    """The file's own value-of-interest transform: its first VOI LUT, else its first window, else None.

    Returns:
        A function from modality values to 0..1.

    Raises:
        ValueError: If it cannot be used; the message says why.

    References:
        DICOM PS3.3 C.11.2.1 (VOI LUT Module: alternatives, of which an application applies one).
    """
    sequence = header.get("VOILUTSequence")
    if sequence:
        table, first, bits = lookup_table(sequence[0], signed=_modality_signed(header))
        return lambda values: _look_up(values, table, first) / (2**bits - 1)
    level, width = _first(header, "WindowCenter"), _first(header, "WindowWidth")
    if level is None or width is None:
        return None
    shape = str(header.get("VOILUTFunction") or "LINEAR").upper()
    check_window(width, shape)
    return lambda values: apply_window(values, level, width, shape)


def choose_voi(header: Dataset, window: Window) -> tuple[Voi | None, str]:
    """The transform from modality values to 0..1 that a window asks for; None where percentiles are.

    Returns:
        The transform, and why the file's own cannot be used where it cannot.

    >>> from pydicom.dataset import Dataset
    >>> header = Dataset()
    >>> header.WindowCenter, header.WindowWidth = 50, 0
    >>> choose_voi(header, "dicom")
    (None, "A LINEAR window of width 0 is not defined; window='percentile' needs none.")
    """
    if isinstance(window, tuple):
        return (lambda values: apply_window(values, *window)), ""
    if window == "percentile":
        return None, ""
    try:
        return voi_transform(header), ""
    except (ValueError, TypeError, AttributeError) as error:  # a number that is none, a LUT without its parts
        return None, str(error)


def apply_window(values: np.ndarray, level: float, width: float, shape: str = "LINEAR") -> np.ndarray:
    """Map modality values to 0..1 by a window.

    Args:
        values: Modality values, any shape.
        level: Window center.
        width: Window width; at least 1 for LINEAR, above 0 otherwise.
        shape: `LINEAR`, `LINEAR_EXACT` or `SIGMOID`.

    Returns:
        float64 of the same shape, 0..1.

    Raises:
        ValueError: If the width is too small or the function is unknown.

    References:
        DICOM PS3.3 C.11.2.1.2.1 (LINEAR), C.11.2.1.3.1 (SIGMOID), C.11.2.1.3.2 (LINEAR_EXACT).

    >>> apply_window(np.array([0.0, 2048.0, 4095.0]), 2048, 4096).tolist()
    [0.0, 0.5001221001221001, 1.0]
    >>> apply_window(np.array([0.0, 50.0, 100.0]), 50, 100, "LINEAR_EXACT").tolist()
    [0.0, 0.5, 1.0]
    """
    values = np.asarray(values, np.float64)
    check_window(width, shape)
    if shape == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(np.clip(-4 * (values - level) / width, -700, 700))))
    if shape == "LINEAR_EXACT":
        return np.clip((values - level) / width + 0.5, 0, 1)
    if width == 1:
        return np.where(values <= level - 0.5, 0.0, 1.0)
    return np.clip((values - (level - 0.5)) / (width - 1) + 0.5, 0, 1)


def check_window(width: float, shape: str) -> None:
    """Refuse a window that the standard does not define.

    Raises:
        ValueError: If the width is too small, or the function is unknown.
    """
    if shape not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        raise ValueError(f"The VOI LUT function {shape!r} is unknown; window='percentile' needs none.")
    least = width >= 1 if shape == "LINEAR" else width > 0
    if not (math.isfinite(width) and least):
        raise ValueError(
            f"A {shape} window of width {width:g} is not defined; window='percentile' needs none."
        )


def polarity(image: np.ndarray, photometric: str) -> np.ndarray:
    """Turn MONOCHROME1 (low = bright) so that bright = dense; leave everything else.

    References:
        DICOM PS3.3 C.7.6.3.1.2 (Photometric Interpretation).

    >>> polarity(np.array([0.0, 0.25]), "MONOCHROME1").tolist()
    [1.0, 0.75]
    """
    return 1 - image if photometric == "MONOCHROME1" else image


def is_signed(header: Dataset) -> bool:
    """Whether stored values are two's complement (Pixel Representation, PS3.3 C.7.6.3.1)."""
    return bool(header.get("PixelRepresentation", 0))


def lookup_table(item: Any, signed: bool) -> tuple[np.ndarray, int, int]:
    """A LUT item's entries, the first value mapped, and the bits of an entry.

    Args:
        item: An item of a Modality or VOI LUT Sequence.
        signed: Whether the input values are signed, which decides how the first value mapped is read.

    Raises:
        ValueError: If the table holds no entries.

    References:
        DICOM PS3.3 C.11.1.1.1 and C.11.2.1.1 (LUT Descriptor: 0 entries means 65,536).
    """
    entries, first, bits = (int(v) for v in item.LUTDescriptor)
    entries = entries or 65536
    first = first - 65536 if signed and first >= 32768 else first
    table = _entries(item, entries)[:entries] & 0xFFFF
    if not table.size:
        raise ValueError("A look-up table in the header is empty; window='percentile' needs none.")
    return table, first, bits


def _entries(item: Any, count: int) -> np.ndarray:
    """The data of a LUT item as int64; from its bytes where it has not been parsed, which takes long."""
    element = item.get_item("LUTData")
    if element is None:
        raise ValueError("A look-up table in the header has no data; window='percentile' needs none.")
    raw = element.value
    if isinstance(raw, bytes):
        order = "<" if getattr(element, "is_little_endian", True) else ">"
        raw = np.frombuffer(raw, np.uint8 if len(raw) < 2 * count else f"{order}u2")
    return np.atleast_1d(np.asarray([] if raw is None else raw)).astype(np.int64)


def _look_up(values: np.ndarray, table: np.ndarray, first: int) -> np.ndarray:
    index = np.clip(np.rint(values).astype(np.int64) - first, 0, len(table) - 1)
    return np.asarray(table[index], np.float64)


def _modality_signed(header: Dataset) -> bool:
    """Whether the VOI LUT's input can be negative (PS3.3 C.11.2.1.1)."""
    if header.get("ModalityLUTSequence"):
        return False
    slope, intercept = _number(header, "RescaleSlope", 1.0), _number(header, "RescaleIntercept", 0.0)
    bits = int(header.get("BitsStored", 16))
    lowest = -(2 ** (bits - 1)) if is_signed(header) else 0
    highest = lowest + 2**bits - 1
    return bool(min(lowest * slope, highest * slope) + intercept < 0)


def _number(header: Dataset, keyword: str, default: float) -> float:
    value = _first(header, keyword)
    return default if value is None else value


def _first(header: Dataset, keyword: str) -> float | None:
    value = header.get(keyword)
    if value is None or value == "":
        return None
    values = value if isinstance(value, (list, tuple)) or hasattr(value, "append") else [value]
    return float(values[0]) if len(values) else None
