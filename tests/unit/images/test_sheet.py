"""A contact sheet shows every tile in its place, survives missing images, and is never half written."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFont

from radalign.images.sheet import Tile, contact_sheet, wrap

FONT = ImageFont.load_default(size=15)


def sheet(tmp_path, tiles, **options):
    contact_sheet(tiles, tmp_path / "out" / "sheet.png", **options)
    with Image.open(tmp_path / "out" / "sheet.png") as image:
        return np.asarray(image.convert("RGB"))


def test_tiles_stand_in_reading_order(tmp_path):
    shades = [0.0, 0.25, 0.5, 0.75, 1.0]
    page = sheet(tmp_path, [Tile(np.full((8, 8), s)) for s in shades], columns=2, tile_px=100)
    centres = [(18 + 50 + (i // 2) * 119, 18 + 50 + (i % 2) * 114) for i in range(5)]
    assert [int(page[y, x, 0]) for y, x in centres] == [0, 64, 128, 191, 255]


def test_aspect_ratio_is_kept_and_padding_is_black(tmp_path):
    page = sheet(tmp_path, [Tile(np.ones((10, 20)))], tile_px=100)[18:118, 18:118, 0]
    assert (page[26:74] > 250).all()
    assert (page[:24] == 0).all()
    assert (page[76:] == 0).all()


def test_uint8_and_colour_arrays_keep_their_values(tmp_path):
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 200
    page = sheet(tmp_path, [Tile(np.full((4, 4), 77, np.uint8)), Tile(red)], tile_px=100)
    assert page[60, 60].tolist() == [77, 77, 77]
    assert page[60, 180].tolist() == [200, 0, 0]


def test_nan_and_out_of_range_pixels_do_not_break_the_sheet(tmp_path):
    image = np.array([[np.nan, 2.0], [-1.0, np.inf]], np.float32)
    assert sheet(tmp_path, [Tile(image)]).size


@pytest.mark.parametrize("missing", [None, Path("nowhere.png"), np.zeros((0, 5))])
def test_a_missing_image_is_a_neutral_tile_with_words(tmp_path, missing):
    cell = sheet(tmp_path, [Tile(missing)], tile_px=200)[18:218, 18:218]
    assert (cell == 205).mean() > 0.9, "mostly the neutral grey"
    assert (cell[80:120] < 120).any(), "with words in the middle"


def test_an_unreadable_file_is_a_neutral_tile(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"not a PNG")
    cell = sheet(tmp_path, [Tile(tmp_path / "bad.png")], tile_px=200)[18:218, 18:218]
    assert (cell == 205).mean() > 0.85


def test_a_file_is_read(tmp_path):
    Image.fromarray(np.tile(np.array([10, 240], np.uint8), (16, 8))).save(tmp_path / "a.png")
    cell = sheet(tmp_path, [Tile(tmp_path / "a.png")], tile_px=160)[18:178, 18:178, 0]
    assert not (cell == 205).all()
    assert cell.std() > 50


def test_long_captions_make_the_row_taller_and_draw_ink(tmp_path):
    image = np.zeros((4, 4))
    short, long = (sheet(tmp_path, [Tile(image, c)], tile_px=120) for c in ("a", "small effusion " * 6))
    assert long.shape[0] > short.shape[0]
    assert (long[18 + 120 + 5 : -18] < 80).any()


def test_wrapped_lines_fit_and_lose_no_word():
    text = "There is a small left pleural effusion with adjacent atelectasis."
    lines = wrap(text, FONT, 130)
    assert " ".join(lines) == text
    assert all(FONT.getlength(line) <= 130 for line in lines)


def test_a_word_wider_than_the_line_is_cut_not_lost():
    lines = wrap("1.2.840.113619.2.55.3.604688119", FONT, 60)
    assert "".join(lines) == "1.2.840.113619.2.55.3.604688119"
    assert all(FONT.getlength(line) <= 60 for line in lines)


def test_more_lines_than_allowed_end_in_an_ellipsis():
    lines = wrap("word " * 100, FONT, 100, max_lines=3)
    assert len(lines) == 3
    assert lines[-1].endswith("...")
    assert FONT.getlength(lines[-1]) <= 100


def test_a_failed_write_leaves_the_old_sheet(tmp_path, monkeypatch):
    old = sheet(tmp_path, [Tile(np.zeros((4, 4)))])

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"sheet\.png: the disk is full"):
        contact_sheet([Tile(np.ones((4, 4)))], tmp_path / "out" / "sheet.png")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["sheet.png"]
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out" / "sheet.png").convert("RGB")), old)


def test_no_tiles_is_an_error_that_says_so(tmp_path):
    with pytest.raises(ValueError, match="at least one tile"):
        contact_sheet([], tmp_path / "a.png")
