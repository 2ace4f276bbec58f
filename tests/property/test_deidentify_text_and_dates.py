"""Whatever the name, the date or the text around it: identities go, intervals stay, the rest is untouched."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from radalign.deidentify.dates import shift
from radalign.deidentify.freetext import Identities, scrub
from radalign.deidentify.keys import Key

NAMES = st.from_regex(r"[A-Z][bcdfgkz][aeiou][a-z]{3,8}", fullmatch=True)
BEFORE = st.sampled_from(["", "Patient ", "Seen by ", "No effusion. ", "Called ", "(", "for "])
AFTER = st.sampled_from(["", ".", ", no pneumothorax.", "'s film", ")", " was told", "; stable"])
DATES = st.dates(date(1900, 1, 1), date(2099, 12, 31))


@given(
    NAMES,
    NAMES,
    BEFORE,
    AFTER,
    st.sampled_from(["{0} {1}", "{1}, {0}", "{0}^{1}", "{0}", "{1} {0}"]),
    st.booleans(),
)
def test_a_header_name_never_survives(first, last, before, after, order, capitals) -> None:
    text = before + order.format(first, last) + after
    text = text.upper() if capitals else text
    scrubbed = scrub(text, Identities(frozenset({f"{last}^{first}"}))).text.lower()
    assert first.lower() not in scrubbed
    assert last.lower() not in scrubbed


@given(
    DATES,
    st.sampled_from(["%Y-%m-%d", "%m/%d/%Y", "%d.%m.%Y", "%B %d, %Y", "%d %b %Y", "%Y%m%d", "%m/%d/%y"]),
    BEFORE,
    AFTER,
)
def test_a_written_date_never_survives(day, form, before, after) -> None:
    written = day.strftime(form)
    assert written not in scrub(before + written + after).text


@given(st.text(max_size=80), st.text(max_size=30))
def test_scrubbing_is_final(text: str, name: str) -> None:
    known = Identities(frozenset({name}))
    once = scrub(text, known).text
    assert scrub(once, known).text == once


@given(DATES, DATES, st.integers(-3650, -1))
def test_a_shift_keeps_intervals(a: date, b: date, days: int) -> None:
    moved = [shift(d.strftime("%Y%m%d"), "DA", days) for d in (a, b)]
    back = [date(int(m[:4]), int(m[4:6]), int(m[6:])) for m in moved]
    assert back[1] - back[0] == b - a
    assert back[0] == a + timedelta(days=days)


@given(st.text(min_size=1, max_size=64), st.text(min_size=1, max_size=64))
def test_different_values_get_different_pseudonyms(a: str, b: str) -> None:
    key = Key(bytes(range(32)))
    assert (key.pseudonym("patient", a) == key.pseudonym("patient", b)) == (a == b)
    assert (key.uid(a) == key.uid(b)) == (a == b)
