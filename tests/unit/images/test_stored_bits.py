"""Where the value is in a stored word: each pixel's bits picked out one by one are the oracle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radalign.images.greys import padding_limits
from radalign.images.read import read_image, read_square
from radalign.images.stored_bits import StoredBits

Write = Callable[..., Path]


def value_of(word: int, bits: StoredBits) -> int:
    """Its bits from `low` up, as a number; the highest counts negative when signed."""
    picked = [(word >> (bits.low + at)) & 1 for at in range(bits.stored)]
    value = sum(bit << at for at, bit in enumerate(picked))
    return value - 2**bits.stored if bits.signed and picked[-1] else value


@given(st.sampled_from([8, 16]), st.booleans(), st.data())
def test_the_value_is_picked_out_of_any_word(allocated: int, signed: bool, data: st.DataObject) -> None:
    stored = data.draw(st.integers(1, allocated))
    bits = StoredBits(allocated, stored, data.draw(st.integers(0, allocated - stored)), signed)
    words = data.draw(st.lists(st.integers(0, 2**allocated - 1), min_size=1, max_size=20))
    got = bits.values(np.array(words, f"u{allocated // 8}"))
    assert got.tolist() == [value_of(word, bits) for word in words]


@pytest.mark.parametrize("function", ["LINEAR", "SIGMOID"])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(("stored_bits", "high_bit"), [(12, 11), (12, 13), (12, 15), (8, 15), (16, 15)])
def test_the_high_bit_decides_which_bits_are_read(
    write_dicom: Write, stored_bits: int, high_bit: int, signed: bool, function: str
) -> None:
    words = np.random.default_rng(0).integers(0, 65536, (11, 13)).astype(np.uint16)  # overlays all around
    bits = StoredBits(16, stored_bits, high_bit + 1 - stored_bits, signed)
    values = np.vectorize(lambda word: value_of(int(word), bits))(words)
    window = {"WindowCenter": bits.lowest + 2**stored_bits // 2, "WindowWidth": 2**stored_bits // 2 + 1}
    header = {"BitsStored": stored_bits, "VOILUTFunction": function, **window}
    path = write_dicom(words.view(np.int16) if signed else words, HighBit=high_bit, **header)
    plain = write_dicom(values.astype(np.int16 if signed else np.uint16), "plain.dcm", **header)
    np.testing.assert_allclose(read_image(path), read_image(plain), atol=1e-6)
    np.testing.assert_allclose(read_square(path, 5), read_square(plain, 5), atol=1e-6)


def test_a_high_bit_below_the_stored_bits_is_nonsense_and_not_used(write_dicom: Write) -> None:
    words = np.arange(0, 4096, 16, dtype=np.uint16).reshape(16, 16)
    good = read_image(write_dicom(words, "good.dcm", BitsStored=12))
    path = write_dicom(words, "bad.dcm", BitsStored=12)
    path.write_bytes(
        path.read_bytes().replace(b"\x28\x00\x02\x01US\x02\x00\x0b", b"\x28\x00\x02\x01US\x02\x00\x05")
    )
    assert pydicom.dcmread(path).HighBit == 5
    np.testing.assert_array_equal(read_image(path), good)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_a_padding_value_may_be_stated_without_the_sign(write_dicom: Write, photometric: str) -> None:
    stored = np.array([[-2000, 0, 100]], np.int16)
    header = {"PhotometricInterpretation": photometric, "WindowCenter": 0, "WindowWidth": 5000}
    ds = pydicom.dcmread(write_dicom(stored, BitsStored=12, **header))
    ds.add_new("PixelPaddingValue", "US", 63536)
    path = write_dicom(stored)
    ds.save_as(path)
    image = read_image(path)
    assert image[0, 0] == 0
    assert image[0, 1:].min() > 0.4


def test_a_padding_value_that_is_no_stored_value_marks_words(write_dicom: Write) -> None:
    stored = np.array([[-32768, 0, 100]], np.int16)
    path = write_dicom(stored, BitsStored=12, PixelPaddingValue=-32768, WindowCenter=0, WindowWidth=3000,
                       PhotometricInterpretation="MONOCHROME1")  # fmt: skip
    image = read_image(path)
    assert image[0, 0] == 0
    assert image[0, 1:].min() > 0.4
    without = read_image(write_dicom(stored, "w.dcm", BitsStored=12, PixelPaddingValue=-32768))
    assert without[0].tolist() == [0, 0, 1]  # nor does it take part in the percentiles


@pytest.mark.parametrize(("value", "signed", "expected"), [(-1, 0, (65535, 65535)), (63536, 0, (63536, 63536)),
                                                           (-5, 1, (-5, -5)), (65531, 1, (-5, -5))])  # fmt: skip
def test_padding_limits_take_the_sign_of_the_pixels(
    value: int, signed: int, expected: tuple[int, int]
) -> None:
    ds = pydicom.Dataset()
    ds.PixelRepresentation = signed
    ds.add_new("PixelPaddingValue", "SS" if value < 0 else "US", value)
    assert padding_limits(ds) == expected
