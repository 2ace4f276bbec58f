"""Which of its meanings an abbreviation has: what the words around it, or of its sentence, speak for.

"CTA to rule out PE."   an embolism, because of "CTA" and "rule out"
"the AP window"         aortopulmonary, because "window" stands right behind it
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

from radalign.reports.sentences import split_sentences

WORD = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[/-][A-Za-z][A-Za-z0-9]*)*/?")
"""What an abbreviation may look like."""

_OWN_MARKS = re.compile(r"\[(?:removed|unsure)\]")  # of clean.py: they speak for nothing
_NEAR = 40  # characters around an abbreviation that hold the longest phrase about it


@dataclass(frozen=True)
class Sense:
    """One meaning of an abbreviation and the words that speak for it.

    Args:
        words: The meaning.
        near: A word counts anywhere in the sentence; one that holds the abbreviation itself ("severe AS")
            counts only where it stands around it.
    """

    words: str
    near: tuple[str, ...]


class Place(NamedTuple):
    """Where a word stands: its first character, and how many words are before it."""

    start: int
    number: int


class Senses:
    """The sentences of one text and what they say for the senses of its abbreviations, found once each.

    >>> senses = {"AP": (Sense("aortopulmonary", ("AP window",)), Sense("anteroposterior", ("view",)))}
    >>> text = "An AP view shows the AP window."
    >>> [Senses(text, senses, {}).meaning("AP", "AP", Place(*at)) for at in ((3, 1), (21, 5))]
    ['anteroposterior', 'aortopulmonary']
    """

    def __init__(
        self, text: str, context: Mapping[str, tuple[Sense, ...]], otherwise: Mapping[str, str]
    ) -> None:
        self._text, self._context, self._otherwise = text, context, otherwise
        self._said: dict[tuple[str, int], tuple[bool, ...]] = {}

    def meaning(self, key: str, word: str, place: Place) -> str | None:
        """The first sense that the words around the abbreviation, or of its sentence, speak for."""
        senses = self._context[key]
        said = self._of_sentence(senses, word, place.number)
        at = min(place.start, _NEAR)
        around = self._text[place.start - at : place.start + len(word) + _NEAR]
        for sense, speaks in zip(senses, said, strict=True):
            held = _held(sense.near, word).finditer(around)
            if speaks or any(m.start() <= at and at + len(word) <= m.end() for m in held):
                return sense.words
        return self._otherwise.get(key)

    def _of_sentence(self, senses: tuple[Sense, ...], word: str, number: int) -> tuple[bool, ...]:
        owner = self._owners[number] if self._owners else self._first_with(word)
        found = self._said.get((word, owner))
        if found is None:
            rest = re.sub(
                rf"\b{re.escape(word)}\b", " ", self._sentences[owner] if owner >= 0 else self._text
            )
            found = tuple(
                any(pattern.search(rest) for pattern in _heard(sense.near, word, self._text.isupper()))
                for sense in senses
            )
            self._said[word, owner] = found
        return found

    @cached_property
    def _sentences(self) -> list[str]:
        return [_OWN_MARKS.sub(" ", sentence) for sentence in split_sentences(self._text)]

    @cached_property
    def _owners(self) -> list[int]:
        """The sentence of each word of the text, where each is in one (a list's letters are not)."""
        sentences = split_sentences(self._text)
        owners = [i for i, sentence in enumerate(sentences) for _ in WORD.findall(sentence)]
        return owners if len(owners) == len(WORD.findall(self._text)) else []

    def _first_with(self, word: str) -> int:
        pattern = re.compile(rf"\b{re.escape(word)}\b")
        return next((i for i, s in enumerate(self._sentences) if pattern.search(s)), -1)


@lru_cache(maxsize=1024)
def _heard(near: tuple[str, ...], short: str, all_capitals: bool) -> tuple[re.Pattern[str], ...]:
    """What speaks for a sense elsewhere in the sentence: words in any case, and words as written."""
    apart = [phrase for phrase in near if not _holds(phrase, short)]
    any_case = [phrase for phrase in apart if all_capitals or phrase.islower()]
    return (
        _any_of(any_case, re.IGNORECASE),
        _any_of([phrase for phrase in apart if phrase not in any_case]),
    )


@lru_cache(maxsize=1024)
def _held(near: tuple[str, ...], short: str) -> re.Pattern[str]:
    """What speaks for a sense as the words right around the abbreviation."""
    return _any_of([phrase for phrase in near if _holds(phrase, short)], re.IGNORECASE)


def _holds(phrase: str, short: str) -> bool:
    return short.lower() in phrase.lower().split()


def _any_of(words: list[str], flags: int = 0) -> re.Pattern[str]:
    """Any of the words as whole words; nothing at all when there is none."""
    if not words:
        return re.compile(r"(?!)")
    alternatives = "|".join(r"\s+".join(map(re.escape, word.split())) for word in words)
    return re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)", flags)
