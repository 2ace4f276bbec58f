"""A small DICOM writer: stored values in, a file with any header out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def write_dicom(tmp_path: Path) -> Callable[..., Path]:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

    def write(stored: np.ndarray, name: str = "image.dcm", **header: Any) -> Path:
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = header.pop("syntax", ExplicitVRLittleEndian)
        ds.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
        ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        bits = stored.dtype.itemsize * 8
        ds.SOPClassUID = DigitalXRayImageStorageForPresentation
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID
        ds.Modality = "DX"
        frames = header.get("NumberOfFrames", 1)
        shape = stored.shape[1:] if frames > 1 else stored.shape
        ds.Rows, ds.Columns = shape[:2]
        ds.SamplesPerPixel = 3 if len(shape) == 3 else 1
        if ds.SamplesPerPixel == 3:
            ds.PlanarConfiguration = 0
        ds.PhotometricInterpretation = "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = bits, bits, bits - 1
        ds.PixelRepresentation = int(stored.dtype.kind == "i")
        ds.PixelData = stored.tobytes() + b"\0" * (stored.nbytes % 2)
        for keyword, value in header.items():
            setattr(ds, keyword, value)
        if "BitsStored" in header and "HighBit" not in header:
            ds.HighBit = header["BitsStored"] - 1
        path = tmp_path / name
        ds.save_as(path, enforce_file_format=True)
        return path

    return write
