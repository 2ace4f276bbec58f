"""Agreement with dicognito, an independent de-identifier: what it thinks identifies, we change too."""

import pytest
from pydicom.dataset import Dataset

from radalign.deidentify.header import deidentify_header
from radalign.deidentify.keys import Key
from radalign.deidentify.profile import Profile

dicognito = pytest.importorskip("dicognito.anonymizer", reason="dicognito is not installed (test-only).")


def values(ds: Dataset) -> dict[str, str]:
    return {f"{place}{e.tag}": str(e.value) for place, e in _walk(ds, "") if e.VR not in {"SQ", "OW", "OB"}}


def _walk(ds: Dataset, place: str):
    for e in ds:
        if e.VR == "SQ":
            for n, item in enumerate(e.value):
                yield from _walk(item, f"{place}{e.tag}[{n}].")
        else:
            yield place, e


def test_whatever_dicognito_changes_we_change(make) -> None:
    original, theirs, ours = make(), make(), make()
    dicognito.Anonymizer(seed="x").anonymize(theirs)
    deidentify_header(ours, Key(bytes(range(32))), Profile(frozenset({"modified-dates"})))
    before, they, we = values(original), values(theirs), values(ours)
    changed = {key for key in before if before[key] and they.get(key) != before[key]}
    assert len(changed) >= 12
    same = {key for key in changed if we.get(key) == before[key]}
    # Times of day: dicognito moves them, we keep them with shifted dates (PS3.15 Modified Dates Option).
    assert {original[_tag(key)].VR for key in same} <= {"TM"}


def _tag(key: str) -> int:
    return int(key.strip("()").replace(",", ""), 16)


def test_both_keep_what_the_image_needs(make) -> None:
    theirs, ours = make(), make()
    dicognito.Anonymizer(seed="x").anonymize(theirs)
    deidentify_header(ours, Key(bytes(range(32))), Profile(frozenset()))
    for keyword in (
        "SOPClassUID",
        "Modality",
        "Rows",
        "Columns",
        "BitsStored",
        "PhotometricInterpretation",
        "PixelData",
    ):
        assert theirs[keyword].value == ours[keyword].value


def test_both_map_one_patient_to_one_patient(make) -> None:
    anonymizer = dicognito.Anonymizer(seed="x")
    theirs, ours = [], []
    for patient in ("A", "B", "A"):
        one, two = make(PatientID=patient), make(PatientID=patient)
        anonymizer.anonymize(one)
        deidentify_header(two, Key(bytes(range(32))), Profile(frozenset()))
        theirs.append(one.PatientID)
        ours.append(two.PatientID)
    assert [x == theirs[0] for x in theirs] == [x == ours[0] for x in ours] == [True, False, True]
