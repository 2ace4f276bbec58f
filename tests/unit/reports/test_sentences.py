"""Sentences: the places where a full stop is not an end."""

import pytest

from radalign.reports.sentences import split_sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dr. Smith was called. No effusion.", ["Dr. Smith was called.", "No effusion."]),
        ("A 2.5 cm nodule. Heart normal.", ["A 2.5 cm nodule.", "Heart normal."]),
        ("Compared to XXXX. Clear.", ["Compared to XXXX.", "Clear."]),
        ("Called to Dr. XXXX. Clear.", ["Called to Dr. XXXX.", "Clear."]),
        ("Seen at 3 p.m. The tube is high.", ["Seen at 3 p.m.", "The tube is high."]),
        ("Seen at 3 p.m. by phone.", ["Seen at 3 p.m. by phone."]),
        ("1. No effusion\n2. Small nodule", ["No effusion", "Small nodule"]),
        ("1) One. 2) Two. 10) Ten.", ["One.", "Two.", "Ten."]),
        ("Effusion: no. Pneumothorax: no.", ["Effusion: no.", "Pneumothorax: no."]),
        ("See image no. 3 of series.", ["See image no. 3 of series."]),
        ("clear lungs . normal heart .", ["clear lungs.", "normal heart."]),
        ("Lungs\nare clear.\n\nHeart normal", ["Lungs are clear.", "Heart normal"]),
        ("Is there a nodule? Possibly!", ["Is there a nodule?", "Possibly!"]),
        ("Cough, ? edema. Normal.", ["Cough, ? edema.", "Normal."]),
        ("Edema? No. Clear.", ["Edema? No.", "Clear."]),
        ("Fracture of T12. Old.", ["Fracture of T12.", "Old."]),
        ("Patient of J. Miller. Clear.", ["Patient of J. Miller.", "Clear."]),
        ("Seen on ___. Unchanged.", ["Seen on ___.", "Unchanged."]),
        ("Limits. . Normal.", ["Limits.", "Normal."]),
        ("Grade 2. Stable.", ["Grade 2.", "Stable."]),
        ("", []),
        ("\n - \n", []),
    ],
)
def test_splits(text: str, expected: list[str]) -> None:
    assert split_sentences(text) == expected


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("NO RT. EFFUSION. LT. BASE CLEAR.", ["NO RT. EFFUSION.", "LT. BASE CLEAR."]),
        ("SMALL BILAT. EFFUSIONS.", ["SMALL BILAT. EFFUSIONS."]),
        ("OPACITY ON THE RT. HEART NORMAL.", ["OPACITY ON THE RT.", "HEART NORMAL."]),
        ("NO EFFUSION RT. ATELECTASIS LT.", ["NO EFFUSION RT.", "ATELECTASIS LT."]),
    ],
)
def test_a_side_in_capitals_closes_no_sentence_before_its_noun(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences
