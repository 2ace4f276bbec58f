"""Lines of writing with little contrast, such as a record number over bright tissue.

`find_by_edges` needs steps that anatomy does not make. Writing on a bright place has weaker ones, but it is
still a line: letters all along, a stroke's width apart, all of one shade, and nothing of the kind above or
below it. A rib, a wire or grain fails one of these, mostly.
"""

from __future__ import annotations

import numpy as np

from radalign.images.strokes import MAX_STROKE_SHARE, MIN_STROKE_PX, Box, balanced, groups_of, strokes_of

_LEAST_STEP, _MOST_STEP, _NOISE = 18, 56, 5.0  # grey levels; and times the typical step between neighbours
_CELLS = 256  # per longer side: finer than for strong writing, since a line must stand alone
_HEIGHT = (5, 1 / 14)  # pixels, and share of the longer side
_LEAST_LENGTH, _MOST_SHARE = 3.0, 0.8  # times its height; of the side
_FILL = (0.06, 0.75)
_ALONE = 0.2  # strokes per pixel above and below, against inside
_EVEN = 0.75  # of the squares along the line hold strokes
_INK_PX, _ONE_SHADE = 2, 10.0  # pixels from a step to the middle of its stroke; grey levels between quartiles


def find_faint_lines(picture: np.ndarray) -> list[Box]:
    """Boxes around faint lines of writing.

    Args:
        picture: uint8 [H, W].
    """
    change = np.diff(picture.astype(np.int16), axis=1, prepend=picture[:, :1].astype(np.int16))
    limit = int(np.clip(_NOISE * np.median(np.abs(change)), _LEAST_STEP, _MOST_STEP))
    up, down = change >= limit, change <= -limit
    strokes = strokes_of(up, down, max(MIN_STROKE_PX, round(max(picture.shape) * MAX_STROKE_SHARE)))
    longer = max(picture.shape)
    cell = max(2, longer // _CELLS)
    found = []
    for box in groups_of(strokes, cell, reach=round(longer / 60 / cell)):
        box = _core(strokes, box)
        if not (_has_shape(box, picture.shape) and balanced(up, down, box)):
            continue
        if _is_line(strokes, box) and _has_one_shade(picture, strokes, box):
            found.append(box)
    return found


def _core(strokes: np.ndarray, box: Box) -> Box:
    """The box without rows at its top and bottom that hold hardly a stroke, such as a speck of grain."""
    rows = strokes[box.top : box.bottom, box.left : box.right].sum(axis=1)
    full = np.nonzero(rows > 0.15 * rows.max())[0]
    return Box(box.top + int(full[0]), box.left, box.top + int(full[-1]) + 1, box.right)


def _has_shape(box: Box, shape: tuple[int, ...]) -> bool:
    height, width = box.bottom - box.top, box.right - box.left
    high = _HEIGHT[0] <= height <= _HEIGHT[1] * max(shape)
    return high and _LEAST_LENGTH * height <= width <= _MOST_SHARE * shape[1]


def _is_line(strokes: np.ndarray, box: Box) -> bool:
    """Filled like letters, all along, and alone."""
    height, width = box.bottom - box.top, box.right - box.left
    inside = strokes[box.top : box.bottom, box.left : box.right]
    density = float(inside.mean())
    if not _FILL[0] <= density <= _FILL[1]:
        return False
    squares = [inside[:, left : left + height].any() for left in range(0, width, height)]
    if sum(map(bool, squares)) < _EVEN * len(squares):
        return False
    room = max(3, height // 2)
    above = strokes[max(0, box.top - 1 - room) : max(0, box.top - 1), box.left : box.right]
    below = strokes[box.bottom + 1 : box.bottom + 1 + room, box.left : box.right]
    return all(float(part.mean()) <= _ALONE * density for part in (above, below) if part.size)


def _has_one_shade(picture: np.ndarray, strokes: np.ndarray, box: Box) -> bool:
    """Whether the brightest or the darkest pixels beside the steps are nearly equal: letters have one ink."""
    left, right = max(0, box.left - _INK_PX), box.right + _INK_PX
    part = picture[box.top : box.bottom, left:right]
    padded = np.pad(part, ((0, 0), (_INK_PX, _INK_PX)), mode="edge")
    near = np.lib.stride_tricks.sliding_window_view(padded, 2 * _INK_PX + 1, axis=1)  # [h, w, 2 I + 1]
    at = strokes[box.top : box.bottom, left:right]
    spreads = (np.subtract(*np.percentile(ink[at], (75, 25))) for ink in (near.max(2), near.min(2)))
    return bool(min(spreads) <= _ONE_SHADE)
