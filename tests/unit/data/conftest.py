"""Small images, DICOM files and tables that the tests write."""

from __future__ import annotations

import gzip
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def image(tmp_path: Path) -> Callable[..., str]:
    """Write a small grey image below the test's folder; returns its relative path."""

    def write(name: str, grey: int = 99, size: tuple[int, int] = (4, 3)) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", size, grey).save(path)
        return name

    return write


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    """Write lines as a text file below the test's folder; a name that ends in .gz is compressed."""

    def write(
        lines: Iterable[str], name: str = "table.csv", encoding: str = "utf-8", end: str = "\n"
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = (end.join(lines) + end).encode(encoding)
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


@pytest.fixture
def dicom(tmp_path: Path) -> Callable[..., str]:
    """Write a small DICOM radiograph below the test's folder, with any header; returns its relative path."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

    def write(name: str, **header: Any) -> str:
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = DigitalXRayImageStorageForPresentation
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
        ds.Modality, ds.SamplesPerPixel, ds.PhotometricInterpretation = "DX", 1, "MONOCHROME2"
        ds.Rows, ds.Columns, ds.PixelRepresentation = 3, 4, 0
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 12, 11
        ds.PixelData = np.arange(12, dtype=np.uint16).tobytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some tests write values that pydicom warns of
            for keyword, value in header.items():
                setattr(ds, keyword, value)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        ds.save_as(path, enforce_file_format=True)
        return name

    return write
