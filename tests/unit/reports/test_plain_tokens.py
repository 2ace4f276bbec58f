"""A text whose tokens are all plain is only joined; reading it step by step must give the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from radalign.reports.clean import CleanOptions, _clean_by_steps, clean_text
from radalign.reports.terms import default_terms

TOKENS = (
    "The", "heart", "is", "enlarged.", "(mildly", "so)", "air-space", "and/or", "s/p", "PTX", "RUL,", "5", "5mm",
    "2.5", "cm", "x", "XXXX", "___", "//", "--", "...", ".,", "?edema", "edema?", "isn't", "don't.", "T.B.", "w/o",
    "C5-C6", "12/24/2001", "a.", "(", ")", "e.g.", "L1", "2x", "o'clock", "~3", "&", "#2", "-", "1.", "mass;",
)  # fmt: skip
TEXTS = st.lists(st.sampled_from(TOKENS) | st.text("aBx.,'()-/5 ?", max_size=6), max_size=8).map(" ".join)
OPTIONS = st.builds(
    CleanOptions,
    abbreviations=st.booleans(),
    measurements=st.sampled_from(("even", "mm", "keep")),
    holes=st.sampled_from(("drop", "mark", "keep")),
    marks=st.booleans(),
    lower=st.booleans(),
)


@given(TEXTS, OPTIONS)
def test_the_quick_way_is_the_slow_way(text: str, options: CleanOptions) -> None:
    assert clean_text(text, options) == _clean_by_steps(text, options, default_terms())


def test_most_words_of_a_report_are_plain() -> None:
    plain = default_terms().nothing_to_clean
    text = "The heart is mildly enlarged; no air-space disease (or mass)."
    assert all(plain[token] for token in text.split())
    assert not any(plain[token] for token in ("RUL", "5mm", "XXXX", "//", "cm.", "s/p", "½", "–"))
