"""Abbreviations to words: a packaged, editable table with context rules, and the UMLS for those who have it.

    expand("Small PE at the left base, s/p VATS.")
        -> "Small pleural effusion at the left base, status post video-assisted thoracoscopic surgery."

An abbreviation that could mean several things and has no helping word in its sentence stays as it is.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from radalign.reports.sentences import split_sentences

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[/-][A-Za-z][A-Za-z0-9]*)*/?")
_PART = re.compile(r"[A-Za-z0-9]+")
_LOWER_FROM = 3  # letters


@dataclass(frozen=True)
class Sense:
    """One meaning of an abbreviation and the words that speak for it."""

    words: str
    near: tuple[str, ...]


@dataclass(frozen=True)
class Terms:
    """Abbreviations and what they mean.

    Args:
        plain: Abbreviation as written -> words.
        context: Abbreviation as written -> senses in order.
        otherwise: Abbreviation -> words when no sense fits.
        english: Abbreviations that are also words, in capitals.
    """

    plain: Mapping[str, str]
    context: Mapping[str, tuple[Sense, ...]] = field(default_factory=dict)
    otherwise: Mapping[str, str] = field(default_factory=dict)
    english: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.plain) + len(self.context)

    @cached_property
    def written(self) -> dict[str, str]:
        """Every way of writing an abbreviation -> its key in the table."""
        keys = (*self.plain, *self.context)
        ways: dict[str, str] = {}
        for key in keys:
            if key.islower():
                ways.update({key.upper(): key, key.capitalize(): key})
            elif len(key) >= _LOWER_FROM and key.upper() not in self.english:
                ways.setdefault(key.lower(), key)
        return ways | {key: key for key in keys}

    def with_plain(self, more: Mapping[str, str]) -> Terms:
        """These terms and others; what is here already keeps its meaning."""
        new = {k: v for k, v in more.items() if k not in self.plain and k not in self.context}
        return Terms({**new, **self.plain}, self.context, self.otherwise, self.english)


@cache
def default_terms() -> Terms:
    """The packaged `terms.toml`, read once."""
    return read_terms(resources.files("radalign.reports").joinpath("terms.toml").read_text(encoding="utf-8"))


def read_terms(source: str | Path) -> Terms:
    r"""Read terms from a TOML file or from TOML text.

    Raises:
        ValueError: If the table is not of the form that `terms.toml` explains.

    >>> len(read_terms('[plain]\nPTX = "pneumothorax"'))
    1
    """
    text = source.read_text(encoding="utf-8") if isinstance(source, Path) else source
    try:
        data: dict[str, Any] = tomllib.loads(text)
        context = {
            short: tuple(Sense(s["words"], tuple(s["near"])) for s in entry["senses"])
            for short, entry in data.get("context", {}).items()
        }
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise ValueError(
            f"The abbreviations cannot be read ({error}); see terms.toml for the form."
        ) from error
    otherwise = {k: e["otherwise"] for k, e in data.get("context", {}).items() if "otherwise" in e}
    english = frozenset(w.upper() for w in data.get("english", {}).get("words", ()))
    return Terms(data.get("plain", {}), context, otherwise, english)


def expand(text: str, terms: Terms | None = None) -> str:
    """Write abbreviations out, those of the text's own sentences only.

    >>> expand("CXR shows PTX. RA lead in place; PE unclear.")
    'chest radiograph shows pneumothorax. right atrium lead in place; PE unclear.'
    """
    terms = terms or default_terms()
    lookup = terms.written
    words = _WORD.findall(text)
    joined = "/" in text or "-" in text
    if lookup.keys().isdisjoint(words) and not (joined and any(_known(word, lookup) for word in words)):
        return text
    capitals = text.isupper() and any(len(word) > _LOWER_FROM and not _known(word, lookup) for word in words)

    def one(match: re.Match[str]) -> str:
        word = match.group()
        whole = _meaning(word, text, terms, capitals)
        if whole is not None:
            return whole
        if word.endswith("/") or not ("/" in word or "-" in word):
            return word
        return _PART.sub(lambda part: _meaning(part.group(), text, terms, capitals) or part.group(), word)

    return _WORD.sub(one, text)


def _known(word: str, lookup: Mapping[str, str]) -> bool:
    return word in lookup or (("/" in word or "-" in word) and any(p in lookup for p in _PART.findall(word)))


def _meaning(word: str, text: str, terms: Terms, capitals: bool) -> str | None:
    key = terms.written.get(word)
    if key is None or (capitals and key.upper() in terms.english):
        return None
    words = terms.plain.get(key) or _by_context(key, word, text, terms)
    if words is None:
        return None
    return words.upper() if capitals else words


def _by_context(key: str, word: str, text: str, terms: Terms) -> str | None:
    """The first sense that a word of the same sentence speaks for."""
    sentence = next((s for s in split_sentences(text) if re.search(rf"\b{re.escape(word)}\b", s)), text)
    rest = re.sub(rf"\b{re.escape(word)}\b", " ", sentence)
    for sense in terms.context[key]:
        for near in sense.near:
            place = sentence if word in near else rest
            flags = 0 if any(c.isupper() for c in near) and not text.isupper() else re.IGNORECASE
            if re.search(rf"(?<!\w){re.escape(near)}(?!\w)", place, flags):
                return sense.words
    return terms.otherwise.get(key)
