"""DICOM files to pictures: the order of the steps, odd storage, padding, geometry, and refusals."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.pixels import apply_modality_lut, apply_voi_lut, pixel_array

from radalign.images.read import ImageError, read_image

Write = Callable[..., Path]


@pytest.fixture
def ramp() -> np.ndarray:
    return np.arange(0, 4096, 16, dtype=np.uint16).reshape(16, 16)


@pytest.mark.parametrize(
    ("rescale", "window", "inverted"), list(itertools.product([False, True], [False, True], [False, True]))
)
def test_all_eight_combinations_of_modality_voi_and_polarity(
    write_dicom: Write, ramp: np.ndarray, rescale: bool, window: bool, inverted: bool
) -> None:
    header = {"BitsStored": 12, "PhotometricInterpretation": "MONOCHROME1" if inverted else "MONOCHROME2"}
    header |= {"RescaleSlope": 2, "RescaleIntercept": -1000} if rescale else {}
    header |= {"WindowCenter": 1500, "WindowWidth": 2001} if window else {}
    got = read_image(write_dicom(ramp, **header))

    expected = np.empty(ramp.shape)
    for at in np.ndindex(ramp.shape):  # the oracle: one pixel at a time, in the standard's order
        value = float(ramp[at]) * 2 - 1000 if rescale else float(ramp[at])
        if window:
            grey = min(max((value - 1499.5) / 2000 + 0.5, 0), 1)
        else:
            low, high = (v * 2 - 1000 if rescale else v for v in (16, 4064))
            grey = min(max((value - low) / (high - low), 0), 1)
        expected[at] = 1 - grey if inverted else grey
    np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
@pytest.mark.parametrize("function", ["LINEAR", "SIGMOID"])
def test_every_depth_agrees_with_pydicom(write_dicom: Write, dtype: type, function: str) -> None:
    info = np.iinfo(dtype)
    stored = np.random.default_rng(0).integers(info.min, info.max, (20, 30)).astype(dtype)
    middle, width = (info.min + info.max) / 2, (info.max - info.min) / 3
    path = write_dicom(
        stored, WindowCenter=str(middle)[:15], WindowWidth=str(round(width)), VOILUTFunction=function
    )
    ds = pydicom.dcmread(path)
    reference = apply_voi_lut(apply_modality_lut(pixel_array(ds), ds), ds).astype(float)
    low = -(2.0 ** (ds.BitsStored - 1)) if ds.PixelRepresentation else 0.0
    np.testing.assert_allclose(read_image(path), (reference - low) / (2**ds.BitsStored - 1), atol=1e-6)


def test_unused_high_bits_are_ignored(write_dicom: Write, ramp: np.ndarray) -> None:
    header = {"BitsStored": 12, "WindowCenter": 2048, "WindowWidth": 4096}
    clean = read_image(write_dicom(ramp, "clean.dcm", **header))
    dirty = read_image(write_dicom(ramp | 0xA000, "dirty.dcm", **header))
    np.testing.assert_array_equal(clean, dirty)


def test_twelve_bit_signed_values_are_sign_extended(write_dicom: Write) -> None:
    stored = np.array([[-2048, -1, 0, 2047]], np.int16) & 0x0FFF
    image = read_image(write_dicom(stored, BitsStored=12, WindowCenter=0, WindowWidth=4096))
    np.testing.assert_allclose(image, [[0, 0.5, 0.5, 1]], atol=2e-4)
    assert (np.diff(image) > 0).all()


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_does_not_shift_the_percentiles(write_dicom: Write, photometric: str) -> None:
    inner = np.linspace(1000, 2000, 10_000).astype(np.uint16).reshape(100, 100)
    padded = np.pad(inner, 50, constant_values=4095)
    header = {"BitsStored": 12, "PhotometricInterpretation": photometric}
    alone = read_image(write_dicom(inner, "inner.dcm", **header))
    image = read_image(write_dicom(padded, "padded.dcm", PixelPaddingValue=4095, **header))
    np.testing.assert_allclose(image[50:-50, 50:-50], alone, atol=1e-6)
    assert image[:50].max() == 0


def test_a_padding_range_is_black(write_dicom: Write) -> None:
    stored = np.array([[0, 5, 9, 100]], np.uint16)
    path = write_dicom(
        stored, PixelPaddingValue=0, PixelPaddingRangeLimit=9, WindowCenter=50, WindowWidth=101
    )
    np.testing.assert_allclose(read_image(path), [[0, 0, 0, 1]], atol=1e-6)


def test_the_first_frame_of_several_is_read(write_dicom: Write) -> None:
    frames = np.stack([np.full((4, 5), 255, np.uint8), np.zeros((4, 5), np.uint8)])
    image = read_image(write_dicom(frames, NumberOfFrames=2, WindowCenter=128, WindowWidth=256))
    assert image.shape == (4, 5)
    assert image.min() == 1


def test_colour_becomes_luminance(write_dicom: Write) -> None:
    rgb = np.array([[[255, 255, 255], [255, 0, 0]]], np.uint8)
    image = read_image(write_dicom(rgb, PhotometricInterpretation="RGB"))
    np.testing.assert_allclose(image, [[1, 0.299]], atol=1e-6)


def test_colour_of_fewer_bits_than_its_words_has_its_own_white(write_dicom: Write) -> None:
    rgb = np.array([[[4095, 4095, 4095], [4095, 0, 0]]], np.uint16)
    image = read_image(write_dicom(rgb, PhotometricInterpretation="RGB", BitsStored=12))
    np.testing.assert_allclose(image, [[1, 0.299]], atol=1e-6)


@pytest.mark.parametrize(
    "window",
    [
        {"WindowWidth": 0},
        {"WindowWidth": "0.5"},
        {"WindowWidth": -5},
        {"WindowWidth": 0, "VOILUTFunction": "SIGMOID"},
        {"WindowWidth": 3000, "VOILUTFunction": "FOO"},
    ],
)
def test_a_window_that_is_not_defined_becomes_percentiles_with_a_warning(
    write_dicom: Write, ramp: np.ndarray, window: dict[str, Any]
) -> None:
    expected = read_image(write_dicom(ramp, "none.dcm", BitsStored=12))
    path = write_dicom(ramp, BitsStored=12, WindowCenter=2000, **window)
    with pytest.warns(UserWarning, match="its own window cannot be used, so percentiles are"):
        image = read_image(path)
    np.testing.assert_array_equal(image, expected)
    np.testing.assert_array_equal(read_image(path, "percentile"), expected)  # asked for: no warning


def test_a_window_given_by_the_caller_is_the_callers_fault(write_dicom: Write, ramp: np.ndarray) -> None:
    with pytest.raises(ImageError, match="was not read: A LINEAR window of width 0 is not defined"):
        read_image(write_dicom(ramp, Modality="CT"), window=(40.0, 0.0))


@pytest.mark.parametrize("representation", ["SS", "US"])
def test_a_negative_slope_makes_a_voi_luts_input_signed(
    write_dicom: Write, ramp: np.ndarray, representation: str
) -> None:
    item = pydicom.Dataset()
    first = -4095 if representation == "SS" else 65536 - 4095
    item.add_new("LUTDescriptor", representation, [4096, first, 12])
    item.add_new("LUTData", "US", list(range(4096)))
    header = {"BitsStored": 12, "RescaleSlope": -1, "RescaleIntercept": 0, "VOILUTSequence": [item]}
    np.testing.assert_allclose(read_image(write_dicom(ramp, **header)), 1 - ramp / 4095, atol=1e-6)


def test_a_flat_image_without_a_window_is_black(write_dicom: Write) -> None:
    assert read_image(write_dicom(np.full((3, 3), 7, np.uint16))).max() == 0


def test_oblong_pixels_are_made_square(write_dicom: Write) -> None:
    stored = np.zeros((10, 10), np.uint8)
    assert read_image(write_dicom(stored, PixelSpacing=["0.4", "0.2"])).shape == (20, 10)
    assert read_image(write_dicom(stored, PixelAspectRatio=["1", "3"])).shape == (10, 30)
    assert read_image(write_dicom(stored, PixelSpacing=["0.2", "0.2"])).shape == (10, 10)


def test_a_spacing_counts_before_the_ratio_and_must_have_two_numbers(write_dicom: Write) -> None:
    stored = np.zeros((10, 10), np.uint8)
    both = {"PixelAspectRatio": ["1", "1"], "PixelSpacing": ["0.4", "0.2"]}
    assert read_image(write_dicom(stored, **both)).shape == (20, 10)
    assert read_image(write_dicom(stored, NominalScannedPixelSpacing=["0.4", "0.2"])).shape == (20, 10)
    assert read_image(write_dicom(stored, PixelSpacing="0.4")).shape == (10, 10)


def test_a_spacing_that_is_no_number_counts_for_nothing(write_dicom: Write) -> None:
    path = write_dicom(np.zeros((10, 10), np.uint8), PixelSpacing=["0.4", "0.2"], PixelAspectRatio=["3", "1"])
    path.write_bytes(path.read_bytes().replace(b"0.4\\0.2", b"0,4\\0,2"))
    assert read_image(path).shape == (30, 10)


@pytest.mark.parametrize("kind", ["Collimator", "Shutter"])
def test_a_polygonal_field_is_cut_to_the_box_around_it(write_dicom: Write, kind: str) -> None:
    stored = np.zeros((20, 30), np.uint8)
    stored[4:10, 6:21] = 255
    polygon = {f"{kind}Shape": "POLYGONAL", f"VerticesOfThePolygonal{kind}": [5, 10, 7, 21, 10, 12, 8, 7]}
    path = write_dicom(stored, WindowCenter=128, WindowWidth=256, **polygon)
    cut = read_image(path, crop_collimation=True)
    assert cut.shape == (6, 15)
    assert cut.min() == 1


def test_the_collimated_field_is_cut_out_on_request(write_dicom: Write) -> None:
    stored = np.zeros((20, 30), np.uint8)
    stored[4:10, 6:21] = 255
    edges = {"CollimatorUpperHorizontalEdge": 5, "CollimatorLowerHorizontalEdge": 10,
             "CollimatorLeftVerticalEdge": 7, "CollimatorRightVerticalEdge": 21}  # fmt: skip
    path = write_dicom(stored, CollimatorShape="RECTANGULAR", WindowCenter=128, WindowWidth=256, **edges)
    assert read_image(path).shape == (20, 30)
    cut = read_image(path, crop_collimation=True)
    assert cut.shape == (6, 15)
    assert cut.min() == 1


def test_a_hounsfield_window_needs_ct_or_force(write_dicom: Write, ramp: np.ndarray) -> None:
    ct = write_dicom(ramp, "ct.dcm", Modality="CT", RescaleIntercept=-1024, RescaleSlope=1)
    assert 0 < read_image(ct, window=(-500.0, 1500.0)).mean() < 1
    dx = write_dicom(ramp, "dx.dcm", RescaleIntercept=-1024, RescaleSlope=1)
    with pytest.raises(ImageError, match="DX, which has no Hounsfield units"):
        read_image(dx, window=(-500.0, 1500.0))
    with pytest.warns(UserWarning, match="forced on DX"):
        forced = read_image(dx, window=(-500.0, 1500.0), force_window=True)
    np.testing.assert_array_equal(forced, read_image(ct, window=(-500.0, 1500.0)))


def test_percentile_ignores_the_files_own_window(write_dicom: Write, ramp: np.ndarray) -> None:
    with_window = write_dicom(ramp, "a.dcm", WindowCenter=10, WindowWidth=20)
    without = write_dicom(ramp, "b.dcm")
    np.testing.assert_array_equal(read_image(with_window, "percentile"), read_image(without))


def test_a_file_without_preamble_is_still_dicom(write_dicom: Write, ramp: np.ndarray) -> None:
    path = write_dicom(ramp)
    bare = path.with_name("bare.dcm")
    bare.write_bytes(path.read_bytes()[132:])
    np.testing.assert_array_equal(read_image(bare), read_image(path))


def test_truncated_pixels_are_refused(write_dicom: Write, ramp: np.ndarray) -> None:
    path = write_dicom(ramp)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ImageError, match="broken DICOM file"):
        read_image(path)


def test_a_file_cut_within_its_header_is_refused(write_dicom: Write, ramp: np.ndarray) -> None:
    path = write_dicom(ramp)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ImageError, match=r"image\.dcm"):
        read_image(path)


def test_dicom_without_pixels_is_refused(write_dicom: Write, ramp: np.ndarray) -> None:
    path = write_dicom(ramp)
    ds = pydicom.dcmread(path)
    del ds.PixelData
    ds.Modality = "SR"
    ds.save_as(path)
    with pytest.raises(ImageError, match=r"without an image \(SR\)"):
        read_image(path)


def test_dicom_with_empty_pixels_is_refused(write_dicom: Write, ramp: np.ndarray) -> None:
    path = write_dicom(ramp)
    ds = pydicom.dcmread(path)
    ds.PixelData = b""
    ds.save_as(path)
    with pytest.raises(ImageError, match=r"without an image \(DX\)"):
        read_image(path)


def test_a_missing_codec_is_named_with_its_extra(write_dicom: Write, ramp: np.ndarray) -> None:
    from pydicom.encaps import encapsulate
    from pydicom.pixels import get_decoder
    from pydicom.uid import JPEGLosslessSV1

    if get_decoder(JPEGLosslessSV1).is_available:
        pytest.skip("a decoder for JPEG Lossless is installed")
    path = write_dicom(ramp)
    ds = pydicom.dcmread(path)
    ds.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    ds.PixelData = encapsulate([b"\xff\xd8\xff\xd9"])
    ds["PixelData"].VR = "OB"
    ds.save_as(path)
    with pytest.raises(ImageError, match=r"JPEG Lossless.*install radalign\[codecs\]"):
        read_image(path)


def test_a_very_large_dicom_is_refused_before_it_is_decoded(write_dicom: Write, ramp: np.ndarray) -> None:
    with pytest.raises(ImageError, match="16 x 16 pixels, more than the limit of 100;"):
        read_image(write_dicom(ramp), max_pixels=100)


PICTURE = np.array([[10, 20, 30], [40, 50, 60]], np.uint8)  # head up, the patient's left on the right


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (["L", "F"], PICTURE),
        (["R", "F"], PICTURE[:, ::-1]),
        (["L", "H"], PICTURE[::-1]),
        (["R", "H"], PICTURE[::-1, ::-1]),
        (["F", "L"], PICTURE.T),
        (["H", "L"], PICTURE[::-1].T),
        (["F", "R"], PICTURE[:, ::-1].T),
        (["A", "F"], PICTURE),
        (["P", "F"], PICTURE),
        (["P", "H"], PICTURE[::-1]),
        (["FR", "L"], PICTURE),
    ],
)
def test_a_stated_orientation_is_undone(
    write_dicom: Write, orientation: list[str], stored: np.ndarray
) -> None:
    path = write_dicom(
        np.ascontiguousarray(stored), PatientOrientation=orientation, WindowCenter=128, WindowWidth=256
    )
    np.testing.assert_allclose(read_image(path), PICTURE / 255, atol=1e-6)


def test_turning_also_turns_the_shape_of_a_pixel(write_dicom: Write) -> None:
    path = write_dicom(
        np.zeros((10, 20), np.uint8), PatientOrientation=["F", "L"], PixelSpacing=["0.4", "0.2"]
    )
    assert read_image(path).shape == (20, 20)


@pytest.fixture
def twelve_bit_jpeg(write_dicom: Write, ramp: np.ndarray) -> Path:
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEGExtended12Bit

    path = write_dicom(ramp, BitsStored=12)
    ds = pydicom.dcmread(path)
    ds.file_meta.TransferSyntaxUID = JPEGExtended12Bit
    ds.PixelData = encapsulate([b"\xff\xd8\xff\xd9"])
    ds["PixelData"].VR = "OB"
    ds.save_as(path)
    return path


def test_twelve_bit_jpeg_is_refused_with_what_to_do(
    twelve_bit_jpeg: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("radalign.images.codecs.find_spec", lambda name: None)
    with pytest.raises(ImageError, match="12-bit JPEG Extended; install imagecodecs"):
        read_image(twelve_bit_jpeg)


def test_twelve_bit_jpeg_goes_to_imagecodecs_where_it_is_installed(
    twelve_bit_jpeg: Path, ramp: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []
    library = ModuleType("imagecodecs")
    library.jpeg8_decode = lambda data: given.append(data) or ramp  # type: ignore[attr-defined]
    monkeypatch.setattr("radalign.images.codecs.find_spec", lambda name: name)
    monkeypatch.setitem(sys.modules, "imagecodecs", library)
    assert np.ptp(read_image(twelve_bit_jpeg)) > 0.9
    assert [bytes(data) for data in given] == [b"\xff\xd8\xff\xd9"]


def test_pydicoms_own_twelve_bit_jpeg_is_read_where_imagecodecs_is_installed() -> None:
    pytest.importorskip("imagecodecs", reason="imagecodecs is not installed")
    from pydicom.data import get_testdata_file

    assert read_image(str(get_testdata_file("JPGExtended.dcm"))).shape == (1024, 256)
