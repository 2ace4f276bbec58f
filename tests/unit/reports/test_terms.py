"""Abbreviations: context decides, doubt leaves them alone, the UMLS is read as it is distributed."""

import gzip
from pathlib import Path

import pytest

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


def test_a_bad_table_is_refused() -> None:
    with pytest.raises(ValueError, match=r"see terms\.toml"):
        read_terms("[context.A]\nsense = 1")


ROW = "{cui}|{lang}|P|L1|PF|S1|Y|A1||||{sab}|{tty}|C1|{text}|0|{suppress}||"


def rows(*parts: tuple[str, str, str, str, str]) -> str:
    made = (ROW.format(cui=c, lang=g, sab="MSH", tty=t, text=x, suppress=s) for c, g, t, x, s in parts)
    return "\n".join(made) + "\n"


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


def test_what_is_no_umls_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give the path of your own"):
        read_umls(tmp_path / "none")
    (tmp_path / "x.RRF").write_text("a|b\n")
    with pytest.raises(ValueError, match=r"Line 1 .* has 2 columns"):
        read_umls(tmp_path / "x.RRF")
