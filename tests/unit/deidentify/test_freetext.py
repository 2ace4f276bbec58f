"""Free text: what must go, what must stay."""

import re

import pytest

from radalign.deidentify.freetext import Identities, scrub
from radalign.reports.scoring import read_labelled

KNOWN = Identities(
    frozenset({"Doe^Jane^Q", "Small^Mark", "Hillside Hospital"}), frozenset({"MRN-00123", "A77"})
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Jane Doe", "[NAME]"),
        ("DOE, JANE Q.", "[NAME]."),
        ("Ms. Doe's effusion", "Ms. [NAME] effusion"),
        ("Mark Small was seen; small mark on the lung", "[NAME] was seen; small mark on the lung"),
        ("from Hillside Hospital", "from [NAME]"),
        ("MRN-00123 and a77", "[ID] and [ID]"),
        ("MRN: 4455667", "[ID]"),
        ("discussed with Dr. Alvarez at 3:40 pm", "discussed with Dr. [NAME] at 3:40 pm"),
        ("Dr J. van Smit", "Dr [NAME]"),
        ("Signed by: Anna Maria Kovacs", "Signed by: [NAME]"),
        ("on 2021-03-04 and 3/4/21", "on [DATE] and [DATE]"),
        ("March 4, 2021 or 4 Mar 2021 or March 2021", "[DATE] or [DATE] or [DATE]"),
        ("20210304", "[DATE]"),
        ("call (555) 123-4567 or +49 30 1234567", "call [PHONE] or [PHONE]"),
        ("pager 12345", "[PHONE]"),
        ("a.b@c.org, https://x.org/y", "[EMAIL], [URL]"),
        ("1.2.840.113619.2.55.3", "[UID]"),
        ("123-45-6789", "[ID]"),
    ],
)
def test_identifiers_go(text: str, expected: str) -> None:
    assert scrub(text, KNOWN).text == expected


@pytest.mark.parametrize(
    "text",
    [
        "A 2.5 x 3.1 cm nodule at T8.",
        "Compared with 2 hours ago.",
        "The right 5th and 6th ribs may be broken.",
        "ETT 4.5 cm above the carina; NG tube below.",
        "No change from 1 to 2 to 3.",
        "Small effusion, large heart.",
        "NODULE 18 MM. NO CALCIFICATION.",
    ],
)
def test_findings_stay(text: str) -> None:
    assert scrub(text, KNOWN).text == text


def test_nothing_of_the_labelled_sentences_is_taken_for_an_identity() -> None:
    sentences = [i.sentence for half in ("development", "held_out") for i in read_labelled(half)]
    changed = [s for s in sentences if scrub(s).removed]
    assert [s for s in changed if not re.search(r"\b(January|March)\b", s)] == []  # dates of films are one


def test_scrubbing_twice_finds_nothing_more() -> None:
    once = scrub("Jane Doe, MRN-00123, 3/4/2021, Dr. Smith, 555-123-4567", KNOWN)
    assert scrub(once.text, KNOWN).removed == 0
    assert once.counts == {"NAME": 2, "ID": 1, "DATE": 1, "PHONE": 1}
