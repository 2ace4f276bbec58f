"""What a header says about who and where: what must not occur in any text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from radalign.deidentify.freetext import Identities

_NUMBERS = frozenset({
    "PatientID", "OtherPatientIDs", "AccessionNumber", "StudyID", "AdmissionID", "IssuerOfPatientID",
    "ServiceEpisodeID", "PatientTelephoneNumbers", "PersonTelephoneNumbers",
    "ReferringPhysicianTelephoneNumbers", "MedicalRecordLocator", "RequestedProcedureID",
    "PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest",
    "ScheduledProcedureStepID", "StationName",
})  # fmt: skip
_PLACES = frozenset({"InstitutionName", "InstitutionAddress", "PatientAddress", "ResponsibleOrganization"})


def identities(dataset: Dataset) -> Identities:
    """Every name, place and number of the header and of its sequences.

    >>> from pydicom.dataset import Dataset
    >>> ds, other = Dataset(), Dataset()
    >>> ds.PatientName, other.PatientID = "Doe^Jane", "A-77"
    >>> ds.OtherPatientIDsSequence = [other]
    >>> identities(ds).names, identities(ds).numbers
    (frozenset({'Doe^Jane'}), frozenset({'A-77'}))
    """
    elements = [element for element in dataset.iterall() if not element.tag.is_private]
    numbers = _said(e for e in elements if e.keyword in _NUMBERS)
    return Identities(
        names=_said(e for e in elements if e.VR == "PN"),
        numbers=frozenset(n for n in numbers if any(c.isdigit() for c in n)),
        places=_said(e for e in elements if e.keyword in _PLACES),
    )


def values_of(value: Any) -> list[Any]:
    """The values of an element, one or many, none for an empty one."""
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, (MultiValue, list, tuple)) else [value]


def _said(elements: Iterable[DataElement]) -> frozenset[str]:
    return frozenset(
        str(value).strip() for e in elements for value in values_of(e.value) if str(value).strip()
    )
