"""One DICOM dataset de-identified in place, attribute by attribute, by the table of the standard.

References:
    DICOM PS3.15 Annex E.1.1 (de-identifier), Table E.1-1; PS3.3 C.7.1.1 (Patient Identity Removed, method
    codes).
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from pydicom.datadict import dictionary_has_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence

from radalign.deidentify.dates import DUMMY, shift
from radalign.deidentify.freetext import Identities, scrub
from radalign.deidentify.identities import identities, values_of
from radalign.deidentify.keys import Key
from radalign.deidentify.profile import PIXEL_CODE, Profile, rule_of

METHOD = "radalign: DICOM PS3.15 Basic Profile; not claimed to be complete"
_TEXT_VRS = frozenset({"LO", "LT", "SH", "ST", "UC", "UT"})
_DATE_VRS = frozenset({"DA", "DT", "TM"})
_DUMMIES: dict[str, Any] = {
    **DUMMY, "AE": "ANON", "AS": "000Y", "CS": "ANON", "DS": "0", "IS": "0", "LO": "REMOVED",
    "LT": "Removed.",
    "PN": "ANON", "SH": "REMOVED", "ST": "Removed.", "UC": "REMOVED", "UT": "Removed.", "US": 0, "UL": 0,
    "SS": 0, "SL": 0, "FL": 0.0, "FD": 0.0, "OB": b"\0\0", "OW": b"\0\0", "UR": "about:blank",
}  # fmt: skip
_LENGTHS = {"LO": 64, "SH": 16}
STANDARD_UIDS = "1.2.840.10008."
"""How the UIDs of the standard begin."""
_OLDEST_YEARS = 90  # with patient characteristics kept: ages over 89 are one group
_OVERLAYS = range(0x6000, 0x6100)
# Not in the table, and yet of the person or the place.
_ALSO_REMOVED = frozenset({
    "PatientBirthDateInAlternativeCalendar", "PatientDeathDateInAlternativeCalendar",
    "PatientAlternativeCalendar", "NTPSourceAddress", "ContactDisplayName",
})  # fmt: skip
CODES = frozenset({
    "CodeValue", "LongCodeValue", "URNCodeValue", "CodingSchemeDesignator", "CodingSchemeUID",
    "CodingSchemeVersion", "CodingSchemeName", "CodingSchemeRegistry", "CodingSchemeURL", "ContextUID",
    "ContextIdentifier", "MappingResource", "MappingResourceUID", "MappingResourceName",
})  # fmt: skip
"""What makes a code a code: kept as it is, though it may look like a number of a person."""
# These say what kind of thing something is. Any other UID names one thing, and is mapped.
_KINDS = re.compile(
    "SOPClass|ClassUID$|TransferSyntax|^CodingScheme|^Context|^MappingResource|^CreatorVersion"
)
_BINARY_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW"})
_IMAGE_GROUPS = frozenset({0x0028, 0x7FE0})  # lookup tables and profiles; the pixels


@dataclass
class Outcome:
    """What was done to one dataset.

    Args:
        patient: The original patient (with issuer), for the ledger.
        pseudonym: The new Patient ID.
        shift_days: Days added to every date (0 when dates are removed or kept).
        known: The identities that stood in the header.
        actions: How many attributes met which action.
        kept_text: Keywords of free text that was scrubbed and kept: a person should read these.
        notes: What could not be done as it should.
        unread: Keywords of binary attributes that were removed without a look.
    """

    patient: str
    pseudonym: str
    shift_days: int
    known: Identities
    actions: Counter[str] = field(default_factory=Counter)
    kept_text: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    unread: set[str] = field(default_factory=set)


def deidentify_header(dataset: Dataset, key: Key, profile: Profile) -> Outcome:
    """De-identify a dataset and its file meta in place; pixels are not looked at.

    Args:
        dataset: As pydicom reads it; nested sequences included.
        key: Makes pseudonyms, UIDs and shifts.
        profile: The options.
    """
    patient, note = _patient(dataset)
    days = key.shift_days(patient) if "modified-dates" in profile.options else 0
    outcome = Outcome(patient, key.pseudonym("patient", patient), days, identities(dataset))
    outcome.notes += [note] if note else []
    accession = str(dataset.get("AccessionNumber") or "")
    _Walk(key, profile, outcome).dataset(dataset)
    if outcome.unread:
        outcome.notes.append(f"Binary attributes, removed unread: {', '.join(sorted(outcome.unread))}.")
    if "ICCProfile" in dataset:
        outcome.notes.append("The ICC profile was kept; its texts were not read.")
    dataset.PatientID = outcome.pseudonym
    dataset.PatientName = f"ANON^{outcome.pseudonym}"
    dataset.AccessionNumber = key.pseudonym("accession", accession) if accession else ""
    _sign(dataset, profile)
    _clean_meta(dataset)
    return outcome


def is_kind(element: DataElement) -> bool:
    """Whether a UID says what kind of thing something is (a SOP class, a coding scheme), not which one.

    >>> is_kind(DataElement(0x00080016, "UI", "1.2.3")), is_kind(DataElement(0x00080018, "UI", "1.2.3"))
    (True, False)
    """
    return not rule_of(element.tag) and bool(_KINDS.search(element.keyword))


def note_clean_pixels(dataset: Dataset) -> None:
    """Record that burned-in text was masked and none was found again."""
    dataset.BurnedInAnnotation = "NO"
    dataset.DeidentificationMethodCodeSequence.append(_code(*PIXEL_CODE))


class _Walk:
    """One pass over a dataset and its sequences."""

    def __init__(self, key: Key, profile: Profile, outcome: Outcome) -> None:
        self.key, self.profile, self.outcome = key, profile, outcome

    def dataset(self, dataset: Dataset) -> None:
        for tag in list(dataset.keys()):
            element = dataset[tag]
            action = self.action(element)
            self.outcome.actions[action] += 1
            if action == "X":
                del dataset[tag]
            else:
                self.apply(element, action)

    def action(self, element: DataElement) -> str:
        """The table's action, or one by the kind of value where the table says nothing."""
        tag = element.tag
        if (
            tag.is_private
            or tag.element == 0
            or element.keyword in _ALSO_REMOVED
            or tag.group in _OVERLAYS
            or 0x5000 <= tag.group <= 0x50FF
        ):
            return "X"
        if rule_of(tag):
            chosen = self.profile.action(tag)
            return "X" if chosen == "D" and element.VR == "UN" else chosen
        if element.VR == "UN" or not dictionary_has_tag(tag):
            return "X"
        return self.by_kind(element)

    def by_kind(self, element: DataElement) -> str:
        if element.VR in _DATE_VRS:
            kept = {"full-dates": "K", "modified-dates": "C"}
            return next((kept[o] for o in kept if o in self.profile.options), "Z")
        if element.keyword in CODES:
            return "K"
        if element.VR == "UI":
            return "K" if "uids" in self.profile.options or is_kind(element) else "U"
        if (
            not _BINARY_VRS.isdisjoint(str(element.VR).split(" or "))
            and element.tag.group not in _IMAGE_GROUPS
        ):
            self.outcome.unread.add(element.keyword)
            return "X"
        chosen = {"PN": "D", "AE": "Z", "UR": "X", "SQ": "K"}
        return chosen.get(element.VR, "C" if element.VR in _TEXT_VRS else "K")

    def apply(self, element: DataElement, action: str) -> None:
        if element.VR == "SQ":
            self.sequence(element, action)
        elif action == "Z":
            element.value = None
        elif action == "D":
            element.value = _DUMMIES.get(element.VR) if element.VR != "UI" else self.mapped(element.value)
        elif action == "U":
            element.value = self.mapped(element.value)
        elif action == "C":
            self.clean(element)
        elif element.keyword == "PatientAge":
            element.value = _capped_age(str(element.value or ""))

    def sequence(self, element: DataElement, action: str) -> None:
        if action in {"Z", "D"}:
            element.value = Sequence()
        else:
            for item in element.value or ():
                self.dataset(item)

    def mapped(self, value: Any) -> Any:
        new = [u if str(u).startswith(STANDARD_UIDS) else self.key.uid(str(u)) for u in values_of(value)]
        return new if len(new) > 1 else (new[0] if new else None)

    def clean(self, element: DataElement) -> None:
        if element.VR in _DATE_VRS:
            shifted = shift(
                "\\".join(str(v) for v in values_of(element.value)), element.VR, self.outcome.shift_days
            )
            element.value = shifted or None
        elif element.VR in _TEXT_VRS and element.value:
            longest = _LENGTHS.get(element.VR)
            cleaned = [scrub(str(v), self.outcome.known).text[:longest] for v in values_of(element.value)]
            element.value = cleaned if len(cleaned) > 1 else cleaned[0]
            self.outcome.kept_text.add(element.keyword)
        elif element.VR not in _TEXT_VRS:
            element.value = None


def _patient(dataset: Dataset) -> tuple[str, str]:
    """Who this is: the id with its issuer, else name and birth date, else the study alone."""
    number, issuer = (
        str(dataset.get("PatientID") or "").strip(),
        str(dataset.get("IssuerOfPatientID") or "").strip(),
    )
    if number:
        return f"{number}|{issuer}", ""
    name, born = (
        str(dataset.get("PatientName") or "").strip(),
        str(dataset.get("PatientBirthDate") or "").strip(),
    )
    if name:
        return f"name:{name}|{born}", "No Patient ID; the patient is told by name and birth date."
    study = str(dataset.get("StudyInstanceUID") or "").strip()
    return f"study:{study}", "No Patient ID and no name; each study counts as a patient of its own."


def _sign(dataset: Dataset, profile: Profile) -> None:
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = METHOD
    dataset.DeidentificationMethodCodeSequence = Sequence([_code(*code) for code in profile.codes()])
    kept = {"full-dates": "UNMODIFIED", "modified-dates": "MODIFIED"}
    dataset.LongitudinalTemporalInformationModified = next(
        (word for option, word in kept.items() if option in profile.options), "REMOVED"
    )


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
    return code


def _clean_meta(dataset: Dataset) -> None:
    """New file meta: only what reading the file needs."""
    old = getattr(dataset, "file_meta", FileMetaDataset())
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID") or old.get("MediaStorageSOPClassUID")
    meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID")
    if "TransferSyntaxUID" in old:
        meta.TransferSyntaxUID = old.TransferSyntaxUID
    dataset.file_meta = meta
    if hasattr(dataset, "preamble"):
        dataset.preamble = b"\0" * 128


def _capped_age(age: str) -> str:
    years = age[:-1].isdigit() and age.endswith("Y") and int(age[:-1])
    return f"{_OLDEST_YEARS:03d}Y" if years and years >= _OLDEST_YEARS else age
