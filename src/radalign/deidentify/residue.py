"""What is still there: a written file is read again and searched in two ways.

`leaks_of` searches as the de-identification does, and for original UIDs and dates; what it finds must not
leave. `likenesses_of` searches otherwise, and coarser: accents and separators gone, any place inside a word.
It finds what the first way cannot see, and coincidences too, so what it finds is for a person to look at. A
coded word (CS) is mostly the standard's, so one name in it is only a likeness (IDENTITY, of a Ms Identity).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from radalign.deidentify.dates import DUMMY
from radalign.deidentify.everyday import EVERYDAY
from radalign.deidentify.freetext import Identities, scrub
from radalign.deidentify.header import CODES, STANDARD_UIDS, is_kind
from radalign.deidentify.names import MARKS, find_names, fold, is_running, parts_of
from radalign.deidentify.profile import Profile

_PROSE_VRS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_OURS = frozenset({"PatientID", "PatientName", "DeidentificationMethod", "AccessionNumber"})
_OUR_CODES = "DeidentificationMethodCodeSequence"
_FEWEST_LETTERS = 4
_FEWEST_BYTES = 6  # in pixels, fewer letters are there by chance
_MAPPED_UIDS = "2.25."
_FEWEST_IN_WORDS = 3


@dataclass(frozen=True)
class Originals:
    """What the original held that must be gone.

    Args:
        uids: Those that name one thing.
        dates: Place of the element -> its value; another element may come to have the same date by chance.
    """

    uids: frozenset[str]
    dates: Mapping[str, str]


def originals_of(dataset: Dataset) -> Originals:
    """The UIDs and dates of a dataset that is not de-identified yet."""
    uids, dates = set(), {}
    for place, element in _walk(dataset):
        if element.VR == "UI" and not is_kind(element):
            uids.add(str(element.value))
        elif element.VR in {"DA", "DT"} and element.value:
            dates[place] = str(element.value)
    return Originals(frozenset(u for u in uids if u and not u.startswith(STANDARD_UIDS)), dates)


def leaks_of(path: Path, known: Identities, originals: Originals, profile: Profile) -> tuple[str, ...]:
    """Attributes of a written file in which an identity is still found.

    Args:
        path: The file as written.
        known: Names and numbers of the original header.
        originals: What must not occur unless an option keeps it.
        profile: The options.
    """
    found = set()
    for place, element in _read_again(path):
        if element.tag.is_private:
            found.add(f"private {element.tag}")
        elif _is_searched(place, element, profile) and _leaks(place, element, known, originals, profile):
            found.add(element.keyword or str(element.tag))
    return tuple(sorted(found))


def likenesses_of(path: Path, known: Identities, profile: Profile) -> tuple[str, ...]:
    """Attributes of a written file in which something like a name or number of the header stands.

    Args:
        path: The file as written.
        known: Names and numbers of the original header.
        profile: The options.
    """
    terms = _terms(known)
    found = set()
    for place, element in _read_again(path, whole=True):
        if _is_searched(place, element, profile) and _is_like(element, terms):
            found.add(element.keyword or str(element.tag))
    return tuple(sorted(found))


def is_like(text: str, known: Identities) -> bool:
    """Whether something like a name (four letters) or a number (four characters) stands in a text.

    >>> known = Identities(frozenset({"Muellerq^Jo"}), frozenset({"ZQ-7788"}))
    >>> [is_like(text, known) for text in ("xMü llerq", "zq/77 88.", "Jo, 77")]
    [True, True, False]
    """
    return _stands_in(text, _terms(known))


@dataclass(frozen=True)
class _Terms:
    """What to look for: inside words, as whole words, and in bytes."""

    inside: tuple[str, ...]
    words: frozenset[str]
    in_bytes: re.Pattern[bytes] | None


@lru_cache(maxsize=64)
def _terms(known: Identities) -> _Terms:
    parts = {part for name in known.names for part in parts_of(name)}
    numbers = {number for number in known.numbers if len(_coarse(number)) >= _FEWEST_LETTERS}
    long = {part for part in parts if len(part) >= (2 if is_running(part) else _FEWEST_LETTERS)}
    inside = {_coarse(term) for term in numbers | {p for p in long if fold(p).letters not in EVERYDAY}}
    words = frozenset(_coarse(part) for part in parts if len(part) >= _FEWEST_IN_WORDS)
    raw = sorted(re.escape(term.encode()) for term in parts | numbers if len(term) >= _FEWEST_BYTES)
    return _Terms(tuple(sorted(inside)), words, re.compile(b"|".join(raw), re.IGNORECASE) if raw else None)


def _coarse(text: str) -> str:
    """Folded letters and digits alone, umlauts without their e."""
    letters = fold(MARKS.sub("|", text)).letters
    return re.sub("([aou])e", r"\1", "".join(c for c in letters if c.isalnum() or c == "|"))


def _stands_in(text: str, terms: _Terms) -> bool:
    whole = _coarse(text)
    return any(term in whole for term in terms.inside) or bool(_words_in(text, terms))


def _words_in(text: str, terms: _Terms) -> set[str]:
    """The parts of names that stand in a text as words."""
    return {_coarse(word) for word in parts_of(MARKS.sub("|", text))} & terms.words


def _is_like(element: DataElement, terms: _Terms) -> bool:
    if isinstance(element.value, bytes):
        return bool(terms.in_bytes and terms.in_bytes.search(element.value))
    text = "" if element.value is None else str(element.value)
    if element.VR == "CS":
        return bool(_words_in(text, terms))
    if element.VR == "UI":
        return not text.startswith((_MAPPED_UIDS, STANDARD_UIDS)) and _stands_in(text, terms)
    return element.VR in _PROSE_VRS | {"AE"} and _stands_in(text, terms)


def _is_searched(place: str, element: DataElement, profile: Profile) -> bool:
    """All but what we wrote ourselves, and what an option keeps."""
    ours = element.keyword in _OURS or place.startswith(_OUR_CODES)
    return not ours and profile.action(int(element.tag)) != "K"


def _leaks(
    place: str, element: DataElement, known: Identities, originals: Originals, profile: Profile
) -> bool:
    value = "" if element.value is None else str(element.value)
    if element.VR == "UI":
        return "uids" not in profile.options and value in originals.uids and not is_kind(element)
    if element.VR in {"DA", "DT"}:
        same = value == originals.dates.get(place)
        return "full-dates" not in profile.options and same and value not in DUMMY.values()
    if element.VR == "CS":
        return len(_words_in(value, _terms(known))) > 1
    if element.keyword in CODES:  # 399348003 is a code, and a number of somebody by chance
        return bool(find_names(value, known.names, frozenset()))
    return element.VR in _PROSE_VRS and scrub(value, known).removed > 0


def _read_again(path: Path, whole: bool = False) -> Iterator[tuple[str, DataElement]]:
    dataset = dcmread(path, stop_before_pixels=not whole)
    yield from ((element.keyword, element) for element in dataset.file_meta)
    yield from _walk(dataset)


def _walk(dataset: Dataset, place: str = "") -> Iterator[tuple[str, DataElement]]:
    """Every element with its place: the keywords and item numbers that lead to it."""
    for element in dataset:
        here = f"{place}{element.keyword or element.tag}"
        yield here, element
        if element.VR == "SQ":
            for number, item in enumerate(element.value or ()):
                yield from _walk(item, f"{here}[{number}].")
