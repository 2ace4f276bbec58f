"""Whatever the list, the case or the order: a negation reaches every item, and nothing else changes."""

import re

from hypothesis import given
from hypothesis import strategies as st

from radalign.reports.assertions import CHANGES, STATUSES, assert_report, assert_sentence
from radalign.reports.lexicon import (
    _INNER_STOP,
    _OWN_MARKS,
    _SINGULAR,
    _signs_as_words,
    _without_stop,
    _written_out,
    default_lexicon,
    words_of,
)
from radalign.reports.measures import _MEASURE, find_measurements
from radalign.reports.senses import WORD
from radalign.reports.terms import _plain_words

FINDINGS = (
    "pneumothorax",
    "pleural effusion",
    "consolidation",
    "edema",
    "nodule",
    "fracture",
    "scoliosis",
    "hernia",
)
LISTS = st.lists(st.sampled_from(FINDINGS), min_size=1, max_size=5, unique=True)
SENTENCES = st.lists(
    st.sampled_from(["no", "possible", "new", "effusion", "edema", ",", "and", "or", "but", "is", "stable",
                     "heart", "normal", "there is",
                     "has resolved", "with", "cannot exclude", ":", "lungs", "clear", "small",
                     "not seen", "?"]),
    max_size=14,
).map(" ".join)  # fmt: skip


def listed(items: list[str], last: str) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])}{last}{items[-1]}"


@given(
    LISTS, st.sampled_from([" or ", ", or ", " and "]), st.sampled_from(["No ", "There is no ", "Without "])
)
def test_a_negated_list_is_absent_throughout(items: list[str], last: str, opening: str) -> None:
    found = assert_sentence(opening + listed(items, last) + ".")
    assert [a.status for a in found] == ["absent"] * len(items)


@given(LISTS, LISTS)
def test_but_ends_a_negation(denied: list[str], seen: list[str]) -> None:
    found = assert_sentence(f"No {listed(denied, ' or ')}, but there is {listed(seen, ' and ')}.")
    assert sum(a.status == "present" for a in found) == len(seen)


@given(SENTENCES)
def test_reading_never_fails_and_case_does_not_matter(sentence: str) -> None:
    found = assert_sentence(sentence)
    assert assert_sentence(sentence.upper()) == found
    assert len({a.finding for a in found}) == len(found)
    assert all(a.status in STATUSES and a.change in ("", *CHANGES) for a in found)


@given(st.text(max_size=300))
def test_any_text_is_read(text: str) -> None:
    assert_report(text)


@given(st.text(st.sampled_from("aBcsé K.,;:()?#/&'’[]-019½\n"), max_size=40) | st.text(max_size=30))
def test_words_are_those_of_a_regular_expression(text: str) -> None:
    plain = _OWN_MARKS.sub(" ", _written_out(_INNER_STOP.sub(_without_stop, _signs_as_words(text))))
    slow = re.findall(r"[a-z]+|[,;:()?/&]|\.(?!\d)", plain.lower())
    assert words_of(text) == [_SINGULAR[word] for word in slow]


@given(SENTENCES)
def test_what_is_remembered_is_what_is_read(sentence: str) -> None:
    renamed = sentence.replace("effusion", "nodule").replace("edema", "fracture")  # one pattern, other names
    for text in (sentence, renamed, sentence):
        assert assert_sentence(text) == assert_sentence(text, default_lexicon())


@given(st.text(st.sampled_from("01½.,/ -x×toby cmm³H"), max_size=25))
def test_measurements_are_those_of_a_search_at_every_letter(text: str) -> None:
    slow, start = [], 0
    while start <= len(text):
        found = _MEASURE.match(text, start) if text[start : start + 1] in set("0123456789.½") else None
        if found:
            slow.append(found.span(1))
        start = found.end() if found else start + 1
    assert [(m.start, m.end) for m in find_measurements(text)] == slow


@given(st.text(st.sampled_from("aBZé09 .,;()_\n½"), max_size=30) | st.text(max_size=20))
def test_plain_words_are_those_of_the_pattern(text: str) -> None:
    plain = text.replace("/", " ").replace("-", " ")
    assert [word for word in _plain_words(plain) if word] == WORD.findall(plain)
