"""A simulated view as a DICOM file: a digital or computed radiograph with a complete header."""

from __future__ import annotations

from datetime import datetime, timedelta
from io import BytesIO

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
)  # fmt: skip

from radalign.data.phantom.case import Case
from radalign.data.phantom.grid import Array
from radalign.data.phantom.photometry import Photometry
from radalign.data.phantom.render import FIELD_MM
from radalign.data.phantom.uids import uid

SOURCE = "radalign phantom"
NOTICE = "SIMULATED by radalign phantom; not a patient."
_ORIENTATION = {"PA": ["L", "F"], "AP": ["L", "F"], "LL": ["P", "F"]}


def dicom_bytes(case: Case, position: str, image: Array, photometry: Photometry) -> bytes:
    """The DICOM file of one view.

    Args:
        case: The study that the view belongs to.
        position: `PA`, `AP` or `LL`.
        image: float32 [H, W], 0..1, bright = dense.
        photometry: How the grey values are stored; unsigned and not rescaled makes a DX image, else CR.

    References:
        DICOM PS3.3 A.26 (DX), A.2 (CR), C.8.11.3 (DX Image), C.7.3.1 (General Series).
    """
    is_dx = not photometry.signed and (photometry.slope, photometry.intercept) == (1.0, 0.0)
    header = Dataset()
    _patient_and_study(header, case)
    _series(header, case, position, is_dx)
    _instance(header, case, position, image.shape[0], photometry)
    _pixels(header, image, photometry)
    if is_dx:
        _dx_only(header, image.shape[0], photometry)
    elif (photometry.slope, photometry.intercept) != (1.0, 0.0):
        header.RescaleSlope, header.RescaleIntercept = (
            _number(photometry.slope),
            _number(photometry.intercept),
        )
        header.RescaleType = "US"
    return _encoded(header)


def sop_instance_uid(case: Case, position: str, size_px: int, photometry: Photometry | None = None) -> str:
    """The view's own identifier; images that differ in size or storage are different instances."""
    return uid(case.study_id, position, size_px, photometry)


def study_instance_uid(case: Case) -> str:
    """The study's identifier."""
    return uid(case.study_id)


def study_time(case: Case) -> datetime:
    """When the study was taken: its date, and a time of day that follows from its id."""
    seconds = int(uid(case.study_id, "time")[5:]) % (10 * 3600)
    return datetime.fromisoformat(case.date) + timedelta(hours=8, seconds=seconds)


def _patient_and_study(header: Dataset, case: Case) -> None:
    when = study_time(case)
    header.PatientName, header.PatientID = "SIMULATED^PHANTOM", case.patient_id
    header.PatientBirthDate, header.PatientSex = "", case.anatomy.sex
    header.PatientAge = f"{case.anatomy.age_years + case.days // 365:03d}Y"
    header.PatientComments = NOTICE
    header.StudyInstanceUID = study_instance_uid(case)
    header.StudyDate, header.StudyTime = when.strftime("%Y%m%d"), when.strftime("%H%M%S")
    header.StudyID, header.AccessionNumber = str(case.visit + 1), f"S{uid(case.study_id)[-12:]}"
    header.ReferringPhysicianName, header.StudyDescription = "", "SIMULATED chest radiographs"


def _series(header: Dataset, case: Case, position: str, is_dx: bool) -> None:
    header.Modality = "DX" if is_dx else "CR"
    header.SeriesInstanceUID = uid(case.study_id, position, "series", header.Modality)
    header.SeriesNumber = 2 if position == "LL" else 1
    header.SeriesDescription = f"SIMULATED chest {position}"
    header.BodyPartExamined, header.ViewPosition = "CHEST", position
    header.Manufacturer, header.ManufacturerModelName = SOURCE, "SIMULATED"
    header.SoftwareVersions = SOURCE
    header.Laterality = ""
    if is_dx:
        header.PresentationIntentType = "FOR PRESENTATION"


def _instance(header: Dataset, case: Case, position: str, size_px: int, photometry: Photometry) -> None:
    when = study_time(case)
    is_dx = header.Modality == "DX"
    header.SOPClassUID = DigitalXRayImageStorageForPresentation if is_dx else ComputedRadiographyImageStorage
    header.SOPInstanceUID = sop_instance_uid(case, position, size_px, photometry)
    header.InstanceNumber, header.ImageType = 1, ["DERIVED", "PRIMARY", ""]
    header.AcquisitionNumber = 1
    header.AcquisitionDate = header.ContentDate = when.strftime("%Y%m%d")
    header.AcquisitionTime = header.ContentTime = when.strftime("%H%M%S")
    header.PatientOrientation = _ORIENTATION[position]
    header.DerivationDescription = header.ImageComments = NOTICE
    header.BurnedInAnnotation, header.LossyImageCompression = "YES", "00"
    header.ImagerPixelSpacing = [_number(FIELD_MM / size_px)] * 2


def _pixels(header: Dataset, image: Array, photometry: Photometry) -> None:
    stored = photometry.stored(image)
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, photometry.interpretation
    header.Rows, header.Columns = stored.shape
    header.BitsAllocated = 8 * stored.dtype.itemsize
    header.BitsStored, header.HighBit = photometry.bits, photometry.bits - 1
    header.PixelRepresentation = int(photometry.signed)
    header.WindowCenter, header.WindowWidth = _number(photometry.center), _number(photometry.width)
    header.VOILUTFunction = photometry.window
    raw = stored.tobytes()
    header.PixelData = raw + bytes(len(raw) % 2)
    header["PixelData"].VR = "OB" if header.BitsAllocated == 8 else "OW"


def _dx_only(header: Dataset, size_px: int, photometry: Photometry) -> None:
    dark_is_low = photometry.interpretation == "MONOCHROME2"
    header.PixelIntensityRelationship, header.PixelIntensityRelationshipSign = "LOG", -1 if dark_is_low else 1
    header.RescaleSlope, header.RescaleIntercept, header.RescaleType = "1", "0", "US"
    header.PresentationLUTShape = "IDENTITY" if dark_is_low else "INVERSE"
    header.ImageLaterality, header.DetectorType = "U", "DIRECT"
    header.AcquisitionContextSequence = []
    region = Dataset()
    region.CodeValue, region.CodingSchemeDesignator, region.CodeMeaning = "51185008", "SCT", "Chest"
    header.AnatomicRegionSequence = [region]


def _number(value: float) -> str:
    """A decimal string of at most 16 characters."""
    return f"{value:.10g}" if len(f"{value:.10g}") <= 16 else f"{value:.8g}"


def _encoded(header: Dataset) -> bytes:
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    file = BytesIO()
    header.save_as(file, enforce_file_format=True)
    return file.getvalue()
