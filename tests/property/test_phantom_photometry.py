"""Whatever the photometry, a DICOM file of the phantom is read back as its PNG."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radalign.data.phantom.case import Case
from radalign.data.phantom.course import patient_cases
from radalign.data.phantom.files import FileFormat
from radalign.data.phantom.photometry import INTERPRETATIONS, WINDOWS, Photometry
from radalign.data.phantom.render import render
from radalign.images.read import read_image

PHOTOMETRIES = st.builds(
    Photometry,
    interpretation=st.sampled_from(INTERPRETATIONS),
    bits=st.integers(8, 16),
    window=st.sampled_from(WINDOWS),
    signed=st.booleans(),
    slope=st.sampled_from([1.0, 0.5, 2.0, 0.1, 1.7]),
    intercept=st.sampled_from([0.0, -1024.0, 37.5]),
    headroom=st.sampled_from([0.0, 0.05, 0.2]),
)


@lru_cache(maxsize=1)
def example() -> tuple[Case, np.ndarray]:
    case = patient_cases(1, 0, prior_share=0.0)[0]
    return case, next(iter(render(case, 64).values()))


def read_back(case, image, file_format):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"view{file_format.suffix}"
        path.write_bytes(file_format.encode(case, "PA", image))
        return read_image(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(photometry=PHOTOMETRIES, seed=st.integers(0, 5))
def test_dicom_is_read_back_as_the_png(photometry, seed):
    case, image = example()
    if seed:  # every grey level, in any order
        image = np.random.default_rng(seed).random((64, 64), dtype=np.float32)
    png = read_back(case, image, FileFormat("png"))
    dicom = read_back(case, image, FileFormat("dicom", photometry))
    # Few bits under headroom or a steep sigmoid cannot hold 256 levels; half a stored step is then allowed.
    allowed = max(1 / 255, photometry.error() + 0.5 / 255)
    assert np.abs(dicom - png).max() <= allowed + 1e-5


@settings(max_examples=60, deadline=None)
@given(photometry=PHOTOMETRIES)
def test_twelve_bits_always_hold_the_png(photometry):
    if photometry.bits >= 12:
        assert photometry.error() + 0.5 / 255 <= 1 / 255 + 1e-5


@settings(max_examples=100, deadline=None)
@given(photometry=PHOTOMETRIES, low=st.floats(0, 1), high=st.floats(0, 1))
def test_stored_values_stay_in_their_bits_and_in_order(photometry, low, high):
    values = photometry.stored(np.array([[min(low, high), max(low, high)]], np.float32)).astype(int)[0]
    smallest, largest = photometry.limits
    assert smallest <= values.min()
    assert values.max() <= largest
    rising = values[0] <= values[1]
    assert rising if photometry.interpretation == "MONOCHROME2" else values[0] >= values[1]
