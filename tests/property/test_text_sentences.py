"""Whatever the text: sentences and sections keep its words, truncation keeps its limit."""

from hypothesis import given
from hypothesis import strategies as st

from radalign.reports.sections import parse_report
from radalign.reports.sentences import split_sentences
from radalign.reports.truncate import truncate

WORDS = st.sampled_from(
    ["No", "effusion", "Dr.", "2.5", "cm.", "XXXX.", "___", "1.", "2.", "FINDINGS:", "Impression:", "\n\n"]
)
TEXT = st.lists(WORDS, max_size=40).map(" ".join) | st.text(max_size=200)


def letters(text: str) -> str:
    return "".join(c for c in text if c.isalpha() or c == "_")


@given(TEXT)
def test_sentences_keep_every_letter_in_order(text: str) -> None:
    assert letters("".join(split_sentences(text))) == letters(text)


@given(TEXT)
def test_splitting_twice_changes_nothing(text: str) -> None:
    once = split_sentences(text)
    assert [s for sentence in once for s in split_sentences(sentence)] == once


@given(TEXT)
def test_parsing_never_fails_and_invents_no_word(text: str) -> None:
    report = parse_report(text)
    known = set(text.replace(".", " ").split())
    assert set(report.body.replace(".", " ").split()) <= known


@given(TEXT, st.integers(min_value=1, max_value=30))
def test_truncation_keeps_its_limit(text: str, limit: int) -> None:
    assert len(truncate(text, limit, lambda t: len(t.split())).split()) <= limit
