"""The photometric functions against the formulas of PS3.3, written out per pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_windowing

from radalign.images.window import apply_window, lookup_table, modality_lut, polarity, voi_transform

LEVELS = st.floats(-2000, 2000)
WIDTHS = st.floats(1.5, 4000)
SHAPES = st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"])


def by_the_standard(x: float, c: float, w: float, shape: str) -> float:
    """C.11.2.1.2.1 and C.11.2.1.3, for an output range of 0..1."""
    if shape == "SIGMOID":
        return 1 / (1 + math.exp(min(-4 * (x - c) / w, 700)))
    if shape == "LINEAR_EXACT":
        if x <= c - w / 2:
            return 0.0
        return 1.0 if x > c + w / 2 else (x - c) / w + 0.5
    if x <= c - 0.5 - (w - 1) / 2:
        return 0.0
    return 1.0 if x > c - 0.5 + (w - 1) / 2 else (x - (c - 0.5)) / (w - 1) + 0.5


@given(st.lists(st.integers(-5000, 5000), min_size=1, max_size=20), LEVELS, WIDTHS, SHAPES)
def test_a_window_is_the_standards_formula(values: list[int], level: float, width: float, shape: str) -> None:
    got = apply_window(np.array(values), level, width, shape)
    np.testing.assert_allclose(got, [by_the_standard(v, level, width, shape) for v in values], atol=1e-9)


@given(st.lists(st.floats(-5000, 5000), min_size=2, max_size=20), LEVELS, WIDTHS, SHAPES)
def test_a_window_never_reverses_the_order(
    values: list[float], level: float, width: float, shape: str
) -> None:
    image = apply_window(np.sort(np.array(values)), level, width, shape)
    assert (np.diff(image) >= 0).all()
    assert image.min() >= 0
    assert image.max() <= 1


@pytest.mark.parametrize("shape", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_a_window_agrees_with_pydicom(shape: str) -> None:
    ds = Dataset()
    ds.WindowCenter, ds.WindowWidth, ds.VOILUTFunction = 1000, 700, shape
    ds.PhotometricInterpretation, ds.BitsStored, ds.PixelRepresentation = "MONOCHROME2", 12, 0
    stored = np.arange(4096, dtype=np.uint16)
    np.testing.assert_allclose(
        apply_window(stored, 1000, 700, shape), apply_windowing(stored, ds) / 4095, atol=1e-6
    )


def test_a_window_of_width_one_is_a_step() -> None:
    assert apply_window(np.array([9.0, 9.5, 10.0]), 10, 1).tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("width", "shape"), [(0, "LINEAR"), (0.5, "LINEAR"), (0, "SIGMOID"), (-3, "LINEAR_EXACT")]
)
def test_an_impossible_width_is_refused(width: float, shape: str) -> None:
    with pytest.raises(ValueError, match="is not defined"):
        apply_window(np.zeros(1), 0, width, shape)


def test_an_unknown_function_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown"):
        apply_window(np.zeros(1), 0, 10, "CUBIC")


def test_rescale_agrees_with_pydicom_and_is_absent_without_tags() -> None:
    ds = Dataset()
    stored = np.arange(5, dtype=np.int16)
    assert modality_lut(stored, ds).tolist() == [0, 1, 2, 3, 4]
    ds.RescaleSlope, ds.RescaleIntercept = "2.5", "-1024"
    np.testing.assert_allclose(modality_lut(stored, ds), apply_modality_lut(stored, ds))


def table(descriptor: list[int], data: list[int]) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", descriptor)
    item.add_new("LUTData", "US", data)
    return item


def test_values_outside_a_table_take_its_ends() -> None:
    ds = Dataset()
    ds.ModalityLUTSequence = [table([3, 10, 16], [100, 200, 400])]
    assert modality_lut(np.array([0, 10, 11, 12, 99]), ds).tolist() == [100, 100, 200, 400, 400]


def test_a_voi_table_is_scaled_by_its_own_bits() -> None:
    ds = Dataset()
    ds.VOILUTSequence = [table([3, 0, 10], [0, 512, 1023])]
    ds.WindowCenter, ds.WindowWidth = 50, 100  # alternatives: the table is taken
    voi = voi_transform(ds)
    assert voi is not None
    np.testing.assert_allclose(voi(np.array([0, 1, 2, 7])), [0, 512 / 1023, 1, 1])


def test_zero_entries_mean_65536_and_a_signed_first_value_is_negative() -> None:
    entries, first, bits = lookup_table(table([0, 65036, 16], list(range(65536))), signed=True)
    assert (len(entries), first, bits) == (65536, -500, 16)


def test_a_table_of_bytes_is_read_as_words() -> None:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [2, 0, 16])
    item.add_new("LUTData", "OW", np.array([7, 65535], "<u2").tobytes())
    assert lookup_table(item, signed=False)[0].tolist() == [7, 65535]


def test_there_is_no_voi_without_tags_and_the_first_of_several_windows_is_taken() -> None:
    ds = Dataset()
    assert voi_transform(ds) is None
    ds.WindowCenter, ds.WindowWidth = ["50", "500"], ["101", "1001"]
    voi = voi_transform(ds)
    assert voi is not None
    np.testing.assert_allclose(voi(np.array([49.5])), [0.5])


def test_only_monochrome1_is_turned() -> None:
    assert polarity(np.array([0.25]), "MONOCHROME1").item() == 0.75
    assert polarity(np.array([0.25]), "MONOCHROME2").item() == 0.25
