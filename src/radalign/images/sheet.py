"""A contact sheet: images in a grid with captions, as one PNG that a person can look at.

    Tile(image, caption) ─> drawn in its cell ─> rows of equal height ─> one PNG, replaced atomically

An image that is missing or cannot be read becomes a neutral tile that says so; the sheet never fails over it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from radalign.files import whole_file

_PAGE, _MISSING, _INK, _SOFT_INK = (245, 245, 245), (205, 205, 205), (25, 25, 25), (95, 95, 95)
_MARGIN_PX, _GAP_PX, _LEADING_PX = 18, 14, 5
_CAPTION_FONT_PX, _TITLE_FONT_PX, _CAPTION_LINES = 15, 22, 9

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Tile:
    """One cell of a sheet.

    Args:
        image: Grey [H, W] (float 0..1 or uint8), RGB uint8 [H, W, 3], a file to read, or None for no image.
        caption: What stands below it; a line break starts a new line and long lines are wrapped.
    """

    image: np.ndarray | Path | None
    caption: str = ""


def contact_sheet(
    tiles: Sequence[Tile], path: str | Path, columns: int = 4, title: str = "", tile_px: int = 270
) -> None:
    """Write a labelled contact sheet as a PNG; the file appears whole or not at all.

    Args:
        tiles: Cells in reading order; at least one.
        path: Where the PNG goes; its folder is made.
        columns: Cells per row, at most as many as there are tiles.
        title: A line above the grid, wrapped when long.
        tile_px: Side of the square that each image is fitted into, aspect ratio kept.

    Raises:
        ValueError: If there is no tile, or fewer than one column.
        WriteRefused: If the file cannot be written.
    """
    if not tiles or columns < 1:
        raise ValueError("A contact sheet needs at least one tile and one column; give it some images.")
    _write_png(_draw(tiles, min(columns, len(tiles)), title, tile_px), Path(path))


def wrap(text: str, font: Font, width_px: float, max_lines: int = _CAPTION_LINES) -> list[str]:
    """Break text into lines no wider than `width_px`; what does not fit in `max_lines` ends in an ellipsis.

    >>> wrap("one two", ImageFont.load_default(size=15), 1000), wrap("", ImageFont.load_default(size=15), 10)
    (['one two'], [])
    """
    lines: list[str] = []
    for paragraph in text.splitlines():
        lines += _wrap_paragraph(paragraph, font, width_px)
    if len(lines) <= max_lines:
        return lines
    last = lines[max_lines - 1]
    while last and font.getlength(last + "...") > width_px:
        last = last[:-1]
    return [*lines[: max_lines - 1], last.rstrip() + "..."]


def _wrap_paragraph(paragraph: str, font: Font, width_px: float) -> list[str]:
    lines = [""]
    for word in paragraph.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width_px:
            lines[-1] = longer
        else:
            lines += _cut_word(word, font, width_px)
    return [line for line in lines if line]


def _cut_word(word: str, font: Font, width_px: float) -> list[str]:
    """A word wider than the line is cut; every other word stays whole."""
    pieces = [""]
    for letter in word:
        if pieces[-1] and font.getlength(pieces[-1] + letter) > width_px:
            pieces.append("")
        pieces[-1] += letter
    return pieces


def _draw(tiles: Sequence[Tile], columns: int, title: str, tile_px: int) -> Image.Image:
    font, title_font = (
        ImageFont.load_default(size=_CAPTION_FONT_PX),
        ImageFont.load_default(size=_TITLE_FONT_PX),
    )
    width_px = 2 * _MARGIN_PX + columns * tile_px + (columns - 1) * _GAP_PX
    heading = wrap(title, title_font, width_px - 2 * _MARGIN_PX)
    captions = [wrap(tile.caption, font, tile_px) for tile in tiles]
    tops, top_px = [], _MARGIN_PX + _text_height_px(len(heading), _TITLE_FONT_PX)
    top_px += _GAP_PX if heading else 0
    for start in range(0, len(tiles), columns):
        tops.append(top_px)
        lines = max(len(caption) for caption in captions[start : start + columns])
        top_px += tile_px + _LEADING_PX + _text_height_px(lines, _CAPTION_FONT_PX) + _GAP_PX
    page = Image.new("RGB", (width_px, top_px - _GAP_PX + _MARGIN_PX), _PAGE)
    _write_lines(page, heading, (_MARGIN_PX, _MARGIN_PX), title_font, _TITLE_FONT_PX)
    for i, (tile, caption) in enumerate(zip(tiles, captions, strict=True)):
        corner = (_MARGIN_PX + (i % columns) * (tile_px + _GAP_PX), tops[i // columns])
        page.paste(_cell(tile, tile_px, font), corner)
        _write_lines(page, caption, (corner[0], corner[1] + tile_px + _LEADING_PX), font, _CAPTION_FONT_PX)
    return page


def _text_height_px(lines: int, font_px: int) -> int:
    return lines * (font_px + _LEADING_PX)


def _write_lines(
    page: Image.Image, lines: list[str], corner: tuple[int, int], font: Font, font_px: int
) -> None:
    draw = ImageDraw.Draw(page)
    for i, line in enumerate(lines):
        draw.text((corner[0], corner[1] + i * (font_px + _LEADING_PX)), line, fill=_INK, font=font)


def _cell(tile: Tile, tile_px: int, font: Font) -> Image.Image:
    """The image on black, fitted and centred; or grey with the reason that there is none."""
    pixels, reason = _pixels(tile.image)
    if pixels is None:
        cell = Image.new("RGB", (tile_px, tile_px), _MISSING)
        words = "\n".join(wrap(reason, font, tile_px - 2 * _GAP_PX))
        centre = (tile_px / 2, tile_px / 2)
        ImageDraw.Draw(cell).multiline_text(
            centre, words, fill=_SOFT_INK, font=font, anchor="mm", align="center"
        )
        return cell
    cell = Image.new("RGB", (tile_px, tile_px))
    image = Image.fromarray(pixels)
    scale = tile_px / max(image.size)
    image = image.resize(
        (max(1, round(image.width * scale)), max(1, round(image.height * scale))), reducing_gap=3.0
    )
    cell.paste(image.convert("RGB"), ((tile_px - image.width) // 2, (tile_px - image.height) // 2))
    return cell


def _pixels(image: np.ndarray | Path | None) -> tuple[np.ndarray | None, str]:
    """The image as uint8, or None with the reason in words."""
    if image is None:
        return None, "no image"
    if isinstance(image, Path):
        return _read(image)
    if image.size == 0:
        return None, "empty image"
    return _to_uint8(image), ""


def _read(path: Path) -> tuple[np.ndarray | None, str]:
    from radalign.images.read import read_image

    try:
        return _to_uint8(read_image(path)), ""
    except (ValueError, OSError):
        return None, f"image {'not readable' if path.is_file() else 'not found'}: {path.name}"


def _to_uint8(image: np.ndarray) -> np.ndarray:
    if image.dtype == np.uint8:
        return np.ascontiguousarray(image)
    grey: np.ndarray = np.rint(np.clip(np.nan_to_num(image), 0.0, 1.0) * 255)
    return grey.astype(np.uint8)


def _write_png(page: Image.Image, path: Path) -> None:
    with whole_file(path) as partial:
        page.save(partial, format="PNG")
