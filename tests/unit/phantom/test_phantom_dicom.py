"""A simulated DICOM file has the header of a radiograph and shows the PNG's pixels."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pydicom
import pytest
from PIL import Image

from radalign.data.phantom.dicom import dicom_bytes
from radalign.data.phantom.files import png_bytes
from radalign.data.phantom.photometry import Photometry
from radalign.data.phantom.render import render

# DICOM PS3.3 A.26 and its modules: attributes of type 1 and 2 that a DX image must carry.
NEEDED = (
    "PatientName PatientID PatientBirthDate PatientSex StudyInstanceUID StudyDate StudyTime StudyID "
    "ReferringPhysicianName AccessionNumber Modality SeriesInstanceUID SeriesNumber Laterality "
    "Manufacturer PresentationIntentType InstanceNumber PatientOrientation ContentDate ContentTime "
    "ImageType Rows Columns SamplesPerPixel PhotometricInterpretation BitsAllocated BitsStored "
    "HighBit PixelRepresentation PixelData ImageLaterality AnatomicRegionSequence "
    "PixelIntensityRelationship PixelIntensityRelationshipSign RescaleIntercept RescaleSlope "
    "RescaleType PresentationLUTShape LossyImageCompression BurnedInAnnotation DetectorType "
    "ImagerPixelSpacing WindowCenter WindowWidth AcquisitionContextSequence SOPClassUID "
    "SOPInstanceUID ViewPosition BodyPartExamined"
)


def window(values, header):
    """PS3.3 C.11.2.1.2 and C.11.2.1.3, written out."""
    c, w = float(header.WindowCenter), float(header.WindowWidth)
    if header.VOILUTFunction == "SIGMOID":
        return 1 / (1 + np.exp(-4 * (values - c) / w))
    if header.VOILUTFunction == "LINEAR_EXACT":
        return np.clip((values - c) / w + 0.5, 0, 1)
    return np.clip((values - (c - 0.5)) / (w - 1) + 0.5, 0, 1)


@pytest.fixture(scope="module")
def view(healthy):
    return render(healthy, 96)["PA"]


@pytest.mark.parametrize("interpretation", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_dicom_and_png_show_the_same(healthy, view, interpretation, function):
    photometry = Photometry(interpretation, 12, function)
    header = pydicom.dcmread(BytesIO(dicom_bytes(healthy, "PA", view, photometry)))
    shown = window(header.pixel_array.astype(float), header)
    shown = 1 - shown if interpretation == "MONOCHROME1" else shown
    png = np.asarray(Image.open(BytesIO(png_bytes(healthy, "PA", view))), float) / 255
    assert np.abs(shown - png).max() <= 1 / 255


def test_the_header_is_that_of_a_digital_radiograph(healthy, view):
    header = pydicom.dcmread(BytesIO(dicom_bytes(healthy, "PA", view, Photometry())))
    assert [name for name in NEEDED.split() if name not in header] == []
    assert header.SOPClassUID == "1.2.840.10008.5.1.4.1.1.1.1"
    assert (header.Modality, header.ViewPosition, header.BitsStored, header.HighBit) == ("DX", "PA", 12, 11)
    assert header.PatientID == healthy.patient_id
    assert header.StudyDate == healthy.date.replace("-", "")
    assert header.file_meta.MediaStorageSOPInstanceUID == header.SOPInstanceUID
    assert header.PresentationLUTShape == "IDENTITY"


def test_an_inverted_image_says_so(healthy, view):
    header = pydicom.dcmread(BytesIO(dicom_bytes(healthy, "PA", view, Photometry("MONOCHROME1"))))
    assert (header.PresentationLUTShape, header.PixelIntensityRelationshipSign) == ("INVERSE", 1)


def test_signed_or_rescaled_values_make_a_computed_radiograph(healthy, view):
    for photometry in (Photometry(signed=True), Photometry(slope=0.5, intercept=-100.0)):
        header = pydicom.dcmread(BytesIO(dicom_bytes(healthy, "PA", view, photometry)))
        assert (header.Modality, header.SOPClassUID) == ("CR", "1.2.840.10008.5.1.4.1.1.1")


def test_it_says_simulated_in_the_metadata(healthy, view):
    header = pydicom.dcmread(BytesIO(dicom_bytes(healthy, "PA", view, Photometry())))
    for name in (
        "PatientName",
        "PatientComments",
        "ImageComments",
        "StudyDescription",
        "ManufacturerModelName",
    ):
        assert "SIMULATED" in str(header[name].value)
    assert header.BurnedInAnnotation == "YES"
    png = Image.open(BytesIO(png_bytes(healthy, "PA", view)))
    assert "SIMULATED" in png.text["Description"]


def test_identifiers_are_valid_repeatable_and_distinct(healthy, view):
    first, again = (dicom_bytes(healthy, "PA", view, Photometry()) for _ in range(2))
    assert first == again
    header = pydicom.dcmread(BytesIO(first))
    other = pydicom.dcmread(BytesIO(dicom_bytes(healthy, "LL", view, Photometry())))
    later = pydicom.dcmread(BytesIO(dicom_bytes(replace(healthy, visit=1), "PA", view, Photometry())))
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        assert pydicom.uid.UID(header[name].value).is_valid
    assert header.StudyInstanceUID == other.StudyInstanceUID != later.StudyInstanceUID
    assert len({header.SOPInstanceUID, other.SOPInstanceUID, later.SOPInstanceUID}) == 3
    assert len({header.SeriesInstanceUID, other.SeriesInstanceUID, later.SeriesInstanceUID}) == 3


def test_the_png_writer_writes_what_another_reader_reads(healthy):
    for shape in ((1, 1), (3, 7), (64, 50)):
        image = np.random.default_rng(0).random(shape, dtype=np.float32)
        read = Image.open(BytesIO(png_bytes(healthy, "PA", image)))
        read.verify()
        read = Image.open(BytesIO(png_bytes(healthy, "PA", image)))
        assert read.mode == "L"
        np.testing.assert_array_equal(np.asarray(read), np.rint(255 * image).astype(np.uint8))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"bits": 7}, "choose 8 to 16"),
        ({"bits": 17}, "choose 8 to 16"),
        ({"window": "CUBIC"}, "choose one of"),
        ({"interpretation": "RGB"}, "choose one of"),
        ({"slope": 0.0}, "above 0"),
    ],
)
def test_what_cannot_be_stored_is_refused_with_a_sentence(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        Photometry(**settings)
