"""The strip-wise reader against the plain one: read everything, then resize."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from radalign.images.geometry import fit_square, resize
from radalign.images.greys import GreyMap, straight_line
from radalign.images.read import read_image, read_square
from radalign.images.shrink import TriangleFilter, shrink
from radalign.images.stored_bits import StoredBits

Write = Callable[..., Path]
SIDES = st.integers(1, 300)


@given(SIDES, SIDES, st.data())
def test_strips_give_what_pillow_gives(height: int, width: int, data: st.DataObject) -> None:
    new_height = data.draw(st.integers(1, height))
    new_width = data.draw(st.integers(1, width))
    image = np.random.default_rng(height * 1000 + width).random((height, width)).astype(np.float32)
    got = shrink(image, np.asarray, new_height, new_width)
    np.testing.assert_allclose(got, resize(image, new_height, new_width), atol=2e-6)


@given(SIDES, st.data())
def test_the_weights_of_each_new_pixel_sum_to_one(size: int, data: st.DataObject) -> None:
    new_size = data.draw(st.integers(1, size))
    touched, weights = TriangleFilter.between(size, new_size).part(0, size)
    assert (touched.start, touched.stop) == (0, new_size)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("mode", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("size", [8, 50, 500])
@pytest.mark.parametrize("original", [None, (300, 100)])
@pytest.mark.parametrize("function", ["LINEAR", "SIGMOID"])
def test_a_square_from_dicom_is_the_square_of_the_whole_image(
    write_dicom: Write, mode: str, size: int, original: tuple[int, int] | None, function: str
) -> None:
    stored = np.random.default_rng(0).integers(0, 4096, (150, 220), np.uint16)
    path = write_dicom(stored, BitsStored=12, WindowCenter=2000, WindowWidth=3000, VOILUTFunction=function,
                       PhotometricInterpretation="MONOCHROME1")  # fmt: skip
    expected = fit_square(read_image(path), size, mode, original)  # type: ignore[arg-type]
    np.testing.assert_allclose(read_square(path, size, mode, original), expected, atol=1e-5)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["L", "I;16", "RGBA", "jpg"])
def test_a_square_from_a_raster_is_the_square_of_the_whole_image(tmp_path: Path, kind: str) -> None:
    values = np.random.default_rng(0).integers(0, 255, (90, 70), np.uint8)
    image = Image.fromarray(values.astype(np.uint16) * 257) if kind == "I;16" else Image.fromarray(values)
    path = tmp_path / ("a.jpg" if kind == "jpg" else "a.png")
    (image.convert("RGBA") if kind == "RGBA" else image).save(path)
    for mode in ("stretch", "crop", "pad"):
        expected = fit_square(read_image(path), 32, mode)  # type: ignore[arg-type]
        np.testing.assert_allclose(read_square(path, 32, mode), expected, atol=1e-5)  # type: ignore[arg-type]


def test_oblong_pixels_reach_the_square_in_one_step(write_dicom: Write) -> None:
    smooth = np.add.outer(np.arange(60), np.arange(120)).astype(np.uint16)
    path = write_dicom(smooth, PixelSpacing=["0.2", "0.1"], WindowCenter=90, WindowWidth=181)
    np.testing.assert_allclose(read_square(path, 30), fit_square(read_image(path), 30), atol=0.01)


@given(st.floats(-0.01, 0.01).filter(lambda a: abs(a) > 1e-4), st.floats(-1, 2))
def test_a_line_is_found_again_and_gives_what_its_table_gives(slope: float, offset: float) -> None:
    values = np.arange(-500, 500)
    table = np.clip(slope * values + offset, 0, 1).astype(np.float32)
    line = straight_line(values, table)
    if ((table > 0) & (table < 1)).sum() < 2:
        assert line is None
        return
    assert line is not None
    of_words = np.zeros(65536, np.float32)  # unused, since there is a line
    mapped = GreyMap(of_words, StoredBits(16, 16, 0, True), line)(values.astype(np.int16))
    np.testing.assert_allclose(mapped, table, atol=3e-6)


def test_a_curve_is_not_taken_for_a_line() -> None:
    values = np.arange(100)
    assert straight_line(values, (values / 99) ** 1.01) is None
    hole = values / 99
    hole[40] = 0  # a padding value inside the range
    assert straight_line(values, hole) is None
