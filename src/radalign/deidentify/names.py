"""Names of a header found again in a text, however they are written there.

Both sides are folded: case, accents, umlauts (ü as u and as ue), width of letters, and kana are made one. A
name is looked for as a whole (any two of its parts side by side, in any order, with or without separators)
and part by part. A part that is an everyday word counts only where it is written as a name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from radalign.deidentify.everyday import EVERYDAY, PLACE_WORDS, REPORT_WORDS

Span = tuple[int, int]


class _Rule(NamedTuple):
    """What to look for; `capitals`: among words with a capital only; `accepts`: of the original text."""

    pattern: re.Pattern[str]
    capitals: bool = False
    accepts: Callable[[str, int, int], bool] = lambda text, start, end: True


MARKS = re.compile(r"\[(?:NAME|ID|DATE|PHONE|EMAIL|URL|UID)\]")
"""What stands where something was removed; nothing is found inside."""

_LETTERS = {"ß": "ss", "ẞ": "ss", "ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th",
            "ı": "i"}  # fmt: skip
_COVER = "\x00"
# Scripts that put no space between words, and Korean, which glues particles to names: no boundary there.
_RUNNING = re.compile(
    "[\u0e00-\u0eff\u1000-\u11ff\u1780-\u17ff\u3040-\u30ff\u3130-\u318f\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_WORD = re.compile(r"[^\W\d_]+")
_MARK_CATEGORIES = frozenset(
    {"Mn", "Mc"}
)  # accents, and the vowel signs that Indic and Thai words are full of
_PLACE_WORD = re.compile(r"[^\W_]+")
_PN_SEPARATORS = re.compile(r"[=\\]")
_BEFORE, _AFTER = r"(?<![^\W\d_])", r"(?![^\W\d_])"
_SEPARATOR = r"[\s,.^_'’‘`/‐-―\-・·]"
_GLUED_LETTERS = 8  # a name of so many letters is also found without a gap
_NO_TITLE = r"(?<!\bpt)(?<!\bpat)(?<!\b[dm]r)(?<!\bms)(?<!\bmrs)"
_START = re.compile(rf"(?:{_NO_TITLE}[.!?:;\n\r•*\[\]][\s\d).•*-]*|^[\s\d).•*-]*)[\"'“„«(]*$", re.IGNORECASE)


@dataclass(frozen=True)
class Folded:
    """A text without case, accents and width; `at[i]` is the place of letter i in the original.

    >>> fold("Müller 山田").letters, fold("ﬁx").at
    ('muller 山田', (0, 0, 1))
    """

    letters: str
    at: tuple[int, ...]


def fold(text: str) -> Folded:
    """Fold a text and remember where each letter was."""
    if text.isascii():
        return Folded(text.lower(), tuple(range(len(text))))
    pieces = [(_fold_letter(letter), place) for place, letter in enumerate(text)]
    at = tuple(place for piece, place in pieces for _ in piece)
    return Folded("".join(piece for piece, _ in pieces), at)


@lru_cache(maxsize=8192)
def _fold_letter(letter: str) -> str:
    plain = unicodedata.normalize("NFKD", letter.casefold())
    plain = "".join(c for c in plain if not _is_mark(c))
    plain = "".join(_LETTERS.get(c, c) for c in plain)
    return "".join(chr(ord(c) - 0x60) if "ァ" <= c <= "ヶ" else c for c in plain)


def parts_of(name: str) -> tuple[str, ...]:
    """The words of a name, as written: DICOM's `^`, hyphens and apostrophes divide.

    >>> parts_of("O'Brien-Smith^José")
    ('O', 'Brien', 'Smith', 'José')
    """
    whole = unicodedata.normalize("NFC", name)
    return tuple("".join(c if c.isalpha() or _is_mark(c) else " " for c in whole).split())


def _is_mark(letter: str) -> bool:
    return unicodedata.category(letter) in _MARK_CATEGORIES


def ways_of(name: str) -> tuple[str, ...]:
    """The ways one name is written in (alphabetic, ideographic, phonetic): each is a name of its own."""
    return tuple(way for way in _PN_SEPARATORS.split(name) if way.strip())


def is_running(text: str) -> bool:
    """Whether a text has a script that puts no space between words, where two letters are a whole name."""
    return bool(_RUNNING.search(text))


def find_names(text: str, names: frozenset[str], places: frozenset[str]) -> list[Span]:
    """Where the names stand in a text; spans that touch or are divided by spaces alone are one.

    >>> find_names("Seen: jose SMITH-JONES, 50 F", frozenset({"Smith Jones^José"}), frozenset())
    [(6, 22)]
    """
    covered = MARKS.sub(_cover, text)
    folded = {False: fold(covered), True: fold(_WORD.sub(_cover_small, covered))}
    spans = []
    for rule in _rules(names, places):
        view = folded[rule.capitals]
        for found in rule.pattern.finditer(view.letters):
            span = _original(view, found.start(), found.end(), covered) if found[0] else (0, 0)
            if found[0] and rule.accepts(covered, *span):
                spans.append(span)
    return _merged(spans, covered)


def _cover(found: re.Match[str]) -> str:
    return _COVER * len(found[0])


def _cover_small(found: re.Match[str]) -> str:
    """A word that begins with a small letter is no name that is also a word."""
    return found[0] if found[0][0].isupper() else _cover(found)


@lru_cache(maxsize=512)
def _rules(names: frozenset[str], places: frozenset[str]) -> tuple[_Rule, ...]:
    written = sorted({way for name in names for way in ways_of(name)})
    rules: list[_Rule] = []
    for way in written:
        rules += _whole(parts_of(way))
        rules += _with_apostrophe(way)
    for part in sorted({part for way in written for part in parts_of(way)}):
        rules += _alone(part)
    for place in sorted(places):
        rules += _place(place)
    return tuple(rules)


def _whole(parts: tuple[str, ...]) -> Iterator[_Rule]:
    """Two or more parts side by side, in any order, initials between and after them allowed."""
    long = [part for part in parts if len(part) > 1 or _RUNNING.search(part)]
    initials = [part for part in parts if part not in long]
    if len(long) < 2:
        return
    either = "|".join(sorted({_spelled(part) for part in long}, key=len, reverse=True))
    if any(_RUNNING.search(part) for part in long):
        yield _Rule(re.compile(rf"(?:{either})(?:[\s,^・·]*(?:{either}))+"))
        return
    last = rf"(?:\s+(?:{'|'.join(re.escape(fold(i).letters) for i in initials)})\b)?" if initials else ""
    fewest = 0 if sum(map(len, long)) >= _GLUED_LETTERS else 1
    apart = rf"{_SEPARATOR}{{{fewest},4}}(?:[a-z]\.?[\s,]+)?"
    only_words = all(_is_everyday(part) or len(part) == 2 for part in long)
    pattern = re.compile(rf"{_BEFORE}(?:{either})(?:{apart}(?:{either}))+{_AFTER}{last}")
    yield _Rule(pattern, only_words, _has_two_words)


def _alone(part: str) -> Iterator[_Rule]:
    """One part: wherever it stands, or as a name is written if it is a word or very short."""
    spelled, folded = _spelled(part), fold(part).letters
    if _RUNNING.search(part):
        if len(part) >= 2:
            yield _Rule(re.compile(spelled))
    elif len(part) == 2:
        yield _Rule(re.compile(f"{_BEFORE}{spelled}{_AFTER}"), True, _is_capitalised_inside)
    elif len(part) >= 3 and folded in EVERYDAY:
        pattern = re.compile(f"{_BEFORE}{spelled}(?:['’]s)?{_AFTER}")
        yield _Rule(pattern, True, _is_inside) if folded in REPORT_WORDS else _Rule(pattern, True)
    elif len(part) >= 3:
        # jdoe is Doe's login and Müllers the genitive of Müller; but stable is nothing of Mr Table's
        initial = r"[^\W\d_]?" if len(part) >= 6 else ""
        ending = r"(?:['’]?s)?" if len(part) >= 4 else r"(?:['’]s)?"
        yield _Rule(re.compile(f"{_BEFORE}{initial}{spelled}{ending}{_AFTER}"))


def _with_apostrophe(way: str) -> Iterator[_Rule]:
    """O'Brien is also OBrien and O Brien."""
    for word in re.findall(r"[^\W\d_]+['’‘`][^\W\d_]+", way):
        joined = r"['’‘`\s]?".join(_spelled(part) for part in parts_of(word))
        yield _Rule(re.compile(f"{_BEFORE}{joined}(?:['’]?s)?{_AFTER}"))


def _place(place: str) -> Iterator[_Rule]:
    """The whole phrase, and the words that are this institution's alone, with a capital."""
    words = [fold(word).letters for word in _PLACE_WORD.findall(unicodedata.normalize("NFC", place))]
    if len(words) > 1 or any(_RUNNING.search(word) for word in words):
        phrase = r"[\W_]+".join(map(re.escape, words))
        boundary = ("", "") if _RUNNING.search(phrase) else (_BEFORE, _AFTER)
        yield _Rule(re.compile(phrase.join(boundary)))
    for word in words:
        if len(word) >= 4 and word.isalpha() and word not in PLACE_WORDS | EVERYDAY:
            yield _Rule(re.compile(f"{_BEFORE}{re.escape(word)}(?:['’]?s)?{_AFTER}"), True)


def _spelled(part: str) -> str:
    """A pattern for a part in folded text: an umlaut, or what may stand for one, with its e or without."""
    part = unicodedata.normalize("NFC", part).casefold()
    plain = "".join(_umlaut(letter) for letter in part)
    if len(part) >= 4:
        plain = re.sub(r"([aou])e(?=[^?])", r"\1e?", plain)
    if len(part) >= 5:
        plain = re.sub(r"([aou])(?=[^aeiou?])", r"\1e?", plain)
    return plain


def _umlaut(letter: str) -> str:
    folded = re.escape(_fold_letter(letter))
    if letter in "äöüø":
        return f"{folded}e?"
    return "aa?" if letter == "å" else folded


def _is_everyday(part: str) -> bool:
    return fold(part).letters in EVERYDAY


def _has_two_words(text: str, start: int, end: int) -> bool:
    """One word twice is no whole name, and each is found alone."""
    found = text[start:end]
    words = {fold(word).letters for word in _WORD.findall(found) if len(word) > 1}
    return len(words) > 1 or (len(words) == 1 and len(found) >= _GLUED_LETTERS)


def _is_inside(text: str, start: int, end: int) -> bool:
    """Whether no start of a sentence, and no line in capitals, explains the capital."""
    line = text[text.rfind("\n", 0, start) + 1 :].partition("\n")[0]
    return not (text[start:end].isupper() and line.isupper()) and not _begins(text, start)


def _is_capitalised_inside(text: str, start: int, end: int) -> bool:
    return text[start:end].istitle() and not _begins(text, start)


def _begins(text: str, start: int) -> bool:
    """Whether a sentence, a line or a list begins here."""
    return bool(_START.search(text[max(0, start - 40) : start]))


def _original(folded: Folded, start: int, end: int, text: str) -> Span:
    first, last = folded.at[start], folded.at[end - 1] + 1
    while last < len(text) and _is_mark(text[last]):
        last += 1
    return first, last


def _merged(spans: Iterable[Span], text: str) -> list[Span]:
    out: list[Span] = []
    for start, end in sorted(spans):
        if out and (start <= out[-1][1] or not text[out[-1][1] : start].strip(" ,\t")):
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((start, end))
    return out
