"""What is found in a written file: leaks, likenesses, and no coincidences."""

from pathlib import Path

import pytest

from radalign.deidentify.freetext import Identities
from radalign.deidentify.header import deidentify_header
from radalign.deidentify.keys import Key
from radalign.deidentify.profile import Profile
from radalign.deidentify.residue import is_like, leaks_of, likenesses_of, originals_of

KEY = Key(bytes(range(32)))
DATED = Profile(frozenset({"modified-dates", "descriptors"}))


def found(make, path: Path, after: dict[str, object] | None = None, **before: object) -> tuple[tuple, tuple]:
    """Leaks and likenesses of a file that was de-identified, and then given some values."""
    ds = make(**before)
    originals = originals_of(ds)
    outcome = deidentify_header(ds, KEY, DATED)
    for keyword, value in (after or {}).items():
        setattr(ds, keyword, value)
    ds.save_as(path, enforce_file_format=True)
    return leaks_of(path, outcome.known, originals, DATED), likenesses_of(path, outcome.known, DATED)


def test_nothing_is_found_where_nothing_is(make, tmp_path: Path) -> None:
    assert found(make, tmp_path / "a.dcm") == ((), ())


def test_a_shifted_date_may_be_the_date_of_another_element(make, tmp_path: Path) -> None:
    days = deidentify_header(make(), KEY, DATED).shift_days
    moved = make()
    deidentify_header(moved, KEY, DATED)
    assert days < 0
    leaks, _ = found(make, tmp_path / "a.dcm", DateOfLastCalibration=moved.StudyDate)
    assert leaks == ()
    leaks, _ = found(make, tmp_path / "a.dcm", after={"StudyDate": "20240229"})
    assert leaks == ("StudyDate",)


@pytest.mark.parametrize(
    ("header", "element"),
    [
        ({"InstitutionName": "Primary Care Clinic"}, {"ImageType": ["ORIGINAL", "PRIMARY"]}),
        ({"InstitutionName": "Institut Thorax"}, {"BodyPartExamined": "THORAX"}),
        ({"PatientName": "Zq^Identity"}, {"PresentationLUTShape": "IDENTITY"}),
        ({"InstitutionName": "Zq General Hospital"}, {"Manufacturer": "General Electric"}),
    ],
)
def test_a_coincidence_does_not_leak(make, tmp_path: Path, header: dict, element: dict) -> None:
    leaks, _ = found(make, tmp_path / "a.dcm", **header, **element)
    assert leaks == ()


def test_a_word_of_the_standard_is_shown_and_two_names_in_it_leak(make, tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    assert found(make, path, {"ViewPosition": "DOE"}) == ((), ("ViewPosition",))
    assert found(make, path, {"ViewPosition": "DOE JANE"})[0] == ("ViewPosition",)


def test_a_code_may_look_like_a_number_but_not_hold_a_name(make, tmp_path: Path) -> None:
    leaks, _ = found(make, tmp_path / "a.dcm", {"CodeValue": "399348003"})
    assert leaks == ()
    assert found(make, tmp_path / "a.dcm", {"CodeValue": "DOE7"})[0] == ("CodeValue",)


def test_the_coarse_search_sees_what_the_fine_one_does_not(make, tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    assert found(make, path, {"Manufacturer": "xxkovacsyy"}) == ((), ("Manufacturer",))
    assert found(make, path, {"SoftwareVersions": "vMRN00123b"}) == ((), ("SoftwareVersions",))
    pixels = b"Kovacs" + make().PixelData[6:]
    assert found(make, path, PixelData=pixels)[1] == ("PixelData",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a king", True),
        ("looking", False),
        ("MüLLER-q", True),
        ("Jo 77", False),
        ("[NAME]", False),
        ("山田", True),
    ],
)
def test_likenesses_in_a_text(text: str, expected: bool) -> None:
    known = Identities(frozenset({"Muellerq^Jo", "King^A", "Name^Jo", "山田^太郎"}), frozenset({"77"}))
    assert is_like(text, known) is expected
