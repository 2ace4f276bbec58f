"""However a picture is stored as DICOM, it reads as itself: any depth, window, polarity, orientation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    generate_uid,
)

from radalign.images.read import read_image

SYNTAXES = [
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
]
ORIENTATIONS = {"LF": lambda a: a, "RF": lambda a: a[:, ::-1], "LH": lambda a: a[::-1], "FL": lambda a: a.T}


@dataclass(frozen=True)
class Storage:
    """How a picture is put into a file."""

    bits: int
    signed: bool
    slope: float
    intercept: int
    function: str
    inverted: bool
    dirty: bool
    orientation: str
    syntax: UID


STORAGES = st.builds(
    Storage,
    bits=st.integers(8, 16),
    signed=st.booleans(),
    slope=st.sampled_from([1.0, 0.5, 2.0, 3.0]),
    intercept=st.sampled_from([0, -1024, 500]),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
    inverted=st.booleans(),
    dirty=st.booleans(),
    orientation=st.sampled_from(sorted(ORIENTATIONS)),
    syntax=st.sampled_from(
        [
            ExplicitVRLittleEndian,
            ImplicitVRLittleEndian,
            ExplicitVRBigEndian,
            DeflatedExplicitVRLittleEndian,
            RLELossless,
        ]
    ),
)


def window_of(storage: Storage) -> tuple[float, float]:
    """A window over three quarters of the modality values that the bits can hold."""
    lowest = -(2 ** (storage.bits - 1)) if storage.signed else 0
    span = 2**storage.bits * storage.slope
    return lowest * storage.slope + storage.intercept + span / 2, round(span * 0.75)


def stored_values(picture: np.ndarray, storage: Storage) -> np.ndarray:
    """The window's formula the other way round: which stored value shows as this grey."""
    level, width = window_of(storage)
    grey = 1 - picture if storage.inverted else picture
    if storage.function == "SIGMOID":
        values = level - width / 4 * np.log(1 / np.clip(grey, 0.06, 0.94) - 1)
    elif storage.function == "LINEAR_EXACT":
        values = (grey - 0.5) * width + level
    else:
        values = (grey - 0.5) * (width - 1) + level - 0.5
    return np.rint((values - storage.intercept) / storage.slope).astype(int)


def write(path: Path, picture: np.ndarray, storage: Storage) -> None:
    level, width = window_of(storage)
    words = "u1" if storage.bits == 8 else "<u2"
    stored = ORIENTATIONS[storage.orientation](stored_values(picture, storage)) & (2**storage.bits - 1)
    if storage.dirty and storage.bits < 16 and storage.bits > 8:
        stored = stored | (1 << storage.bits)
    pixels = np.ascontiguousarray(stored).astype(words)
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = DigitalXRayImageStorageForPresentation
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
    ds.Modality, ds.SamplesPerPixel = "DX", 1
    ds.PhotometricInterpretation = "MONOCHROME1" if storage.inverted else "MONOCHROME2"
    ds.Rows, ds.Columns = pixels.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = pixels.itemsize * 8, storage.bits, storage.bits - 1
    ds.PixelRepresentation = int(storage.signed)
    ds.RescaleSlope, ds.RescaleIntercept = storage.slope, storage.intercept
    ds.WindowCenter, ds.WindowWidth, ds.VOILUTFunction = str(level)[:16], width, storage.function
    ds.PatientOrientation = list(storage.orientation)
    ds.PixelData = pixels.tobytes()
    if storage.syntax == RLELossless:
        ds.compress(RLELossless)
    elif storage.syntax == ExplicitVRBigEndian and pixels.itemsize == 2:
        ds.PixelData = pixels.astype(">u2").tobytes()
    ds.file_meta.TransferSyntaxUID = storage.syntax
    pydicom.dcmwrite(path, ds, enforce_file_format=True)


@settings(max_examples=200)
@given(storage=STORAGES, seed=st.integers(0, 10**6))
def test_a_picture_survives_its_storage(
    tmp_path_factory: pytest.TempPathFactory, storage: Storage, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    picture = rng.uniform(0.08, 0.92, (2 * rng.integers(1, 6), 2 * rng.integers(1, 6)))
    path = tmp_path_factory.mktemp("dicom") / "image.dcm"
    write(path, picture, storage)
    # Storing rounds to the nearest of 2**bits values, of which the window spans three quarters.
    steepest = 4 / 3 if storage.function == "SIGMOID" else 1
    rounding = 0.5 * steepest / (0.75 * 2**storage.bits - 1)
    assert np.abs(read_image(path) - picture).max() <= max(1 / 255, rounding + 1e-6)
