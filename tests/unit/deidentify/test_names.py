"""Names of a header in free text, however they are written."""

import pytest

from radalign.deidentify.freetext import Identities, scrub


def without(names: str | set[str], text: str, places: frozenset[str] = frozenset()) -> str:
    names = {names} if isinstance(names, str) else names
    return scrub(text, Identities(frozenset(names), places=places)).text


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("山田^太郎", "患者 山田太郎 胸部。太郎山田、山田 太郎", "患者 [NAME] 胸部。[NAME]、[NAME]"),
        (
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
            "やまだたろう; ヤマダ; YamadaTarou",
            "[NAME]; [NAME]; [NAME]",
        ),
        ("홍^길동", "환자 홍길동은, 길동 홍", "환자 [NAME]은, [NAME]"),
        ("ZQDOE^ZQJANE", "ZQDOE_ZQJANE; zqjane.zqdoe; ZQDOEZQJANE", "[NAME]; [NAME]; [NAME]"),
        ("ZQXDOE^ZQXJANE", "login JZQXDOE; zqxdoe7", "login [NAME]; [NAME]7"),
        ("Smith-Jones^José", "Smith Jones; SMITH; Jose; Smith‑Jones", "[NAME]; [NAME]; [NAME]; [NAME]"),
        ("MUELLER^HANS", "Müller; Mueller; Muller; Müllers", "[NAME]; [NAME]; [NAME]; [NAME]"),
        ("Müller^Hans", "MUELLER; MULLER; Mu\u0308ller", "[NAME]; [NAME]; [NAME]"),
        ("Muller^Hans", "Müller; Mueller", "[NAME]; [NAME]"),
        ("O'ZQBRIEN^PAT", "O’Zqbrien; OZQBRIEN; Zqbrien", "[NAME]; [NAME]; [NAME]"),
        ("Ｓｍｉｔｈ^Ann", "smith", "[NAME]"),
        ("NG^WEI", "Referred by Ng; NG tube", "Referred by [NAME]; NG tube"),
    ],
)
def test_a_name_goes_in_every_spelling(name: str, text: str, expected: str) -> None:
    assert without(name, text) == expected


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("LEE^KING", "Patient Lee; LEE was seen; a king", "Patient [NAME]; [NAME] was seen; a king"),
        ("Miller^J", "Miller called", "[NAME] called"),
        ("Taylor^A", "taylor-made", "taylor-made"),
        ("Small^Mark", "Patient Small is well", "Patient [NAME] is well"),
        ("Small^Mark", "Small effusion, small mark.", "Small effusion, small mark."),
        ("Small^Mark", "SMALL EFFUSION", "SMALL EFFUSION"),
        ("Small^Mark", "Mark Small small", "[NAME] small"),
        ("Table^Bob", "stable", "stable"),
    ],
)
def test_everyday_words_go_where_they_are_written_as_names(name: str, text: str, expected: str) -> None:
    assert without(name, text) == expected


@pytest.mark.parametrize(
    ("place", "text", "expected"),
    [
        ("Zq General Hospital", "General Electric, General hospital", "General Electric, General hospital"),
        ("Zq General Hospital", "ZQ GENERAL HOSPITAL; zq-general hospital", "[NAME]; [NAME]"),
        ("Primary Zqkids Clinic", "PRIMARY; at Zqkids", "PRIMARY; at [NAME]"),
        ("Hospital", "Back in hospital", "Back in hospital"),
        ("서울병원", "서울병원에서", "[NAME]에서"),
    ],
)
def test_of_an_institution_go_the_phrase_and_its_own_words(place: str, text: str, expected: str) -> None:
    assert without(set(), text, frozenset({place})) == expected


def test_what_was_put_in_is_no_name() -> None:
    assert without("Name^Id", "seen 3/4/2021 by Dr. Foo, MRN 12345") == "seen [DATE] by Dr. [NAME], [ID]"
