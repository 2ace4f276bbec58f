"""Raster files of every mode and depth, and every way in which a file can be broken."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from radalign.images.read import ImageError, read_image


def save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


@pytest.fixture
def ramp() -> np.ndarray:
    return np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


def test_eight_bit_grey_is_divided_by_255(tmp_path: Path, ramp: np.ndarray) -> None:
    image = read_image(save(tmp_path / "a.png", Image.fromarray(ramp)))
    assert image.dtype == np.float32
    assert image.shape == (3, 4)
    np.testing.assert_allclose(image, ramp / 255, atol=1e-7)


def test_sixteen_bit_grey_is_divided_by_65535(tmp_path: Path) -> None:
    values = np.array([[0, 257, 65535]], np.uint16)
    image = read_image(save(tmp_path / "a.png", Image.fromarray(values)))
    np.testing.assert_allclose(image, [[0, 257 / 65535, 1]], atol=1e-7)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "1", "CMYK"])
def test_every_mode_of_a_grey_picture_reads_as_the_same_grey(tmp_path: Path, mode: str) -> None:
    grey = Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8))
    suffix = "tif" if mode == "CMYK" else "png"
    path = save(tmp_path / f"a.{suffix}", grey.convert("RGB").convert(mode))
    np.testing.assert_allclose(read_image(path), [[0, 1], [1, 0]], atol=1 / 255)


def test_colour_becomes_luminance(tmp_path: Path) -> None:
    red = Image.new("RGB", (1, 1), (255, 0, 0))
    assert read_image(save(tmp_path / "a.png", red)).item() == pytest.approx(0.299, abs=1 / 255)


def test_transparent_pixels_are_black(tmp_path: Path) -> None:
    image = Image.new("RGBA", (2, 1), (255, 255, 255, 255))
    image.putpixel((0, 0), (255, 255, 255, 0))
    np.testing.assert_allclose(read_image(save(tmp_path / "a.png", image)), [[0, 1]])


def test_a_palette_with_a_transparent_entry(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 255, 255, 255, 255, 255])
    image.putpixel((1, 0), 1)
    path = save(tmp_path / "a.png", image, transparency=0)
    np.testing.assert_allclose(read_image(path), [[0, 1]])


def test_jpeg_reads_close_to_what_was_written(tmp_path: Path) -> None:
    smooth = np.linspace(0, 255, 64 * 64).reshape(64, 64).astype(np.uint8)
    path = save(tmp_path / "a.jpg", Image.fromarray(smooth), quality=95)
    assert np.abs(read_image(path) - smooth / 255).max() < 0.03


def test_one_pixel_is_an_image(tmp_path: Path) -> None:
    assert read_image(save(tmp_path / "a.png", Image.new("L", (1, 1), 51))).tolist() == [[pytest.approx(0.2)]]


def test_the_camera_orientation_is_applied(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 255]], np.uint8))
    exif = image.getexif()
    exif[0x0112] = 6  # rotate 90 degrees clockwise to show
    path = save(tmp_path / "a.png", image, exif=exif)
    np.testing.assert_allclose(read_image(path), [[0], [1]])


def test_percentile_stretches_a_dark_image(tmp_path: Path) -> None:
    dark = (np.arange(10_000).reshape(100, 100) % 100).astype(np.uint8)
    image = read_image(save(tmp_path / "a.png", Image.fromarray(dark)), window="percentile")
    assert image.min() == 0
    assert image.max() == 1


@pytest.mark.parametrize(
    ("side", "sentence"), [(12_000, "12000 x 12000 pixels, more than the limit"), (20_000, "far more pixels")]
)
def test_a_very_large_image_is_refused_before_it_is_decoded(tmp_path: Path, side: int, sentence: str) -> None:
    path = save(tmp_path / "large.png", Image.new("L", (1, 1)))
    data = bytearray(path.read_bytes())  # 8 signature, 4 length, 4 "IHDR", 4 width, 4 height, 5, 4 checksum
    data[16:24] = struct.pack(">II", side, side)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    path.write_bytes(data)
    with pytest.raises(ImageError, match=sentence):
        read_image(path)


def test_a_long_thin_image_within_the_limit_is_read(tmp_path: Path) -> None:
    assert read_image(save(tmp_path / "a.png", Image.new("L", (20_000, 2)))).shape == (2, 20_000)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"hello, I am a text file\n" * 9, "neither DICOM nor a raster image"),
        (b"\x89PNG\r\n\x1a\n", "raster image|broken"),
    ],
)
def test_a_file_that_is_no_image_is_refused_with_its_name(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    path = tmp_path / "strange.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=f"strange.png.*({sentence})"):
        read_image(path)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_truncated_file_is_refused(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    path = save(tmp_path / f"cut.{suffix}", Image.fromarray(noise))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ImageError, match="broken"):
        read_image(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="There is no image"):
        read_image(tmp_path / "nothing.png")
    with pytest.raises(ImageError, match="cannot be opened"):
        read_image(tmp_path)


def test_a_hounsfield_window_on_png_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.new("L", (1, 1)))
    with pytest.raises(ImageError, match="not DICOM"):
        read_image(path, window=(-500.0, 1500.0))


def test_a_float_image_outside_0_to_1_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", Image.fromarray(np.array([[0.0, 2.0]], np.float32)))
    with pytest.raises(ImageError, match="scale it to"):
        read_image(path)
