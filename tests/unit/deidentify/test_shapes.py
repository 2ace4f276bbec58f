"""Shapes of dates, phones, numbers and titled names in four languages; measurements stay."""

import pytest

from radalign.deidentify.freetext import Identities, scrub

DATES = """17. März 1951; 17 de marzo de 1951; 17 mars 1951; 1er mars 1951; 17MAR1951; Mar-51; 17.3.; March of 1951
17th of March 1951; 17-Mar-1951; 1951-03-17T10:11; 3/17/51; 51-03-17; 17.03.1951; 17. 3. 1951; 19510317; 3 ENE 2020
17 février 2020; 5 août; 2 dic. 2020; März 1951; enero de 2020; décembre 2020; Okt. 2020; Mar '51; 4 May 2020"""
PHONES = """01 23 45 67 89; +33 1 23 45 67 89; +49 (0)89 123456-78; 612 34 56 78; 91-123-45-67; 555-1234
Tel. 089 / 123 45 67; 06.12.34.56.78; 0171-2345678; 030 12345678; Tfno 612 34 56 78; (617) 555-1234; 0033 1 23 45 67 89
Fax: 089-12345; pager 12345; 617.555.1234"""
NUMBERS = """Patientennummer 445566; NHC 445566; IPP 445566; Hosp no 445566; Fall-Nr. 445566; MRN445566; DNI 12345678Z
historia clínica: 445566; n° de dossier 445566; Acc 445566; NHS number 943-476; 1 51 03 75 116 001 23; 12345678Z"""


def pieces(text: str) -> list[str]:
    return [piece.strip() for line in text.splitlines() for piece in line.split("; ")]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (kind, one)
        for kind, all_ in (("DATE", DATES), ("PHONE", PHONES), ("ID", NUMBERS))
        for one in pieces(all_)
    ],
)
def test_a_shape_goes_whole(kind: str, text: str) -> None:
    assert scrub(f"Seen {text}; stable").text == f"Seen [{kind}]; stable"


@pytest.mark.parametrize(
    "text", ["17.03.1951-18.03.1951", "17.03.51-18.03.51", "3/4/2021-3/5/2021", "3/4/21-3/5/21"]
)
def test_both_ends_of_a_range_go(text: str) -> None:
    assert scrub(text).text == "[DATE]-[DATE]"


@pytest.mark.parametrize("cue", ["on 17/3", "am 17.3.", "vom 17.3.", "el 17/3", "le 17/3", "dated 3/17"])
def test_a_day_and_a_month_go_after_a_word_that_makes_them_a_date(cue: str) -> None:
    assert scrub(f"seen {cue} there").text == f"seen {cue.split()[0]} [DATE] there"


@pytest.mark.parametrize(
    "text",
    [
        "Dr. Özdemir", "Dr. van der Berg", "Frau Schmidt", "Mme Dupont", "Sr. García", "Prof. Dr. med. Schmidt",
        "Herrn Dr. Groß", "DR. SMITH", "Dra. de la Cruz", "M. Lefèvre", "Signed by: Anna Maria Kovacs",
        "befundet von Öztürk", "validé par Dr. Émile Zola", "Patient name: Zqdoe, Jane", "Vorname: Ägidius",
    ],
)  # fmt: skip
def test_a_name_after_a_title_a_signature_or_a_label_goes(text: str) -> None:
    scrubbed = scrub(f"{text}.").text
    assert scrubbed.endswith("[NAME].")
    assert scrub(scrubbed).text == scrubbed


@pytest.mark.parametrize(
    "text",
    [
        "A 2.5 x 3.1 cm nodule at T8, T12 and L1/2; C7-T1; Th12; LWK 1.",
        "2/3 of the lung, 1/2 and 2/3 of it, le 1/3 moyen, el 1/3 superior, on 2/3 views.",
        "Size 1.5. Then 3.5. Stable.",
        "Ribs 3 and 4 may be broken. Grade 3/6 and a murmur. Segments 4/5 and 8; levels 7/8 and 9.",
        "2048 x 2048 pixels; 5-10-15 mm; 500-1200 ml; HU 200-1000; pH 7.35; 55 60 65 %.",
        "Rundherd 8 mm in S3, 2. ICR, bis 3,5 cm, vor 3 Monaten. Aorta 4,2 cm.",
        "Nódulo de 8 mm, 3 de 5; derrame de 2,5 cm. Opacité de 12 mm.",
        "MR angiography and DR chest are no titles; read by the radiologist.",
        "A ratio of 16.2/24.7; CRP 35.1-26.3-16.4-14.9; 5.23-4.4-1.83-0.83; CO2 29.6., then",
        "Idiopathic-2, caseating 5, 10 days ago.",
    ],
)
def test_measurements_levels_and_fractions_stay(text: str) -> None:
    assert scrub(text).text == text


@pytest.mark.parametrize(
    ("number", "text", "expected"),
    [
        ("ZQ778812", "v_ZQ778812_1; ZQ 778812; zq-778812", "v_[ID]_1; [ID]; [ID]"),
        ("0012345", "12345; MRN-0012345x; 123456", "[ID]; MRN-[ID]x; 123456"),
        ("A77", "A77; A778; xA77", "[ID]; A778; xA77"),
        ("1234", "T1234; 1234", "T1234; [ID]"),
    ],
)
def test_a_number_of_the_header_goes_however_it_is_divided(number: str, text: str, expected: str) -> None:
    assert scrub(text, Identities(numbers=frozenset({number}))).text == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("per Dr. A. B. Chen-Williams today", "per Dr. [NAME] today"),
        ("Discussed with John Q. Smith, MD, by phone", "Discussed with [NAME], MD, by phone"),
        ("told Anna Roe RN at once", "told [NAME] RN at once"),
        ("Radiologist: Jane Roe", "Radiologist: [NAME]"),
        ("ATTENDING: ROE JANE", "ATTENDING: [NAME]"),
        ("Patient name: roe, jane\nClear.", "Patient name: [NAME]\nClear."),
        ("dr. smith called", "dr. [NAME] called"),
        ("dr. notified", "dr. notified"),
        ("DISCUSSED WITH DR SMITH", "DISCUSSED WITH DR [NAME]"),
        ("DR CHEST. Clear lungs, no MD called", "DR CHEST. Clear lungs, no MD called"),
        ("since 12/2019", "since [DATE]"),
        ("see www.clinic.example/roe", "see [URL]"),
    ],
)
def test_names_about_a_title_a_degree_or_an_office(text: str, expected: str) -> None:
    assert scrub(text).text == expected
