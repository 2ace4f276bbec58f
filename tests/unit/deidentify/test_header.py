"""One dataset: nothing of Jane Doe is left, and what is kept is kept on purpose."""

import pytest
from pydicom.dataset import Dataset

from radalign.deidentify.header import deidentify_header, identities
from radalign.deidentify.keys import Key
from radalign.deidentify.profile import Profile

KEY = Key(bytes(range(32)))
IDENTITIES = ("Doe", "Jane", "00123", "556677", "9911", "4455", "Hillside", "Hill Road", "Miller", "Kovacs",
              "4567", "7788", "31415", "19610312", "20240229", "1.2.3.4.5", "HILLSIDE")  # fmt: skip


def written(ds: Dataset) -> str:
    return f"{ds.file_meta}\n{ds}"


@pytest.mark.parametrize("options", [(), ("modified-dates",), ("modified-dates", "descriptors", "patient")])
def test_no_identity_is_left(make, options: tuple[str, ...]) -> None:
    ds = make()
    deidentify_header(ds, KEY, Profile(frozenset(options)))
    text = written(ds)
    assert [word for word in IDENTITIES if word in text] == []
    assert not any(e.tag.is_private or e.tag.group == 0x6000 for e in ds)


def test_what_the_image_needs_stays(make) -> None:
    ds, before = make(), make()
    deidentify_header(ds, KEY, Profile(frozenset()))
    for keyword in (
        "SOPClassUID",
        "Rows",
        "BitsStored",
        "PhotometricInterpretation",
        "ViewPosition",
        "Modality",
        "PixelData",
    ):
        assert ds[keyword].value == before[keyword].value


def test_pseudonyms_and_uids_are_the_same_everywhere(make) -> None:
    a, b = make(), make(SOPInstanceUID="1.2.3.4.5.99")
    one, two = (deidentify_header(ds, KEY, Profile(frozenset({"modified-dates"}))) for ds in (a, b))
    assert one.pseudonym == two.pseudonym == a.PatientID
    assert one.shift_days == two.shift_days < 0
    assert a.StudyInstanceUID == b.StudyInstanceUID
    assert a.ReferencedImageSequence[0].ReferencedSOPInstanceUID == b.SOPInstanceUID
    assert a.AccessionNumber == b.AccessionNumber != ""
    assert a.file_meta.MediaStorageSOPInstanceUID == a.SOPInstanceUID
    other = make()
    deidentify_header(other, Key(bytes(32)), Profile(frozenset()))
    assert other.PatientID != a.PatientID


def test_intervals_between_dates_survive_the_shift(make) -> None:
    first, second = make(), make(StudyDate="20240310")
    for ds in (first, second):
        deidentify_header(ds, KEY, Profile(frozenset({"modified-dates"})))
    from datetime import datetime

    days = datetime.strptime(second.StudyDate, "%Y%m%d") - datetime.strptime(first.StudyDate, "%Y%m%d")
    assert days.days == 10
    assert first.AcquisitionDateTime.startswith(first.StudyDate)
    assert first.LongitudinalTemporalInformationModified == "MODIFIED"


def test_options_keep_what_they_name(make) -> None:
    ds = make()
    deidentify_header(
        ds, KEY, Profile(frozenset({"patient", "devices", "institution", "full-dates", "uids"}))
    )
    assert (ds.PatientSex, ds.PatientAge) == ("F", "090Y")  # ages over 89 are one group
    assert (ds.DeviceSerialNumber, ds.InstitutionName) == ("SN-31415", "Hillside Hospital")
    assert (ds.StudyDate, ds.StudyInstanceUID) == ("20240229", "1.2.3.4.5")
    assert ds.PatientBirthDate in (None, "")
    codes = [code.CodeValue for code in ds.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113110", "113109", "113112", "113108", "113106"]
    assert ds.LongitudinalTemporalInformationModified == "UNMODIFIED"


def test_descriptions_are_scrubbed_when_kept(make) -> None:
    ds = make()
    outcome = deidentify_header(ds, KEY, Profile(frozenset({"descriptors"})))
    assert ds.StudyDescription == "Chest of [NAME], [ID], [DATE]"
    assert "StudyDescription" in outcome.kept_text


def test_a_patient_without_id_is_told_by_name_and_without_name_by_study(make) -> None:
    named = deidentify_header(make(PatientID=""), KEY, Profile(frozenset()))
    nobody = deidentify_header(make(PatientID="", PatientName=""), KEY, Profile(frozenset()))
    assert named.pseudonym != nobody.pseudonym
    assert "told by name" in named.notes[0]
    assert "patient of its own" in nobody.notes[0]


def test_the_issuer_tells_patients_of_two_hospitals_apart(make) -> None:
    outcomes = [deidentify_header(make(IssuerOfPatientID=i), KEY, Profile(frozenset())) for i in ("A", "B")]
    assert outcomes[0].pseudonym != outcomes[1].pseudonym


def test_identities_are_names_and_numbers_of_every_level(make) -> None:
    known = identities(make())
    assert {"Doe^Jane", "Miller^Anna", "Kovacs^Peter"} <= known.names
    assert known.places == {"Hillside Hospital", "1 Hill Road"}
    assert {"MRN-00123", "ACC-9911", "OLD-556677"} <= known.numbers


def test_unknown_attributes_go(make) -> None:
    ds = make()
    ds.add_new(0x00080ABC, "LO", "unheard of")
    ds.add_new(0x00189999, "UN", b"Doe")
    deidentify_header(ds, KEY, Profile(frozenset()))
    assert 0x00080ABC not in ds
    assert 0x00189999 not in ds


def test_codes_and_kinds_stay_and_other_uids_are_mapped(make) -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "399348003", "SCT", "antero-posterior"
    code.CodingSchemeUID, code.LongCodeValue, code.URNCodeValue = (
        "2.16.840.1.113883.6.96",
        "9" * 20,
        "urn:1.2",
    )
    ds = make(SOPClassUID="1.2.840.113619.4.26", ViewCodeSequence=[code])
    ds.TargetFrameOfReferenceUID = ds.FrameOfReferenceUID = "1.2.3.77"
    deidentify_header(ds, KEY, Profile(frozenset()))
    kept = ds.ViewCodeSequence[0]
    assert (kept.CodeValue, kept.LongCodeValue, kept.URNCodeValue) == ("399348003", "9" * 20, "urn:1.2")
    assert (kept.CodingSchemeDesignator, kept.CodingSchemeUID) == ("SCT", "2.16.840.1.113883.6.96")
    assert ds.SOPClassUID == ds.file_meta.MediaStorageSOPClassUID == "1.2.840.113619.4.26"
    assert ds.TargetFrameOfReferenceUID == ds.FrameOfReferenceUID != "1.2.3.77"


def test_what_the_table_does_not_know_goes_where_it_may_identify(make) -> None:
    ds = make(RetrieveURL="http://pacs/1", PatientBirthDateInAlternativeCalendar="S26.03.17")
    ds.WaveformData, ds.PatientAlternativeCalendar = b"DoeJane ", "JAPANESE"
    ds["WaveformData"].VR = "OB"
    outcome = deidentify_header(ds, KEY, Profile(frozenset()))
    for keyword in ("RetrieveURL", "PatientBirthDateInAlternativeCalendar", "PatientAlternativeCalendar"):
        assert keyword not in ds
    assert "WaveformData" not in ds
    assert "WaveformData" in outcome.notes[-1]


def test_numbers_of_every_level_go_from_every_text(make) -> None:
    other = Dataset()
    other.PatientID = "ZQ-33"
    ds = make(OtherPatientIDsSequence=[other], SoftwareVersions="ref ZQ-33 end")
    deidentify_header(ds, KEY, Profile(frozenset()))
    assert ds.SoftwareVersions == "ref [ID] end"
