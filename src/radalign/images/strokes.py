"""Where something is written on an image, from its edges alone: groups of strokes as boxes.

    steps ── a step up and a step down no further apart than a stroke is wide ─> strokes
    strokes ─ near each other as letters are ─> groups ─ larger than a label ─> parts ─> boxes

A wire, a lead or the edge of a bone beside a label has sharp steps too. A group larger than a label is
therefore cut into lines of letters and the rest, and of these parts long thin curves are no writing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MAX_MARK_SHARE = 0.04
"""Of an image's area: a box larger than this is no label, and filling it would take anatomy away."""

_STEP = 0.22  # of the grey range between neighbouring pixels: anatomy is smoother, even at bone edges
_CELLS = 140  # per longer side
MAX_STROKE_SHARE = 1 / 60  # of the longer side: the widest stroke
MIN_STROKE_PX = 5
_SAME_LINE, _LINE_GAP = 0.6, 1.5  # of the letters' height
_ARM_SHARE = 1 / 50  # of the longer side
_BRIDGE, _RUN = 1, 4  # cells: between letters, and the shortest line of them; a wire is narrower
_MIN_STEPS = 24
_MIN_SIDE_PX, _MAX_SHARE_OF_SIDE = 5, 0.8
_BOTH_SIGNS = 0.25
_FILL_RANGE = (0.015, 0.75)
_LETTER_SHARE = 0.06  # of the longer side: what is larger has more than one letter, or is a curve
_CURVE_STEPS = 2.4  # per row of a square: a curve has one step up and one down, a letter about four in all


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

    @property
    def area(self) -> int:
        """Its pixels."""
        return (self.bottom - self.top) * (self.right - self.left)

    def shared(self, other: Box) -> int:
        """Pixels in both.

        >>> Box(0, 0, 4, 4).shared(Box(3, 2, 9, 9)), Box(0, 0, 4, 4).shared(Box(4, 4, 9, 9))
        (2, 0)
        """
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        width = min(self.right, other.right) - max(self.left, other.left)
        return max(0, height) * max(0, width)

    def grown(self, by_px: int, shape: tuple[int, ...]) -> Box:
        """The box with a margin, cut to the image."""
        return Box(max(0, self.top - by_px), max(0, self.left - by_px),
                   min(shape[0], self.bottom + by_px), min(shape[1], self.right + by_px))  # fmt: skip

    def joined(self, other: Box) -> Box:
        """The smallest box around both."""
        return Box(min(self.top, other.top), min(self.left, other.left),
                   max(self.bottom, other.bottom), max(self.right, other.right))  # fmt: skip


def find_by_edges(picture: np.ndarray) -> list[Box]:
    """Boxes around groups of sharp strokes.

    Args:
        picture: uint8 [H, W].
    """
    up, down = _steps(picture)
    strokes = strokes_of(up, down, max(MIN_STROKE_PX, round(max(picture.shape) * MAX_STROKE_SHARE)))
    if not strokes.any():
        return []
    steps = up | down
    cell = max(2, -(-max(picture.shape) // _CELLS))
    cells = _per_cell(strokes, cell)
    boxes: list[Box] = []
    for group in _groups(_widened(cells)):
        box = _with_arms(_tight(steps, group, cell), steps)
        if too_large(box, picture.shape):
            parts = [_tight(strokes, part, cell) for part in _parts(_only(cells, group))]
            boxes += [p for p in parts if _is_writing(up, down, p, picture.shape) and not _is_curve(steps, p)]
        elif _is_writing(up, down, box, picture.shape):
            boxes.append(box)
    return _lines(boxes, picture.shape)


def groups_of(strokes: np.ndarray, cell: int, reach: int) -> list[Box]:
    """Boxes around strokes that lie within `reach` cells of each other along a row, and in touching rows."""
    cells = _per_cell(strokes, cell)
    wide = cells.copy()
    for by in range(1, reach + 1):
        wide[:, by:] |= cells[:, :-by]
        wide[:, :-by] |= cells[:, by:]
    return [_tight(strokes, group, cell) for group in _groups(wide)]


def too_large(box: Box, shape: tuple[int, ...]) -> bool:
    """Whether a box covers more of the image than a label does.

    >>> too_large(Box(0, 0, 20, 20), (100, 100)), too_large(Box(0, 0, 21, 20), (100, 100))
    (False, True)
    """
    return (box.bottom - box.top) * (box.right - box.left) > MAX_MARK_SHARE * shape[0] * shape[1]


def _steps(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sharp steps up and down along the rows: bool [H, W] each."""
    steps = np.diff(picture.astype(np.int16), axis=1, prepend=picture[:, :1].astype(np.int16))
    limit = int(_STEP * 255)
    return steps >= limit, steps <= -limit


def strokes_of(up: np.ndarray, down: np.ndarray, width_px: int) -> np.ndarray:
    """Steps that have one of the other kind within a stroke's width, in the same row."""
    return np.asarray((up & _near(down, width_px)) | (down & _near(up, width_px)))


def _near(steps: np.ndarray, by_px: int) -> np.ndarray:
    """Whether a step lies in the same row at most `by_px` to the left or right."""
    before = np.cumsum(np.pad(steps, ((0, 0), (by_px + 1, by_px))), axis=1, dtype=np.int32)
    return np.asarray(before[:, 2 * by_px + 1 :] > before[:, : -2 * by_px - 1])


def _per_cell(steps: np.ndarray, cell: int) -> np.ndarray:
    """Which cells hold a step: bool [ceil(H / cell), ceil(W / cell)]."""
    rows, columns = -(-steps.shape[0] // cell), -(-steps.shape[1] // cell)
    padded = np.zeros((rows * cell, columns * cell), bool)
    padded[: steps.shape[0], : steps.shape[1]] = steps
    blocks = padded.reshape(rows, cell, columns, cell)  # [R, cell, C, cell]
    return np.asarray(blocks.any(axis=(1, 3)))


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


def _parts(cells: np.ndarray) -> list[list[tuple[int, int]]]:
    """A group cut up: the lines of letters in it, and what is left when these are gone, by touch."""
    if cells.shape[1] < _RUN:
        return _groups(cells)
    bridged = cells.copy()
    for by in range(1, _BRIDGE + 1):
        bridged[:, by:-by] |= cells[:, : -2 * by] & cells[:, 2 * by :]
    rows = np.lib.stride_tricks.sliding_window_view(bridged, _RUN, axis=1).all(axis=2)
    lines = np.zeros_like(cells)
    for by in range(_RUN):
        lines[:, by : by + rows.shape[1]] |= rows
    return [*_groups(lines & cells), *_groups(cells & ~lines)]


def _only(cells: np.ndarray, group: list[tuple[int, int]]) -> np.ndarray:
    """The cells of one group that hold strokes."""
    out = np.zeros_like(cells)
    out[tuple(np.array(group).T)] = True
    return np.asarray(out & cells)


def _groups(cells: np.ndarray) -> list[list[tuple[int, int]]]:
    """(row, column) of the cells of each group of touching cells, by flood fill."""
    left = {(int(r), int(c)) for r, c in zip(*np.nonzero(cells), strict=True)}
    groups = []
    while left:
        group = stack = [left.pop()]
        for row, column in stack:
            near = {(row + r, column + c) for r in (-1, 0, 1) for c in (-1, 0, 1)} & left
            left -= near
            stack.extend(near)
        groups.append(group)
    return groups


def _tight(steps: np.ndarray, group: list[tuple[int, int]], cell: int) -> Box:
    """The smallest box around the steps in the rectangle of a group's cells; it holds some."""
    rows, columns = [r for r, _ in group], [c for _, c in group]
    top, left = min(rows) * cell, min(columns) * cell
    part = steps[top : (max(rows) + 1) * cell, left : (max(columns) + 1) * cell]
    y, x = np.nonzero(part.any(axis=1))[0], np.nonzero(part.any(axis=0))[0]
    return Box(top + int(y[0]), left + int(x[0]), top + int(y[-1]) + 1, left + int(x[-1]) + 1)


def _with_arms(box: Box, steps: np.ndarray) -> Box:
    """The arms of an E end further from its stem than a stroke is wide: up to half a letter on each side."""
    room = min((box.bottom - box.top) // 2, round(max(steps.shape) * _ARM_SHARE))
    left, right = max(0, box.left - room), min(steps.shape[1], box.right + room)
    x = np.nonzero(steps[box.top : box.bottom, left:right].any(axis=0))[0]
    return Box(box.top, left + int(x[0]), box.bottom, left + int(x[-1]) + 1)


def _lines(boxes: list[Box], shape: tuple[int, ...]) -> list[Box]:
    """Boxes of one line joined, so that a letter without contrast between two that have some goes too."""
    lines: list[Box] = []
    for box in sorted(boxes, key=lambda b: b.left):
        before = next((line for line in lines if _is_one_line(line, box, shape)), None)
        if before:
            lines.remove(before)
        lines.append(before.joined(box) if before else box)
    return lines


def _is_one_line(a: Box, b: Box, shape: tuple[int, ...]) -> bool:
    """Whether two boxes are as high, at the same height, and no further apart than two letters."""
    heights = a.bottom - a.top, b.bottom - b.top
    beside = min(a.bottom, b.bottom) - max(a.top, b.top) >= _SAME_LINE * max(heights)
    gap = max(a.left, b.left) - min(a.right, b.right)
    return beside and gap <= _LINE_GAP * min(heights) and not too_large(a.joined(b), shape)


def _is_writing(up: np.ndarray, down: np.ndarray, box: Box, shape: tuple[int, ...]) -> bool:
    """Enough steps, both up and down, neither a line across the image nor a solid block of noise."""
    height, width = box.bottom - box.top, box.right - box.left
    if min(height, width) < _MIN_SIDE_PX - 2 or max(height / shape[0], width / shape[1]) > _MAX_SHARE_OF_SIDE:
        return False
    both = int((up | down)[box.top : box.bottom, box.left : box.right].sum())
    return balanced(up, down, box) and _FILL_RANGE[0] <= both / (height * width) <= _FILL_RANGE[1]


def balanced(up: np.ndarray, down: np.ndarray, box: Box) -> bool:
    """Whether a box holds as many steps as a few letters do, and of both kinds."""
    ups, downs = (int(s[box.top : box.bottom, box.left : box.right].sum()) for s in (up, down))
    return ups + downs >= _MIN_STEPS and min(ups, downs) >= _BOTH_SIGNS * max(ups, downs)


def _is_curve(steps: np.ndarray, box: Box) -> bool:
    """Whether something larger than a letter has hardly more steps than one line through the box has."""
    longer = max(box.bottom - box.top, box.right - box.left)
    inside = int(steps[box.top : box.bottom, box.left : box.right].sum())
    return longer > _LETTER_SHARE * max(steps.shape) and inside < _CURVE_STEPS * longer
