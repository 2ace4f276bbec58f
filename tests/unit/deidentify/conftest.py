"""A DICOM file full of identities, made here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

Make = Callable[..., Dataset]


def _pixels(text: str) -> np.ndarray:
    y, x = np.mgrid[0:160, 0:200] / 200
    smooth = 900 + 500 * np.sin(4 * x) * np.cos(3 * y)
    picture = Image.fromarray(np.zeros((160, 200), np.uint8))
    ImageDraw.Draw(picture).text((6, 6), text, fill=255, font=ImageFont.load_default(size=12))
    return np.where(np.asarray(picture) > 120, 4095, smooth).astype(np.uint16)


def _request() -> Dataset:
    request = Dataset()
    request.RequestedProcedureID = "RP-7788"
    request.ReferencedSOPInstanceUID = "1.2.3.4.5.99"
    request.ScheduledProcedureStepDescription = "Chest for Doe"
    return request


@pytest.fixture
def make() -> Make:
    """A chest radiograph of Jane Doe; keyword arguments replace attributes."""

    def made(text: str = "DOE^JANE 1961", **more: object) -> Dataset:
        ds = Dataset()
        ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.3.4.5.1"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3.4.5", "1.2.3.4.5.6"
        ds.PatientName, ds.PatientID, ds.PatientBirthDate = "Doe^Jane", "MRN-00123", "19610312"
        ds.PatientSex, ds.PatientAge, ds.OtherPatientIDs = "F", "093Y", "OLD-556677"
        ds.StudyDate, ds.StudyTime, ds.AcquisitionDateTime = "20240229", "101500", "20240229101500.5"
        ds.AccessionNumber, ds.StudyID = "ACC-9911", "S-4455"
        ds.InstitutionName, ds.InstitutionAddress = "Hillside Hospital", "1 Hill Road"
        ds.ReferringPhysicianName, ds.OperatorsName = "Miller^Anna", "Kovacs^Peter"
        ds.StudyDescription = "Chest of Jane Doe, MRN-00123, 3/4/2021"
        ds.ImageComments, ds.DeviceSerialNumber = "Call Dr. Kovacs at 555-123-4567", "SN-31415"
        ds.ContrastBolusAgent, ds.ViewPosition, ds.Modality = "none", "PA", "DX"
        ds.RequestAttributesSequence = Sequence([_request()])
        ds.ReferencedImageSequence = Sequence([_request()])
        ds.add_new(0x00091001, "LO", "Doe, private")
        ds.add_new(0x60004000, "LT", "Doe overlay")
        pixels = _pixels(text)
        ds.Rows, ds.Columns = pixels.shape
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
        ds.PixelData = pixels.tobytes()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta.SourceApplicationEntityTitle = "HILLSIDE"
        for keyword, value in more.items():
            setattr(ds, keyword, value)
        return ds

    return made


@pytest.fixture
def folder(make: Make, tmp_path: Path) -> Path:
    """Two patients, three studies, a report, a document and a file that is broken."""
    source = tmp_path / "in"
    for number, (patient, study) in enumerate((("MRN-00123", "a"), ("MRN-00123", "b"), ("MRN-00777", "c"))):
        place = source / patient / study
        place.mkdir(parents=True)
        ds = make(PatientID=patient, StudyInstanceUID=f"1.2.3.{number}", SOPInstanceUID=f"1.2.3.{number}.1")
        ds.StudyDate = f"2024030{number + 1}"
        ds.save_as(place / "image.dcm", enforce_file_format=True)
    (source / "MRN-00123" / "a" / "report.txt").write_text("Jane Doe, seen 3/4/2021. No effusion.")
    (source / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 40)
    (source / "notes.pdf").write_bytes(b"%PDF")
    document = make()
    del document.PixelData
    document.save_as(source / "document.dcm", enforce_file_format=True)
    return source
