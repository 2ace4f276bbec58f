"""Truncation: whole sentences, the impression first, never over the limit."""

import pytest

from radalign.reports.truncate import truncate, truncate_report
from radalign.study import Report


def words(text: str) -> int:
    return len(text.split())


def test_whole_sentences_are_kept() -> None:
    assert truncate("One two. Three four. Five.", 4, words) == "One two. Three four."


def test_a_text_that_fits_is_returned_as_it_is() -> None:
    assert truncate("One  two.\nThree", 3, words) == "One  two.\nThree"


def test_a_long_first_sentence_is_cut_at_a_word() -> None:
    assert truncate("one two three four five", 3, words) == "one two three"


def test_a_text_without_spaces_is_cut_within() -> None:
    assert truncate("肺" * 300, 16, len) == "肺" * 16
    assert truncate("pneumothorax", 3, len) == "pne"


def test_a_limit_too_small_for_any_letter_is_refused() -> None:
    with pytest.raises(ValueError, match="raise the token limit"):
        truncate("pneumothorax", 2, lambda text: len(text) + 2)


def test_special_tokens_count() -> None:
    assert truncate("One two. Three.", 4, lambda t: words(t) + 2) == "One two."


def test_the_impression_outlives_the_findings() -> None:
    report = Report(findings="Heart normal. Bones intact.", impression="No acute disease.")
    assert truncate_report(report, 5, words) == "Heart normal. No acute disease."
    assert truncate_report(report, 3, words) == "No acute disease."
    assert truncate_report(report, 2, words) == "No acute"
    assert truncate_report(report, 99, words) == report.body


def test_few_calls_for_a_long_report() -> None:
    calls = []
    truncate("Clear lungs. " * 500, 50, lambda t: calls.append(1) or words(t))
    assert len(calls) < 15
