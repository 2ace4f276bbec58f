"""Text burned into an image: found by its edges, read by OCR, masked from its neighbourhood, and read again.

    find_marks ─ sharp strokes close together (strokes.py) ──────────────────────────────> boxes
    Reader     ─ OCR, where RapidOCR is installed (extra `ocr`) ─────────────────────────> words
    clean      ─ boxes whose every word is safe (safe_words.py: L, R, PORTABLE) stay, the rest is filled
    (fill.py), all is read again

A box larger than a label, or in the middle of the image, is left as it is and reported; so is one that lies
on tissue and in which a reader finds no word, for half a pacemaker is a C to it. Without a reader nothing can
be told to be safe, so every mark found is masked. Faint, blurred or large handwriting may have no sharp
strokes: what was not found is not masked, and the audit must say so.

References:
    DICOM PS3.15 E.3.1 (Clean Pixel Data Option); ClinVLA, section 3.1 (edges and OCR, mean of the
    neighbours).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

from radalign.images.faint_lines import find_faint_lines
from radalign.images.fill import fill
from radalign.images.safe_words import are_safe, words_of
from radalign.images.strokes import Box, find_by_edges, too_large

_WHOLE = 0.8  # of both sides
_PASSES = 2
_BAND_ROOM = 1.5  # a mark found in a border band may reach out of it by half its width, not to the middle
_LINE = 3.0  # times as long as wide: writing whether or not it could be read
_AIR, _TISSUE_SHARE = 0.08, 0.5  # of the grey range at both of its ends; of what is around a mark
_SAME = 0.5  # of a mark's area: one that a second look takes for another word
_RIMS = 0.22, 0.3  # of a circled letter's box, which a reader may have found with some room around it
_SIDES = frozenset({"L", "R", "D"})


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
        return are_safe(self.text)

    @property
    def has_a_word(self) -> bool:
        """Whether more than one letter was read.

        >>> Mark(Box(0, 0, 1, 1), "JD").has_a_word, Mark(Box(0, 0, 1, 1), "C.").has_a_word
        (True, False)
        """
        return sum(map(len, words_of(self.text))) > 1


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
        left: Unsafe marks that were not filled: larger than a label, reaching the middle, or on tissue and
            without a word that a reader could find.
        residual: Other unsafe marks that were found in the cleaned image.
        was_read: Whether a reader looked at it; without one "no residual" means little.
    """

    image: np.ndarray
    masked: tuple[Mark, ...]
    kept: tuple[Mark, ...]
    left: tuple[Mark, ...]
    residual: tuple[Mark, ...]
    was_read: bool


def clean(image: np.ndarray, reader: Reader | None = None, band: float = 0.5) -> Cleaned:
    """Mask every mark that is not known to be safe, look again, mask what is found then, and look once more.

    Args:
        image: [H, W] of any number type, or [H, W, 3].
        reader: OCR; None masks everything that looks like a mark.
        band: Width of the border bands that are searched, as a share of each side; 0.5 is the whole image.
    """
    found = find_marks(image, reader, band)
    safe = tuple(mark for mark in found if mark.is_safe)
    out, masked, left = image, tuple[Mark, ...](), tuple[Mark, ...]()
    # What a first filling leaves, such as the tail of a letter, goes with a second one.
    for _ in range(_PASSES):
        unsafe = [m for m in found if not (m.is_safe or _is_known(m, left, safe if masked else ()))]
        now = tuple(m for m in unsafe if _may_be_filled(m.box, image.shape, band))
        if reader is not None:
            near = [m.box for m in (*unsafe, *masked) if m.has_a_word or m in masked]
            now = tuple(m for m in now if not _may_be_an_implant(image, m, near))
        left += tuple(mark for mark in unsafe if mark not in now) if not masked else ()
        if not now:
            break
        boxes = [_with_room(mark.box, image.shape) for mark in now]
        out = fill(out, boxes, avoid=[mark.box for mark in safe])
        masked += tuple(mark for mark in now if mark not in masked)
        out = _with_safe(out, image, safe, masked)
        found = find_marks(out, reader, band)
    again = found if masked else []
    residual = tuple(m for m in again if not (m.is_safe or _is_known(m, left, safe)))
    return Cleaned(out, masked, safe, left, residual, reader is not None)


def _is_known(mark: Mark, left: Sequence[Mark], safe: Sequence[Mark]) -> bool:
    """Whether an earlier look left it, or read most of it as safe: SUPINE is not lost for a later SOPINE."""
    if any(mark.box.overlaps(other.box) for other in left):
        return True
    return any(mark.box.shared(other.box) >= _SAME * mark.box.area for other in safe)


def _may_be_an_implant(image: np.ndarray, mark: Mark, near: Sequence[Box]) -> bool:
    """Whether a mark in which no word was read lies on tissue, is no line, and stands by no other writing."""
    height, width = mark.box.bottom - mark.box.top, mark.box.right - mark.box.left
    if mark.has_a_word or max(height, width) >= _LINE * min(height, width):
        return False
    around = mark.box.grown(max(2, max(height, width) // 2), image.shape)
    if any(box != mark.box and box.overlaps(around) for box in near):
        return False
    grey = image.mean(axis=2) if image.ndim == 3 else image
    low, high = float(grey.min()), float(grey.max())
    ring = np.ones(image.shape[:2], bool)[around.top : around.bottom, around.left : around.right]
    ring[mark.box.top - around.top :, mark.box.left - around.left :][:height, :width] = False
    beside = (grey[around.top : around.bottom, around.left : around.right][ring] - low) / max(
        high - low, 1e-9
    )
    is_tissue = (beside > _AIR) & (beside < 1 - _AIR)
    return bool(beside.size and is_tissue.mean() > _TISSUE_SHARE)


def find_marks(image: np.ndarray, reader: Reader | None = None, band: float = 0.5) -> list[Mark]:
    """What is written on an image, found by its edges and, with a reader, by OCR too."""
    picture = _as_picture(image)
    boxes = _joined([*find_by_edges(picture), *find_faint_lines(picture)], picture.shape)
    marks = [Mark(box) for box in boxes if _in_band(box, picture.shape, band)]
    if reader is None:
        return marks
    found = [mark for mark in reader.find(picture) if _in_band(mark.box, picture.shape, band)]
    alone = [mark for mark in marks if not any(mark.box.overlaps(f.box) for f in found)]
    found += [Mark(mark.box, reader.read(_crop(picture, mark.box))) for mark in alone]
    return [_uncircled(mark, picture, reader) for mark in found]


def _uncircled(mark: Mark, picture: np.ndarray, reader: Reader) -> Mark:
    """A mark as high as wide that was read as no word or one letter: a circle may hold a side letter."""
    height, width = mark.box.bottom - mark.box.top, mark.box.right - mark.box.left
    if mark.has_a_word or mark.is_safe or max(height, width) > 1.5 * min(height, width):
        return mark
    for rim in _RIMS:
        down, across = round(rim * height), round(rim * width)
        rows = slice(mark.box.top + down, mark.box.bottom - down)
        inside = picture[rows, mark.box.left + across : mark.box.right - across]
        if not inside.size:
            continue
        text = reader.read(np.pad(inside, max(4, min(inside.shape) // 2), mode="median")).strip()
        if text.upper() in _SIDES:
            return Mark(mark.box, text)
    return mark


def _with_safe(
    filled: np.ndarray, image: np.ndarray, safe: Sequence[Mark], masked: Sequence[Mark]
) -> np.ndarray:
    """The filled image with safe marks whole: the room around initials must not cut the L beside them."""
    kept = np.zeros(image.shape[:2], bool)
    for marks, value in ((safe, True), (masked, False)):
        for mark in marks:
            kept[mark.box.top : mark.box.bottom, mark.box.left : mark.box.right] = value
    out = filled.copy()
    out[kept] = image[kept]
    return out


def _joined(boxes: Sequence[Box], shape: tuple[int, ...]) -> list[Box]:
    """Overlapping boxes as one, where that is not larger than a label."""
    out: list[Box] = []
    for box in boxes:
        for other in [o for o in out if o.overlaps(box) and not too_large(o.joined(box), shape)]:
            out.remove(other)
            box = box.joined(other)
        out.append(box)
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
        lines = [Mark(_around(np.asarray(c)), t) for c, t in zip(corners, result.txts or (), strict=True)]
        return [line for line in lines if not _is_whole(line.box, picture.shape)]

    def read(self, picture: np.ndarray) -> str:
        result = self.engine(np.stack([picture] * 3, axis=-1), use_det=False, use_cls=False, use_rec=True)
        return " ".join(result.txts or ())


def _around(corners: np.ndarray) -> Box:
    left, top = np.floor(corners.min(axis=0)).astype(int)
    right, bottom = np.ceil(corners.max(axis=0)).astype(int)
    return Box(max(0, int(top)), max(0, int(left)), int(bottom), int(right))


def _is_whole(box: Box, shape: tuple[int, ...]) -> bool:
    """Whether a line is the picture itself, which the engine reads as one where it finds none."""
    height, width = box.bottom - box.top, box.right - box.left
    return height >= _WHOLE * shape[0] and width >= _WHOLE * shape[1]


def _as_picture(image: np.ndarray) -> np.ndarray:
    """uint8 [H, W], the whole grey range used; colours become their mean."""
    grey = image.mean(axis=2) if image.ndim == 3 else image
    low, high = float(grey.min()), float(grey.max())
    if high <= low:
        return np.zeros(grey.shape, np.uint8)
    return np.asarray(np.rint((grey.astype(np.float32) - low) * (255 / (high - low))), np.uint8)


def _may_be_filled(box: Box, shape: tuple[int, ...], band: float) -> bool:
    """Whether filling takes away no more than a label: a small box that does not reach the middle."""
    if too_large(box, shape):
        return False
    depth = _BAND_ROOM * band
    if depth >= 0.5:
        return True
    rows, columns = shape[0] * depth, shape[1] * depth
    above_or_below = box.bottom <= rows or box.top >= shape[0] - rows
    return above_or_below or box.right <= columns or box.left >= shape[1] - columns


def _in_band(box: Box, shape: tuple[int, ...], band: float) -> bool:
    height, width = shape[0] * band, shape[1] * band
    inner = Box(int(height), int(width), int(np.ceil(shape[0] - height)), int(np.ceil(shape[1] - width)))
    inside = box.top >= inner.top and box.left >= inner.left
    return not (inside and box.bottom <= inner.bottom and box.right <= inner.right)


def _crop(picture: np.ndarray, box: Box) -> np.ndarray:
    room = max(8, (box.bottom - box.top) // 2)
    wide = box.grown(room, picture.shape)
    return picture[wide.top : wide.bottom, wide.left : wide.right]


def _with_room(box: Box, shape: tuple[int, ...]) -> Box:
    """Room for the soft rim of letters; a line of text near an edge goes on to it, for letters cut there."""
    height = box.bottom - box.top
    side = max(shape[:2])
    room = box.grown(max(2, round(side / 400), min(height // 6, side // 100)), shape)
    letter = min(height, side // 25)
    left = 0 if room.left < letter else room.left
    right = shape[1] if shape[1] - room.right < letter else room.right
    return Box(room.top, left, room.bottom, right)
