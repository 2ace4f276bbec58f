"""Corrupt or cut compressed pixels become one sentence: no panic, no endless loop."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import UID, JPEG2000Lossless, JPEGLSLossless, RLELossless

from radalign.images.codecs import decoders
from radalign.images.jp2_boxes import has_sound_boxes
from radalign.images.read import ImageError, read_image

Write = Callable[..., Path]
WRAPPER = b"\x00\x00\x00\x0cjP  \r\n\x87\n"


def encapsulated(path: Path, syntax: UID, data: bytes) -> Path:
    ds = pydicom.dcmread(path)
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = encapsulate([data])
    ds["PixelData"].VR = "OB"
    ds.save_as(path)
    return path


def box(kind: bytes, content: bytes, length: int | None = None) -> bytes:
    return (8 + len(content) if length is None else length).to_bytes(4, "big") + kind + content


@pytest.mark.parametrize(
    ("boxes", "sound"),
    [
        (box(b"ftyp", bytes(12)) + box(b"jp2c", b"\xff\x4f"), True),
        (box(b"jp2c", b"\xff\x4f", length=0), True),
        (box(b"jp2c", b"\xff\x4f", length=1), True),
        (box(b"ftyp", bytes(12), length=0) + box(b"jp2c", b"\xff\x4f"), False),
        (box(b"ftyp", bytes(12), length=7) + box(b"jp2c", b"\xff\x4f"), False),
        (box(b"ftyp", bytes(12)), False),
        (b"", False),
    ],
)
def test_boxes_lead_to_the_codestream_or_are_refused(boxes: bytes, sound: bool) -> None:
    assert has_sound_boxes(WRAPPER + boxes) is sound


@pytest.mark.timeout(60)
def test_a_box_without_a_length_is_refused_before_it_is_followed_for_ever(write_dicom: Write) -> None:
    pytest.importorskip("openjpeg", reason="no decoder for JPEG 2000 is installed (radalign[codecs])")
    path = encapsulated(write_dicom(np.zeros((4, 4), np.uint8)), JPEG2000Lossless, WRAPPER + bytes(64))
    with pytest.raises(ImageError, match=r"corrupt: the JP2 boxes .*; fetch it again\.$"):
        read_image(path)


def test_gdcm_is_asked_only_where_no_other_decoder_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def names(*installed: str) -> tuple[str, ...]:
        decoder = SimpleNamespace(available_plugins=installed)
        monkeypatch.setattr("pydicom.pixels.get_decoder", lambda syntax: decoder)
        return decoders(JPEG2000Lossless)

    assert names("gdcm", "pillow", "pylibjpeg") == ("pillow", "pylibjpeg")
    assert names("pydicom", "pylibjpeg") == ("pylibjpeg",)
    assert names("gdcm") == ("gdcm",)
    assert names("pydicom") == ("pydicom",)


class PanicException(BaseException):
    """As pyo3 names it: not an Exception."""


def test_a_panic_of_a_decoder_is_a_sentence(write_dicom: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    def panic(*args: object, **kwargs: object) -> np.ndarray:
        raise PanicException("index out of bounds")

    path = encapsulated(write_dicom(np.zeros((4, 4), np.uint8)), RLELossless, bytes(64))
    monkeypatch.setattr("pydicom.pixels.pixel_array", panic)
    with pytest.raises(ImageError, match=r"corrupt \(RLE Lossless: index out of bounds\); fetch it again\.$"):
        read_image(path)


def test_the_users_interrupt_is_no_corrupt_file(write_dicom: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: object, **kwargs: object) -> np.ndarray:
        raise KeyboardInterrupt

    path = encapsulated(write_dicom(np.zeros((4, 4), np.uint8)), RLELossless, bytes(64))
    monkeypatch.setattr("pydicom.pixels.pixel_array", interrupt)
    with pytest.raises(KeyboardInterrupt):
        read_image(path)


@pytest.mark.skipif(find_spec("rle") is None, reason="the Rust decoder is not installed (radalign[codecs])")
def test_corrupt_rle_is_a_sentence(write_dicom: Write) -> None:
    """The second segment decodes to 128 bytes where 16 are due: the decoder panics."""
    header = np.array([2, 64, 66] + [0] * 13, "<u4").tobytes()
    runs = b"\xf1\x07" + b"\x81\x07"  # 16 times a byte, 128 times a byte
    path = encapsulated(write_dicom(np.zeros((4, 4), np.uint16)), RLELossless, header + runs)
    with pytest.raises(ImageError, match=r"corrupt \(RLE Lossless: .*\); fetch it again\.$"):
        read_image(path)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_a_cut_compressed_file_is_said_to_be_cut(write_dicom: Write, syntax: UID) -> None:
    path = encapsulated(write_dicom(np.zeros((4, 4), np.uint8)), syntax, bytes(400))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ImageError, match=r"is cut short.*; fetch it again"):
        read_image(path)


@pytest.mark.timeout(60)
def test_cut_jpeg_ls_is_refused_before_its_end_is_looked_for(write_dicom: Write) -> None:
    pytest.importorskip("jpeg_ls", reason="no decoder for JPEG-LS is installed (radalign[codecs])")
    noise = np.random.default_rng(0).integers(0, 4096, (100, 100)).astype(np.uint16)
    path = write_dicom(noise, BitsStored=12)
    ds = pydicom.dcmread(path)
    ds.compress(JPEGLSLossless)
    whole = get_frame(ds.PixelData, 0, number_of_frames=1)
    path = encapsulated(path, JPEGLSLossless, whole[: len(whole) // 2])
    with pytest.raises(ImageError, match=r"JPEG-LS data are cut off before their end; fetch it again\.$"):
        read_image(path)
    path = encapsulated(path, JPEGLSLossless, whole)
    assert read_image(path).shape == noise.shape
