"""Pixel Data keeps the image and nothing else."""

import io

import numpy as np
import pytest
from PIL import Image
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

from radalign.deidentify.errors import DeidentifyError
from radalign.deidentify.pixel_bytes import tidy_pixel_bytes
from radalign.deidentify.streams import bare_jpeg, bare_jpeg_2000

SECRET = b"ZQXDOE^JANE"


def grey() -> np.ndarray:
    y, x = np.mgrid[0:48, 0:64]
    return (100 + 60 * np.sin(x / 9) + 50 * np.cos(y / 7)).astype(np.uint8)


def jpeg(**settings: object) -> bytes:
    out = io.BytesIO()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0" + SECRET
    Image.fromarray(grey()).save(out, "JPEG", comment=SECRET, exif=exif, **settings)
    return out.getvalue()


def compressed(make, frames: list[bytes], syntax: str, extended: bool = False):
    ds = make()
    ds.Rows, ds.Columns = grey().shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.NumberOfFrames = 8, 8, 7, len(frames)
    ds.file_meta.TransferSyntaxUID = syntax
    if extended:
        ds.PixelData, ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = encapsulate_extended(frames)
    else:
        ds.PixelData = encapsulate(frames)
    ds["PixelData"].is_undefined_length = True
    return ds


@pytest.mark.parametrize("settings", [{}, {"progressive": True}, {"quality": 100, "optimize": True}])
def test_a_jpeg_loses_its_comments_and_keeps_its_image(settings: dict) -> None:
    frame = jpeg(**settings)
    assert frame.count(SECRET) == 2
    bare = bare_jpeg(frame + SECRET)
    assert SECRET not in bare
    assert bare.endswith(b"\xff\xd9")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(bare))), np.asarray(Image.open(io.BytesIO(frame))))


def test_a_jpeg_keeps_what_tells_its_colours_and_no_thumbnail() -> None:
    adobe = b"\xff\xee\x00\x11Adobe\x00d\x00\x00\x00\x00\x01ABC"
    jfif = b"\xff\xe0\x00\x13JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x01\x01XYZ"
    bare = bare_jpeg(b"\xff\xd8" + adobe + jfif + b"\xff\xe2\x00\x04AB" + b"\xff\xd9")
    assert bare == (
        b"\xff\xd8\xff\xee\x00\x0eAdobe\x00d\x00\x00\x00\x00\x01"
        b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xd9"
    )


@pytest.mark.parametrize("frame", [b"", b"ZQXDOE", b"\xff\xd8\xff\xfe\xff\xffZQ", b"\xff\xd8ZQXDOE"])
def test_a_jpeg_that_cannot_be_followed_is_refused(frame: bytes) -> None:
    with pytest.raises(DeidentifyError):
        bare_jpeg(frame)


def j2k(comment: bytes = SECRET, tile: bytes = b"data") -> bytes:
    com = b"\xff\x64" + (4 + len(comment)).to_bytes(2, "big") + b"\x00\x01" + comment
    part = (12 + len(com) + 2 + len(tile)).to_bytes(4, "big")
    return (
        b"\xff\x4f"
        + com
        + b"\xff\x90\x00\x0a\x00\x00"
        + part
        + b"\x00\x01"
        + com
        + b"\xff\x93"
        + tile
        + b"\xff\xd9"
    )


def test_comments_of_jpeg_2000_are_blank_and_nothing_moves() -> None:
    bare = bare_jpeg_2000(j2k() + SECRET)
    assert bare == j2k().replace(SECRET, b" " * len(SECRET))


def test_jpeg_2000_comes_out_of_its_boxes() -> None:
    boxes = b"\x00\x00\x00\x0cjP  \r\n\x87\n" + b"\x00\x00\x00\x13xml " + SECRET
    boxed = boxes + (8 + len(j2k())).to_bytes(4, "big") + b"jp2c" + j2k() + b"\x00\x00\x00\x0buuid" + b"ZQX"
    assert bare_jpeg_2000(boxed) == bare_jpeg_2000(j2k())


@pytest.mark.parametrize(
    "stream", [b"", b"ZQXDOE", b"\xff\x4fZQXDOE", b"\xff\x4f\xff\x90\x00\x0a\0\0\0\0\0\x01\0\x01\xff\x93data"]
)
def test_jpeg_2000_that_cannot_be_followed_is_refused(stream: bytes) -> None:
    with pytest.raises(DeidentifyError):
        bare_jpeg_2000(stream)


@pytest.mark.parametrize("extended", [False, True])
def test_frames_are_bared_and_counted(make, extended: bool) -> None:
    ds = compressed(make, [jpeg(), jpeg()], JPEGBaseline8Bit, extended)
    before = ds.pixel_array
    assert tidy_pixel_bytes(ds) == []
    assert SECRET not in ds.PixelData
    assert "ExtendedOffsetTable" not in ds
    assert len(list(generate_frames(ds.PixelData, number_of_frames=2))) == 2
    assert np.array_equal(ds.pixel_array, before)


def test_a_stuffed_byte_of_jpeg_ls_is_no_marker(make) -> None:
    frame = b"\xff\xd8\xff\xf7\x00\x02\xff\xda\x00\x02ab\xff\x7fcd\xff\xd9"
    ds = compressed(make, [frame + SECRET], JPEGLSLossless)
    tidy_pixel_bytes(ds)
    assert next(generate_frames(ds.PixelData, number_of_frames=1)).rstrip(b"\0") == frame


def test_other_compressions_are_left_and_said(make) -> None:
    ds = compressed(make, [b"ab"], "1.2.840.10008.1.2.4.102")
    before = ds.PixelData
    assert "were not looked for" in tidy_pixel_bytes(ds)[0]
    assert ds.PixelData == before
    rle = make(text="")
    rle.compress(RLELossless)
    before = rle.PixelData
    assert tidy_pixel_bytes(rle) == []
    assert rle.PixelData == before
    with pytest.raises(DeidentifyError):
        tidy_pixel_bytes(compressed(make, [b"no codestream"], JPEG2000Lossless))


def test_native_pixels_end_where_the_image_ends(make) -> None:
    ds = make()
    whole = ds.PixelData
    ds.PixelData = whole + SECRET + b"\0"
    assert tidy_pixel_bytes(ds) == []
    assert ds.PixelData == whole
    ds.Rows = None
    with pytest.raises(DeidentifyError, match="how large the image is"):
        tidy_pixel_bytes(ds)


@pytest.mark.parametrize(("high", "shift"), [(11, 0), (13, 2)])
def test_bits_that_are_not_stored_are_cleared(make, high: int, shift: int) -> None:
    image = np.arange(160 * 200).reshape(160, 200) % 4096
    ds = make(HighBit=high)
    ds.PixelData = ((image << shift) | 0x8000 | (1 if shift else 0)).astype("<u2").tobytes()
    notes = tidy_pixel_bytes(ds)
    assert "were cleared" in notes[0]
    assert np.array_equal(np.frombuffer(ds.PixelData, "<u2").reshape(160, 200), image << shift)
    assert tidy_pixel_bytes(ds) == []


def test_a_signed_number_keeps_its_sign(make) -> None:
    image = np.arange(160 * 200).reshape(160, 200) % 4096 - 2048
    ds = make(PixelRepresentation=1)
    ds.PixelData = image.astype("<i2").tobytes()
    assert tidy_pixel_bytes(ds) == []
    ds.PixelData = (image.astype("<i2") & 0x0FFF).tobytes()
    tidy_pixel_bytes(ds)
    assert np.array_equal(np.frombuffer(ds.PixelData, "<i2").reshape(160, 200), image)


def test_contradicting_bits_are_left_and_said(make) -> None:
    assert "contradict" in tidy_pixel_bytes(make(HighBit=5))[0]
