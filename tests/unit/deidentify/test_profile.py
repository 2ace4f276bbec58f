"""The table of the standard: rows known by heart, its shape, and that every row is carried out."""

import pytest
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataset import Dataset

from radalign.deidentify.errors import DeidentifyError
from radalign.deidentify.header import deidentify_header
from radalign.deidentify.keys import Key
from radalign.deidentify.profile import OPTION_CODES, Profile, rule_of, table

KEY = Key(bytes(range(32)))
# Rows of PS3.15 Table E.1-1, written down from the standard's text, not from our file.
STANDARD = {
    0x00100010: ("Z", {}),
    0x00100020: ("Z/D", {}),
    0x00100030: ("Z", {}),
    0x00100040: ("Z", {"patient": "K"}),
    0x00101010: ("X", {"patient": "K"}),
    0x00080050: ("Z", {}),
    0x00080020: ("Z", {"full-dates": "K", "modified-dates": "C"}),
    0x00080030: ("Z", {"full-dates": "K", "modified-dates": "C"}),
    0x00080018: ("U", {"uids": "K"}),
    0x0020000D: ("U", {"uids": "K"}),
    0x00080080: ("X/Z/D", {"institution": "K"}),
    0x00080090: ("Z", {}),
    0x00081030: ("X", {"descriptors": "C"}),
    0x00081010: ("X/Z/D", {"devices": "K"}),
    0x00181000: ("X/Z/D", {"devices": "K"}),
    0x00204000: ("X", {"descriptors": "C"}),
    0x00081140: ("X/Z/U*", {"uids": "K"}),
    0x60003000: ("X", {"graphics": "C"}),
    0x50000010: ("X", {"graphics": "C"}),
}


@pytest.mark.parametrize("tag", STANDARD, ids="{:08x}".format)
def test_rows_of_the_standard(tag: int) -> None:
    row = rule_of(tag)
    assert row is not None
    assert (row.basic, dict(row.options)) == STANDARD[tag]


def test_the_table_is_whole_and_well_formed() -> None:
    rows = table()
    assert len(rows) >= 600
    assert len({row.tag for row in rows}) == len(rows)
    assert {row.basic for row in rows} == {"X", "Z", "D", "U", "X/Z", "X/D", "Z/D", "X/Z/D", "X/Z/U*"}
    assert {a for row in rows for a in row.options.values()} == {"K", "C"}
    shifted = [r for r in rows if "full-dates" in r.options]
    assert all(r.options == {**r.options, "modified-dates": "C", "full-dates": "K"} for r in shifted)


def test_every_date_of_the_table_but_births_and_gps_can_be_kept() -> None:
    for row in table():
        tag = int(row.tag, 16) if "x" not in row.tag else 0
        if tag and dictionary_has_tag(tag) and dictionary_VR(tag) in {"DA", "TM", "DT"}:
            exempt = {"PatientBirthDate", "PatientBirthTime", "GPSTimeStamp"}
            assert ("full-dates" in row.options) == (row.keyword not in exempt), row


VALUES = {
    "DA": "20240102", "TM": "101112", "DT": "20240102101112", "AS": "055Y", "DS": "7.5", "IS": "77",
    "PN": "Doe^Jane", "UI": "1.2.3.4", "US": 777, "UL": 777, "FD": 7.5, "FL": 7.5, "SS": 7, "SL": 7,
    "OB": b"DOE ", "OW": b"DOE ", "AE": "DOEAE", "CS": "DOE", "UR": "http://doe", "AT": 1048592,
}  # fmt: skip


def test_no_attribute_of_the_table_keeps_its_value_under_the_basic_profile() -> None:
    checked = 0
    for row in table():
        if "x" in row.tag or row.tag.startswith(("0000", "0002", "0004")):
            continue
        tag = int(row.tag, 16)
        vr = dictionary_VR(tag).split(" or ")[0] if dictionary_has_tag(tag) else "LO"
        ds = Dataset()
        if vr == "SQ":
            item = Dataset()
            item.PatientName = "Doe^Jane"
            ds.add_new(tag, vr, [item])
        else:
            ds.add_new(tag, vr, VALUES.get(vr, "Doe"))
        deidentify_header(ds, KEY, Profile(frozenset()))
        left = ds[tag].value if tag in ds else None
        assert "Doe^Jane" not in str(left), row
        assert left != VALUES.get(vr, "Doe"), row
        checked += 1
    assert checked > 600


def test_an_option_changes_nothing_else() -> None:
    by_option = {o: {r.keyword for r in table() if o in r.options} for o in OPTION_CODES}
    assert {"PatientName", "PatientBirthDate", "PatientAddress", "OperatorsName"}.isdisjoint(
        set().union(*by_option.values())
    )
    assert not any("Patient" in k or "Person" in k for k in by_option["devices"] | by_option["institution"])
    assert by_option["graphics"] == {
        "CurveData",
        "OverlayData",
        "OverlayComments",
        "GraphicAnnotationSequence",
    }
    for row in table():
        assert row.options.get("patient") in (None, "K" if row.keyword not in FREE_WORDS else "C")


FREE_WORDS = {"Allergies", "PatientState", "PreMedication", "SpecialNeeds"}


def test_unknown_and_contradicting_options_are_refused() -> None:
    with pytest.raises(DeidentifyError, match="Unknown options faces"):
        Profile(frozenset({"faces"}))
    with pytest.raises(DeidentifyError, match="choose full-dates or modified-dates"):
        Profile(frozenset({"full-dates", "modified-dates"}))


def test_every_option_has_a_code() -> None:
    codes = Profile(frozenset(OPTION_CODES) - {"full-dates"}).codes()
    assert codes[0] == ("113100", "Basic Application Confidentiality Profile")
    assert len(codes) == len(OPTION_CODES)
