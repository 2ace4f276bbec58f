"""Abbreviations: context decides, doubt leaves them alone, the UMLS is read as it is distributed."""

import gzip
import time
from pathlib import Path

import pytest

from radalign.reports.assertions import assert_sentence
from radalign.reports.terms import default_terms, expand, read_terms
from radalign.reports.umls import read_umls


def test_there_are_at_least_250_terms() -> None:
    assert len(default_terms()) >= 250


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CTA to rule out PE.", "CT angiography to rule out pulmonary embolism."),
        ("Small left PE with PTX.", "Small left pleural effusion with pneumothorax."),
        ("PE.", "PE."),
        ("PICC tip in the RA.", "peripherally inserted central catheter tip in the right atrium."),
        ("RA with erosions of the shoulder.", "rheumatoid arthritis with erosions of the shoulder."),
        ("Desaturation on RA, sats 85%.", "Desaturation on room air, sats 85%."),
        ("History of MS, wheelchair.", "History of multiple sclerosis, wheelchair."),
        ("MS changes.", "mental status changes."),
        ("PTX/PNA", "pneumothorax/pneumonia"),
        ("s/p CABG, w/o CHF", "status post coronary artery bypass graft, without congestive heart failure"),
        ("copd and ILD", "chronic obstructive pulmonary disease and interstitial lung disease"),
        ("an apical cap, a pie", "an apical cap, a pie"),
        ("APICAL CAP AND PTX", "APICAL CAP AND PNEUMOTHORAX"),
        ("Large PE with right heart strain.", "Large pulmonary embolism with right heart strain."),
        ("Segmental PE, right lower lobe.", "Segmental pulmonary embolism, right lower lobe."),
        ("Bilateral PE on CT.", "Bilateral pulmonary embolism on CT."),
        ("Acute PE, right pulmonary artery.", "Acute pulmonary embolism, right pulmonary artery."),
        ("PE, small.", "PE, small."),
        (
            "Small left PE. CTA to rule out PE.",
            "Small left pleural effusion. CT angiography to rule out pulmonary embolism.",
        ),
        (
            "AP chest: fullness of the AP window.",
            "anteroposterior chest: fullness of the aortopulmonary window.",
        ),
        ("Better seen on CT, line removed.", "Better seen on CT, line removed."),
        ("Right CT to suction.", "Right chest tube to suction."),
        ("No rt. effusion, approx. 3 cm.", "No right effusion, approximately 3 cm."),
        ("Hx. of CHF.", "history of congestive heart failure."),
        ("No PTX. heart normal", "No pneumothorax. heart normal"),
        ("PTXX is no term", "PTXX is no term"),
    ],
)
def test_expansion(text: str, expected: str) -> None:
    assert expand(text) == expected


def test_context_is_of_the_same_sentence() -> None:
    assert expand("Small left effusion. PE.") == "Small left effusion. PE."


def test_terms_of_ones_own_and_a_default_sense() -> None:
    terms = read_terms('[plain]\nXY = "x-ray y"\n[context.Q]\notherwise = "queue"\nsenses = []')
    assert expand("XY Q", terms) == "x-ray y queue"


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("[context.A]\nsense = 1", r"\[context\.A\] has no list of senses"),
        ("[plain]\nPTX = 3", "PTX = 3 is no text"),
        ('[plan]\nPTX = "x"', "'plan' is no table"),
        ('[context.A]\nsenses = [{words = "x", near = "lung"}]', r"near of \[context\.A\] is no list"),
        ('[plain]\n"q.d." = "x"', "'q.d.' can match no word"),
        ('[plain]\n"a b" = "x"', "'a b' can match no word"),
        ('[plain]\n3D = "x"', "'3D' can match no word"),
        ("[plain", "cannot be read"),
    ],
)
def test_a_bad_table_is_refused(table: str, reason: str) -> None:
    with pytest.raises(ValueError, match=rf"{reason}.*see terms\.toml"):
        read_terms(table)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"There is no file .*none\.toml; give"):
        read_terms(tmp_path / "none.toml")


def test_a_second_expansion_changes_nothing() -> None:
    for text in ("CVL in the RA", "RA lead in place; PE unclear.", "PA and LAT CXR", "PICC in RA w/ PTX"):
        assert expand(expand(text)) == expand(text)


def test_a_long_text_full_of_ambiguous_terms_takes_no_time() -> None:
    began = time.process_time()
    expand("PE and CT " * 5_000)
    assert time.process_time() - began < 10


ROW = "{cui}|{lang}|P|L1|PF|S1|Y|A1||||{sab}|{tty}|C1|{text}|0|{suppress}||"


def rows(*parts: tuple[str, str, str, str, str]) -> str:
    made = (ROW.format(cui=c, lang=g, sab="MSH", tty=t, text=x, suppress=s) for c, g, t, x, s in parts)
    return "\n".join(made) + "\n"


def test_writing_an_abbreviation_out_loses_no_finding() -> None:
    for short, words in default_terms().plain.items():
        before, after = ({a.finding for a in assert_sentence(text)} for text in (short, words))
        assert before <= after, (short, words)
    assert assert_sentence("electrocardiogram leads") == assert_sentence("cystic fibrosis") == ()


UMLS = rows(
    ("C1", "ENG", "PN", "Pneumatosis", "N"),
    ("C1", "ENG", "ACR", "PNTS", "N"),
    ("C2", "ENG", "PN", "First meaning", "N"),
    ("C2", "ENG", "AB", "AMBG", "N"),
    ("C3", "ENG", "AB", "AMBG", "N"),
    ("C4", "SPA", "AB", "SPAN", "N"),
    ("C5", "ENG", "AB", "GONE", "O"),
    ("C6", "ENG", "AB", "PTX", "N"),
    ("C6", "ENG", "PN", "Pentoxifylline", "N"),
)


@pytest.mark.parametrize("packed", [False, True])
def test_umls_gives_unambiguous_abbreviations(tmp_path: Path, packed: bool) -> None:
    file = tmp_path / ("MRCONSO.RRF.gz" if packed else "MRCONSO.RRF")
    file.write_bytes(gzip.compress(UMLS.encode()) if packed else UMLS.encode())
    found = read_umls(file)
    assert found == {"PNTS": "Pneumatosis", "PTX": "Pentoxifylline"}
    assert expand("PNTS and PTX", default_terms().with_plain(found)) == "Pneumatosis and pneumothorax"


WORDS = rows(
    ("C1", "ENG", "AB", "ALL", "N"),
    ("C1", "ENG", "PN", "All trans retinoic acid", "N"),
    ("C2", "ENG", "AB", "IS", "N"),
    ("C2", "ENG", "PN", "Iron study", "N"),
    ("C3", "ENG", "ET", "CHEST", "N"),
    ("C3", "ENG", "PN", "Chest, NOS", "N"),
    ("C4", "ENG", "AB", "Temp", "N"),
    ("C4", "ENG", "PN", "temp", "N"),
    ("C5", "ENG", "AB", "QQX", "N"),
    ("C5", "ENG", "PN", "Quux, NOS", "N"),
)


def test_umls_rewrites_no_ordinary_word(tmp_path: Path) -> None:
    (tmp_path / "MRCONSO.RRF").write_text(WORDS)
    found = read_umls(tmp_path / "MRCONSO.RRF")
    assert found == {"ALL": "All trans retinoic acid", "IS": "Iron study", "QQX": "Quux"}
    terms = default_terms().with_plain(found)
    for text in ("clear in all views", "THE HEART IS NORMAL", "Left chest", "a cat scan", "Temp 38"):
        assert expand(text, terms) == text
    assert expand("QQX noted", terms) == "Quux noted"


def test_what_is_no_umls_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give the path of your own"):
        read_umls(tmp_path / "none")
    (tmp_path / "x.RRF").write_text("a|b\n")
    with pytest.raises(ValueError, match=r"Line 1 .* has 2 columns"):
        read_umls(tmp_path / "x.RRF")


def test_the_stop_of_a_side_in_capitals_goes_with_it() -> None:
    assert expand("NO RT. EFFUSION. LT. BASE CLEAR.") == "NO RIGHT EFFUSION. LEFT BASE CLEAR."
