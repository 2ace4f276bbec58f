"""Whatever the photometry, orientation and transfer syntax, a simulated DICOM file reads as its PNG."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from radalign.data.phantom.case import Case
from radalign.data.phantom.course import patient_cases
from radalign.data.phantom.files import FileFormat
from radalign.data.phantom.photometry import INTERPRETATIONS, WINDOWS, Photometry
from radalign.data.phantom.render import render
from radalign.data.phantom.storage import TURNS, stored_as, turned_directions, writable_syntaxes
from radalign.images.read import read_image

PHOTOMETRIES = st.builds(
    Photometry,
    interpretation=st.sampled_from(INTERPRETATIONS),
    bits=st.integers(8, 16),
    window=st.sampled_from(WINDOWS),
    signed=st.booleans(),
    slope=st.sampled_from([1.0, 0.5, 2.0, 1.7]),
    intercept=st.sampled_from([0.0, -1024.0]),
    headroom=st.sampled_from([0.0, 0.05, 0.2]),
)


@lru_cache(maxsize=1)
def a_case() -> tuple[Case, np.ndarray]:
    case = patient_cases(1, 0, prior_share=0.0)[0]
    return case, next(iter(render(case, 64).values()))


def read_bytes(content: bytes, suffix: str) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"view{suffix}"
        path.write_bytes(content)
        return read_image(path)


@settings(max_examples=80, deadline=None)
@given(
    photometry=PHOTOMETRIES,
    turn=st.sampled_from(sorted(TURNS)),
    syntax=st.sampled_from(writable_syntaxes()),
    height=st.integers(2, 64),
)
@example(Photometry(bits=12, window="SIGMOID"), "half turn", RLELossless, 64)
@example(Photometry(bits=12, signed=True, interpretation="MONOCHROME1"), "left turn", RLELossless, 63)
def test_a_file_reads_as_the_image_made_without_dicom(photometry, turn, syntax, height):
    # Few bits under headroom or a steep sigmoid cannot hold 256 levels, however they are read.
    assume(photometry.slope / (photometry.width - (photometry.window == "LINEAR")) <= 1 / 255)
    # The encoder that pydicom calls makes six resolutions, which smaller images do not have.
    assume(height >= 32 or "2000" not in syntax.name)
    case, image = a_case()
    image = image[:height]
    plain = read_bytes(FileFormat("png").encode(case, "PA", image), ".png")
    file = FileFormat("dicom", photometry).encode(case, "PA", image)
    assert np.abs(read_bytes(stored_as(file, turn, syntax), ".dcm") - plain).max() <= 1 / 255 + 1e-5


@pytest.mark.parametrize("turn", TURNS)
def test_the_turned_directions_are_those_that_a_person_would_write(turn: str) -> None:
    by_hand = {
        "as it is": "LF", "mirrored": "RF", "upside down": "LH", "half turn": "RH", "transposed": "FL",
        "left turn": "FR", "right turn": "HL", "transposed half turn": "HR",
    }  # fmt: skip
    assert "".join(turned_directions(("L", "F"), turn)) == by_hand[turn]


def test_a_wrong_orientation_is_seen() -> None:
    """The check can fail: with the directions of another turn the image is another one."""
    import pydicom

    case, image = a_case()
    file = FileFormat("dicom").encode(case, "PA", image)
    turned = stored_as(file, "mirrored", ExplicitVRLittleEndian)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "view.dcm"
        path.write_bytes(turned)
        header = pydicom.dcmread(path)
        header.PatientOrientation = ["L", "F"]
        header.save_as(path)
        assert np.abs(read_image(path) - image).max() > 0.1
