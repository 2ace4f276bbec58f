"""Text burned into an image: found by its edges, read by OCR, masked from its neighbourhood, and read again.

    find_marks ─ sharp strokes, both bright-to-dark and dark-to-bright, close together ─> boxes
    Reader     ─ OCR, where RapidOCR is installed (extra `ocr`) ─────────────────────────> words
    clean      ─ boxes whose every word is a safe mark (L, R, PORTABLE) stay, the rest is filled, all is read
    again

Without a reader nothing can be told to be safe, so every mark found is masked. Faint, blurred or large
handwriting may have no sharp strokes: what was not found is not masked, and the audit must say so.

References:
    DICOM PS3.15 E.3.1 (Clean Pixel Data Option); ClinVLA, section 3.1 (edges and OCR, mean of the
    neighbours).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

SAFE_MARKS = frozenset({
    "L", "R", "LT", "RT", "LEFT", "RIGHT", "AP", "PA", "LAT", "LATERAL", "LL", "RL", "FRONTAL",
    "PORTABLE", "PORT", "MOBILE", "SUPINE", "ERECT", "UPRIGHT", "SEMI", "SEMIERECT", "SEMIUPRIGHT",
    "SITTING", "STANDING", "SEATED", "PRONE", "DECUB", "DECUBITUS", "INSP", "INSPIRATION", "EXP",
    "EXPIRATION", "CHEST", "THORAX", "BED", "BEDSIDE",
})  # fmt: skip
"""Words that tell how an image was made and never who was imaged."""

_STEP = 0.22  # of the grey range between neighbouring pixels: anatomy is smoother, even at bone edges
_BLANK = 1e-6
_CELLS = 160  # per longer side
_MIN_STEPS = 24
_MIN_SIDE_PX, _MAX_SHARE_OF_SIDE = 5, 0.8
_BOTH_SIGNS = 0.25
_FILL_RANGE = (0.015, 0.75)


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels, `bottom` and `right` exclusive.

    >>> Box(0, 0, 4, 4).overlaps(Box(3, 3, 5, 5)), Box(0, 0, 4, 4).overlaps(Box(4, 0, 5, 5))
    (True, False)
    """

    top: int
    left: int
    bottom: int
    right: int

    def overlaps(self, other: Box) -> bool:
        """Whether they share a pixel."""
        apart = self.bottom <= other.top or other.bottom <= self.top
        return not (apart or self.right <= other.left or other.right <= self.left)

    def grown(self, by_px: int, shape: tuple[int, ...]) -> Box:
        """The box with a margin, cut to the image."""
        return Box(max(0, self.top - by_px), max(0, self.left - by_px),
                   min(shape[0], self.bottom + by_px), min(shape[1], self.right + by_px))  # fmt: skip

    def joined(self, other: Box) -> Box:
        """The smallest box around both."""
        return Box(min(self.top, other.top), min(self.left, other.left),
                   max(self.bottom, other.bottom), max(self.right, other.right))  # fmt: skip


@dataclass(frozen=True)
class Mark:
    """Something written on an image; `text` is "" where it was not or could not be read."""

    box: Box
    text: str = ""

    @property
    def is_safe(self) -> bool:
        """Whether it was read and every word of it is a safe mark.

        >>> Mark(Box(0, 0, 1, 1), "PORTABLE  AP").is_safe, Mark(Box(0, 0, 1, 1), "DOE").is_safe
        (True, False)
        """
        words = re.findall(r"\w+", self.text.upper().replace("-", ""))
        return bool(words) and all(word in SAFE_MARKS for word in words)


class Reader(Protocol):
    """OCR: finds text in a picture, and reads a small picture that holds one line."""

    def find(self, picture: np.ndarray) -> list[Mark]:
        """Text lines of a uint8 [H, W] picture."""

    def read(self, picture: np.ndarray) -> str:
        """The one line of a uint8 [H, W] picture, "" if there is none."""


@dataclass(frozen=True)
class Cleaned:
    """An image without its unsafe marks.

    Args:
        image: As given, the masked boxes filled.
        masked: Marks that were filled.
        kept: Marks that were read as safe.
        residual: Unsafe marks that were found in the cleaned image.
        was_read: Whether a reader looked at it; without one "no residual" means little.
    """

    image: np.ndarray
    masked: tuple[Mark, ...]
    kept: tuple[Mark, ...]
    residual: tuple[Mark, ...]
    was_read: bool


def clean(image: np.ndarray, reader: Reader | None = None, band: float = 0.5) -> Cleaned:
    """Mask every mark that is not known to be safe, and look again.

    Args:
        image: [H, W] of any number type, or [H, W, 3].
        reader: OCR; None masks everything that looks like a mark.
        band: Width of the border bands that are searched, as a share of each side; 0.5 is the whole image.
    """
    marks = find_marks(image, reader, band)
    unsafe = tuple(mark for mark in marks if not mark.is_safe)
    out = image
    for mark in unsafe:
        out = fill(out, _with_room(mark.box, image.shape))
    residual = tuple(m for m in find_marks(out, reader, band) if not m.is_safe) if unsafe else ()
    return Cleaned(out, unsafe, tuple(m for m in marks if m.is_safe), residual, reader is not None)


def find_marks(image: np.ndarray, reader: Reader | None = None, band: float = 0.5) -> list[Mark]:
    """What is written on an image, found by its edges and, with a reader, by OCR too."""
    picture = _as_picture(image)
    marks = [Mark(box) for box in find_by_edges(picture) if _in_band(box, picture.shape, band)]
    if reader is None:
        return marks
    found = [mark for mark in reader.find(picture) if _in_band(mark.box, picture.shape, band)]
    alone = [mark for mark in marks if not any(mark.box.overlaps(f.box) for f in found)]
    found += [Mark(mark.box, reader.read(_crop(picture, mark.box))) for mark in alone]
    return found


def find_by_edges(picture: np.ndarray) -> list[Box]:
    """Boxes around groups of sharp strokes.

    A stroke has a step up and a step down close together; a collimator edge has one of them, along a
    straight line.

    Args:
        picture: uint8 [H, W].
    """
    steps = np.diff(picture.astype(np.int16), axis=1, prepend=picture[:, :1].astype(np.int16))
    limit = int(_STEP * 255)
    up, down = steps >= limit, steps <= -limit
    if not (up.any() and down.any()):
        return []
    cell = max(4, round(max(picture.shape) / _CELLS))
    both = _per_cell(up, cell).astype(bool) | _per_cell(down, cell).astype(bool)
    boxes = []
    for top, left, bottom, right in _groups(_widened(both)):
        area = Box(top * cell, left * cell, bottom * cell, right * cell)
        tight = _tight(up | down, area)
        if tight and _is_writing(up, down, tight, picture.shape):
            boxes.append(tight)
    return boxes


def fill(image: np.ndarray, box: Box) -> np.ndarray:
    """A copy whose box continues what surrounds it, from the four borders, nearer ones counting more.

    >>> fill(np.array([[1, 1, 1], [1, 9, 1], [1, 1, 1]]), Box(1, 1, 2, 2))[1, 1]
    np.int64(1)
    """
    out = image.copy()
    height, width = box.bottom - box.top, box.right - box.left
    ring = box.grown(1, image.shape)
    around = out[ring.top : ring.bottom, ring.left : ring.right].astype(np.float64)
    inside = np.zeros(around.shape[:2], bool)
    inside[box.top - ring.top :, box.left - ring.left :][:height, :width] = True
    mean = around[~inside].mean(axis=0) if (~inside).any() else around.mean(axis=(0, 1))
    total = np.zeros((height, width, *image.shape[2:]))
    weight = np.zeros((height, width))
    for border, distance in _borders(out, box):
        share = 1.0 / distance
        total += border * (share if total.ndim == 2 else share[..., None])
        weight += share
    blank = weight <= _BLANK
    weight[blank] = 1.0
    filled = total / (weight if total.ndim == 2 else weight[..., None])
    filled[blank] = mean
    out[box.top : box.bottom, box.left : box.right] = (
        filled if np.issubdtype(out.dtype, np.floating) else np.rint(filled)
    )
    return out


def rapid_reader() -> Reader | None:
    """RapidOCR with the models that it ships, or None where it is not installed."""
    if find_spec("rapidocr") is None:
        return None
    import logging

    from rapidocr import RapidOCR

    logging.getLogger("RapidOCR").setLevel(logging.ERROR)
    return _Rapid(RapidOCR(params={"Global.log_level": "error"}))


def choose_reader(ocr: str) -> Reader | None:
    """OCR as a user asks for it.

    Args:
        ocr: `auto` uses it where it is installed, `on` needs it, `off` does without.

    Raises:
        ValueError: If the choice is unknown, or OCR is needed and not installed.
    """
    if ocr not in ("auto", "on", "off"):
        raise ValueError(f"ocr is {ocr!r}; use one of auto, on, off.")
    reader = None if ocr == "off" else rapid_reader()
    if ocr == "on" and reader is None:
        raise ValueError("OCR is not installed; install radalign[ocr], or use --ocr off.")
    return reader


class _Rapid:
    """RapidOCR behind our contract."""

    def __init__(self, engine: Callable[..., Any]) -> None:
        self.engine = engine

    def find(self, picture: np.ndarray) -> list[Mark]:
        # RapidOCR remembers these switches from call to call, so each call sets all of them.
        result = self.engine(np.stack([picture] * 3, axis=-1), use_det=True, use_cls=False, use_rec=True)
        corners = [] if result.boxes is None else result.boxes
        return [Mark(_around(np.asarray(c)), t) for c, t in zip(corners, result.txts or (), strict=True)]

    def read(self, picture: np.ndarray) -> str:
        result = self.engine(np.stack([picture] * 3, axis=-1), use_det=False, use_cls=False, use_rec=True)
        return " ".join(result.txts or ())


def _around(corners: np.ndarray) -> Box:
    left, top = np.floor(corners.min(axis=0)).astype(int)
    right, bottom = np.ceil(corners.max(axis=0)).astype(int)
    return Box(max(0, int(top)), max(0, int(left)), int(bottom), int(right))


def _as_picture(image: np.ndarray) -> np.ndarray:
    """uint8 [H, W], the whole grey range used; colours become their mean."""
    grey = image.mean(axis=2) if image.ndim == 3 else image
    low, high = float(grey.min()), float(grey.max())
    if high <= low:
        return np.zeros(grey.shape, np.uint8)
    return np.asarray(np.rint((grey.astype(np.float32) - low) * (255 / (high - low))), np.uint8)


def _in_band(box: Box, shape: tuple[int, ...], band: float) -> bool:
    height, width = shape[0] * band, shape[1] * band
    inner = Box(int(height), int(width), int(np.ceil(shape[0] - height)), int(np.ceil(shape[1] - width)))
    inside = box.top >= inner.top and box.left >= inner.left
    return not (inside and box.bottom <= inner.bottom and box.right <= inner.right)


def _per_cell(steps: np.ndarray, cell: int) -> np.ndarray:
    """How many steps each cell holds: [ceil(H / cell), ceil(W / cell)]."""
    rows, columns = -(-steps.shape[0] // cell), -(-steps.shape[1] // cell)
    padded = np.zeros((rows * cell, columns * cell), np.uint8)
    padded[: steps.shape[0], : steps.shape[1]] = steps
    blocks = padded.reshape(rows, cell, columns, cell)  # [R, cell, C, cell]
    return np.asarray(blocks.sum(axis=(1, 3), dtype=np.int32))


def _widened(cells: np.ndarray) -> np.ndarray:
    """Letters of a line touch: two cells to each side, one up and down."""
    wide = cells.copy()
    for by in (1, 2):
        wide[:, by:] |= cells[:, :-by]
        wide[:, :-by] |= cells[:, by:]
    high = wide.copy()
    high[1:] |= wide[:-1]
    high[:-1] |= wide[1:]
    return high


def _groups(cells: np.ndarray) -> list[tuple[int, int, int, int]]:
    """(top, left, bottom, right) in cells of each group of touching cells, by flood fill."""
    left = {(int(r), int(c)) for r, c in zip(*np.nonzero(cells), strict=True)}
    groups = []
    while left:
        group = stack = [left.pop()]
        for row, column in stack:
            near = {(row + r, column + c) for r in (-1, 0, 1) for c in (-1, 0, 1)} & left
            left -= near
            stack.extend(near)
        rows, columns = [r for r, _ in group], [c for _, c in group]
        groups.append((min(rows), min(columns), max(rows) + 1, max(columns) + 1))
    return groups


def _tight(steps: np.ndarray, area: Box) -> Box | None:
    part = steps[area.top : area.bottom, area.left : area.right]
    rows, columns = np.nonzero(part.any(axis=1))[0], np.nonzero(part.any(axis=0))[0]
    if not len(rows):
        return None
    return Box(area.top + int(rows[0]), area.left + int(columns[0]),
               area.top + int(rows[-1]) + 1, area.left + int(columns[-1]) + 1)  # fmt: skip


def _is_writing(up: np.ndarray, down: np.ndarray, box: Box, shape: tuple[int, ...]) -> bool:
    """Enough steps, both up and down, neither a line across the image nor a solid block of noise."""
    height, width = box.bottom - box.top, box.right - box.left
    if min(height, width) < _MIN_SIDE_PX - 2 or max(height / shape[0], width / shape[1]) > _MAX_SHARE_OF_SIDE:
        return False
    ups, downs = (int(s[box.top : box.bottom, box.left : box.right].sum()) for s in (up, down))
    if ups + downs < _MIN_STEPS or min(ups, downs) < _BOTH_SIGNS * max(ups, downs):
        return False
    return _FILL_RANGE[0] <= (ups + downs) / (height * width) <= _FILL_RANGE[1]


def _crop(picture: np.ndarray, box: Box) -> np.ndarray:
    room = max(8, (box.bottom - box.top) // 2)
    wide = box.grown(room, picture.shape)
    return picture[wide.top : wide.bottom, wide.left : wide.right]


def _with_room(box: Box, shape: tuple[int, ...]) -> Box:
    """Room for the soft rim of letters; a line of text near an edge goes on to it, for letters cut there."""
    height = box.bottom - box.top
    room = box.grown(max(2, round(max(shape[:2]) / 400), height // 6), shape)
    left = 0 if room.left < height else room.left
    right = shape[1] if shape[1] - room.right < height else room.right
    return Box(room.top, left, room.bottom, right)


def _borders(image: np.ndarray, box: Box) -> Sequence[tuple[np.ndarray, np.ndarray]]:
    """(border values, distance to it) for each side inside the image; both broadcast to [height, width]."""
    height, width = box.bottom - box.top, box.right - box.left
    down, right = np.mgrid[1 : height + 1, 1 : width + 1].astype(np.float64)
    rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)
    sides = []
    if box.top > 0:
        sides.append((image[box.top - 1, columns][None], down))
    if box.bottom < image.shape[0]:
        sides.append((image[box.bottom, columns][None], height + 1 - down))
    if box.left > 0:
        sides.append((image[rows, box.left - 1][:, None], right))
    if box.right < image.shape[1]:
        sides.append((image[rows, box.right][:, None], width + 1 - right))
    return sides
