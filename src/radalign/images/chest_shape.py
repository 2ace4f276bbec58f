"""Which way round a frontal chest is: compared with a chest drawn by a formula, turned, inverted and cut.

    image ─> 64 x 64 ─> correlation, inside a circle, with the drawn chest ─┬─ upright, up to 15 degrees off
                                                                           ├─ turned by 30 to 135 degrees
                                                                           ├─ upside down
                                                                           ├─ cut at one or at both sides
                                                                           └─ upright, with the greys inverted

What an image resembles most is what it is taken for, and its lead over the next says how sure that is. The
drawing holds no image of any data set: two dark lungs, a bright middle, a bright abdomen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from radalign.images.geometry import resize

_SIDE = 64
_UPRIGHT, _TURNED, _UPSIDE_DOWN = (
    (-15, 0, 15),
    (*range(-135, -15, 15), *range(30, 150, 15)),
    (150, 165, 180, 195, 210),
)
_ONE_SIDE_CUT = ((0.3, 0.0), (0.0, 0.3), (0.4, 0.0), (0.0, 0.4))  # shares of the width, left and right
_OTHER_CUTS = (
    (0.2, 0.0),
    (0.0, 0.2),
    (0.25, 0.25),
    (0.32, 0.32),
)  # too small, or both sides: quality.py counts those


@dataclass(frozen=True)
class ChestShape:
    """By how much more an image resembles a fault than anything else; a difference of correlations.

    Args:
        turned: Turned by about 30 to 135 degrees, either way.
        upside_down: Turned by about 180 degrees.
        inverted: Upright, with dark and bright exchanged.
        cut: A third of the chest or more is missing at one side.
    """

    turned: float
    upside_down: float
    inverted: float
    cut: float


def chest_shape(image: np.ndarray) -> ChestShape:
    """Compare an image with the drawn chest.

    Args:
        image: float32 [H, W], 0..1, bright = dense.

    >>> chest = drawn_chest(*_grid())
    >>> found = chest_shape(chest[::-1].astype(np.float32))
    >>> found.upside_down > 0.2, found.inverted > 0, found.turned > 0
    (True, False, False)
    """
    seen = _in_circle(resize(image, _SIDE, _SIDE).astype(np.float64))
    upright, turned, upside, cut, other = (np.asarray(group @ seen) for group in _templates())
    best = {
        "upright": upright.max(),
        "turned": turned.max(),
        "upside down": upside.max(),
        "cut": cut.max(),
        "cut otherwise": other.max(),
        "inverted": -upright.min(),
    }

    def lead(kind: str, *allied: str) -> float:
        return float(best[kind] - max(value for name, value in best.items() if name not in (kind, *allied)))

    return ChestShape(lead("turned"), lead("upside down"), lead("inverted"), lead("cut", "cut otherwise"))


def drawn_chest(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How dense a frontal chest is at points of the unit square, x from left to right and y downwards.

    >>> lung, spine, air = drawn_chest(np.array([0.3, 0.5, 0.01]), np.array([0.4, 0.4, 0.02]))
    >>> bool(air < lung < spine)
    True
    """
    off = np.abs(x - 0.5)
    shoulders = 0.02 + 0.54 * np.maximum(off - 0.2, 0)  # they slope down from the neck
    body = _rise((0.46 - off) / 0.02) * _rise((y - 0.06) / 0.03) * _rise((y - shoulders) / 0.03)
    lungs = sum(np.exp(-((((x - at) / 0.16) ** 2 + ((y - 0.42) / 0.32) ** 2) ** 2)) for at in (0.29, 0.71))
    middle = np.exp(-(((x - 0.5) / 0.09) ** 2))
    heart = np.exp(-(((x - 0.57) / 0.13) ** 2) - ((y - 0.65) / 0.15) ** 2)
    abdomen = _rise((y - 0.75) / 0.05)
    dense = 0.62 + 0.18 * middle + 0.25 * abdomen
    return np.asarray(body * dense - 0.42 * lungs * (1 - 0.9 * middle) + 0.15 * heart)


def _rise(z: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(np.clip(-z, -60, 60))))


def _grid() -> tuple[np.ndarray, np.ndarray]:
    middles = (np.arange(_SIDE) + 0.5) / _SIDE
    x, y = np.meshgrid(middles, middles)
    return x, y


@cache
def _templates() -> tuple[np.ndarray, ...]:
    """[templates, pixels in the circle] of each kind, of unit length."""
    angles = [[_turned(angle) for angle in group] for group in (_UPRIGHT, _TURNED, _UPSIDE_DOWN)]
    cuts = [[_cut(*sides) for sides in group] for group in (_ONE_SIDE_CUT, _OTHER_CUTS)]
    return tuple(np.stack([_in_circle(one) for one in group]) for group in (*angles, *cuts))


def _turned(degrees: float) -> np.ndarray:
    x, y = (part - 0.5 for part in _grid())
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return drawn_chest(0.5 + cosine * x + sine * y, 0.5 - sine * x + cosine * y)


def _cut(left: float, right: float) -> np.ndarray:
    x, y = _grid()
    return drawn_chest(left + x * (1 - left - right), y)


def _in_circle(image: np.ndarray) -> np.ndarray:
    """The pixels of the largest circle, which turning keeps inside; mean 0, length 1."""
    x, y = _grid()
    inside = image[np.hypot(x - 0.5, y - 0.5) < 0.5]
    inside = inside - inside.mean()
    return np.asarray(inside / (np.sqrt((inside * inside).sum()) + 1e-9))
