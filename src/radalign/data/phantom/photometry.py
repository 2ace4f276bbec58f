"""How a picture is stored in DICOM: the inverse of what a reader does to show it.

0..1 ──(MONOCHROME1)──> ──(inverse window)──> modality value ──(inverse rescale)──> stored integer
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from radalign.data.phantom.grid import Array

INTERPRETATIONS = ("MONOCHROME1", "MONOCHROME2")
WINDOWS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
_SIGMOID_REACH = math.log(509)  # the logit of 1 - 1/510: half of an 8-bit step is left at either end


@dataclass(frozen=True)
class Photometry:
    """How grey values are stored and meant.

    Args:
        interpretation: `MONOCHROME1` (low is bright) or `MONOCHROME2`.
        bits: Bits stored, 8 to 16.
        window: The window's function: `LINEAR`, `LINEAR_EXACT` or `SIGMOID`.
        signed: Whether stored values are two's complement.
        slope: Rescale slope, above 0.
        intercept: Rescale intercept.
        headroom: Share of the stored range left unused at either end.

    Raises:
        ValueError: If a value is not one of these.

    >>> p = Photometry(bits=8, window="LINEAR_EXACT", headroom=0)
    >>> p.stored(np.array([[0.0, 0.5, 1.0]], np.float32)).tolist(), p.center, p.width
    ([[0, 128, 255]], 127.5, 255.0)
    """

    interpretation: str = "MONOCHROME2"
    bits: int = 12
    window: str = "LINEAR"
    signed: bool = False
    slope: float = 1.0
    intercept: float = 0.0
    headroom: float = 0.05

    def __post_init__(self) -> None:
        _one_of("photometric interpretation", self.interpretation, INTERPRETATIONS)
        _one_of("window function", self.window, WINDOWS)
        if not 8 <= self.bits <= 16:
            raise ValueError(f"{self.bits} bits cannot be stored; choose 8 to 16.")
        if not (self.slope > 0 and 0 <= self.headroom < 0.4):
            raise ValueError("The rescale slope must be above 0, and the headroom from 0 to below 0.4.")

    @property
    def limits(self) -> tuple[int, int]:
        """The smallest and the largest value that the bits can hold."""
        low = -(2 ** (self.bits - 1)) if self.signed else 0
        return low, low + 2**self.bits - 1

    @property
    def _used(self) -> tuple[float, float]:
        low, high = self.limits
        spare = math.floor(self.headroom * (high - low))
        return low + spare, high - spare

    @property
    def center(self) -> float:
        """Window center, in modality values."""
        low, high = self._used
        return self.slope * (low + high) / 2 + self.intercept + (0.5 if self.window == "LINEAR" else 0.0)

    @property
    def width(self) -> float:
        """Window width, in modality values."""
        low, high = self._used
        span = self.slope * (high - low)
        return {"LINEAR": span + 1, "LINEAR_EXACT": span, "SIGMOID": 2 * span / _SIGMOID_REACH}[self.window]

    def stored(self, image: Array) -> npt.NDArray[np.integer]:
        """The integers that a reader shows as this image.

        Args:
            image: float32 [H, W], 0..1, bright = dense.

        Returns:
            uint8, uint16 or int16 [H, W].

        References:
            DICOM PS3.3 C.11.2.1.2.1 (LINEAR), C.11.2.1.3 (SIGMOID, LINEAR_EXACT), C.7.6.3.1.2 (MONOCHROME1).
        """
        shown = np.clip(np.asarray(image, np.float64), 0, 1)
        shown = 1 - shown if self.interpretation == "MONOCHROME1" else shown
        low, high = self._used
        if self.window == "SIGMOID":
            inside = np.clip(shown, 1 / 510, 1 - 1 / 510)
            shown = 0.5 + np.log(inside / (1 - inside)) / (2 * _SIGMOID_REACH)
        # Values are spread over the used range; the half unit keeps 0.5 of an even range on the upper side.
        values = np.floor(low + shown * (high - low) + 0.5)
        small, sign = ("i1", "i2") if self.signed else ("u1", "u2")
        return values.astype(np.dtype(small if self.bits == 8 else f"<{sign}"))

    def error(self) -> float:
        """The largest error of what is shown, as a share of the grey scale.

        Half a stored step where the window is steepest; a sigmoid never reaches black and white.
        """
        if self.window == "SIGMOID":
            return max(0.5 * self.slope / self.width, (1 + 2 * self.slope / self.width) / 510)
        return 0.5 * self.slope / (self.width - (self.window == "LINEAR"))


def _one_of(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"The {what} {value!r} is unknown; choose one of {', '.join(known)}.")
