"""What each option of PS3.15 E.3 changes, by rules on an attribute's type and name.

    UIDs          type UI, and sequences of nothing but references      kept
    dates         types DA, TM, DT, and time stamps, births excepted    kept, or shifted
    descriptors   free text types named Description, Comments, ...      cleaned
    devices, institution, patient: the names that say so                kept; free text cleaned

The rules are ours, written from the wording of the clauses; the option columns of Table E.1-1 are not copied
from anywhere. Where a name leaves doubt the attribute stays with the Basic Profile, which removes more.
An option only ever applies to attributes that the Basic Profile changes.

References:
    DICOM PS3.15 E.3.2 (graphics), E.3.5 (descriptors), E.3.6 (dates), E.3.7 (patient characteristics), E.3.8
    (device identity), E.3.9 (UIDs), E.3.11 (institution identity).
"""

from __future__ import annotations

import re

FREE_TEXT = frozenset({"LO", "LT", "SH", "ST", "UC", "UT"})
DATES = frozenset({"DA", "TM", "DT"})

_REFERENCES = frozenset({
    "ReferencedStudySequence", "ReferencedPerformedProcedureStepSequence", "ReferencedImageSequence",
    "SourceImageSequence",
})  # fmt: skip
# A signature's UID is of no use once the data set is another one; a content item's may point anywhere.
_UIDS_NOT_KEPT = frozenset({"DigitalSignatureUID", "UID"})
# Of the person rather than of the examination, or of a place.
_DATES_NOT_KEPT = frozenset({"PatientBirthDate", "PatientBirthTime", "GPSTimeStamp"})
_TIME_STAMPS = frozenset({"TimezoneOffsetFromUTC", "FrameOriginTimestamp", "CertifiedTimestamp"})
_DESCRIPTOR = re.compile(
    "(Description|Comments|Label|LongLabel|Notes|Narrative|Impressions|Agent|History|Alerts|Text|Reason"
    "|TreatmentSites?|^ProtocolName|EntityName|ROIName|RTPlanName|StructureSetName|TemplateName"
    "|Selector(LO|LT|SH|ST|UT)Value)$|^Reason|^Allergies$|^PatientState$|^Occupation$"
)
# About a device, a channel, a person's wishes or what is drawn on an image, not about the examination.
_NO_DESCRIPTOR = frozenset({
    "AcquisitionContextDescription", "ChannelDerivationDescription", "ChannelLabel", "DeviceDescription",
    "DeviceLabel", "ImagePresentationComments", "ModifiedImageDescription", "MultiplexGroupLabel",
    "TextComments", "XRayDetectorLabel", "ConfidentialityConstraintOnPatientDataDescription",
})  # fmt: skip
_DEVICE = re.compile(
    "StationName$|^Device(SerialNumber|UID|Description|Label)$|^(Lens|Detector|XRayDetector|XRaySource)"
    "|^(Plate|Generator|Cassette|Gantry)ID$|^(UDI|Unique)|Calibration|^DateOf(Manufacture|Installation)$"
    "|^TransducerIdentification|^ManufacturerDevice(ClassUID|Identifier)$|^TreatmentMachineName$"
    "|^Source(SerialNumber|Manufacturer)$|^ModifyingDeviceID$"
)
_INSTITUTION = re.compile("^Institution|^ClinicalTrial(SiteID|SiteName|CoordinatingCenterName)$")
_PATIENT = frozenset({
    "PatientSex", "PatientAge", "PatientSize", "PatientWeight", "PatientSexNeutered", "PregnancyStatus",
    "SmokingStatus", "EthnicGroup", "EthnicGroupCodeSequence",
})  # fmt: skip
_PATIENT_IN_WORDS = frozenset({"Allergies", "PatientState", "PreMedication", "SpecialNeeds"})
_GRAPHICS = frozenset({"CurveData", "OverlayData", "OverlayComments", "GraphicAnnotationSequence"})


def options_of(keyword: str, vr: str) -> dict[str, str]:
    """Option -> K keep or C clean, for one attribute that the Basic Profile changes.

    Args:
        keyword: DICOM keyword.
        vr: Its value representation, "" when the dictionary has none.

    >>> options_of("StudyDate", "DA"), options_of("PatientName", "PN"), options_of("PatientState", "LO")
    ({'full-dates': 'K', 'modified-dates': 'C'}, {}, {'patient': 'C', 'descriptors': 'C'})
    """
    says: dict[str, str] = {}
    if keyword in _REFERENCES or (vr == "UI" and keyword not in _UIDS_NOT_KEPT):
        says["uids"] = "K"
    if _DEVICE.search(keyword):
        says["devices"] = "K"
    if _INSTITUTION.search(keyword):
        says["institution"] = "K"
    if keyword in _PATIENT or keyword in _PATIENT_IN_WORDS:
        says["patient"] = "K" if keyword in _PATIENT else "C"
    if keyword in _TIME_STAMPS or (vr in DATES and keyword not in _DATES_NOT_KEPT):
        says |= {"full-dates": "K", "modified-dates": "C"}
    if vr in FREE_TEXT and _DESCRIPTOR.search(keyword) and keyword not in _NO_DESCRIPTOR:
        says["descriptors"] = "C"
    if keyword in _GRAPHICS:
        says["graphics"] = "C"
    return says
