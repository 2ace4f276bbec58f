"""The word tables of `words.toml`, and replacing one phrase by another in its case and with its article."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Any


@cache
def words(table: str) -> Mapping[str, Any]:
    """One table of `words.toml`."""
    text = resources.files(__package__).joinpath("words.toml").read_text(encoding="utf-8")
    found: Mapping[str, Any] = tomllib.loads(text)[table]
    return found


@cache
def opposites(table: str) -> Mapping[str, str]:
    """Phrase to its opposite, lower case, both directions of every pair.

    >>> opposites("side")["right middle lobe"], opposites("severity")["trace"]
    ('lingula', 'large')
    """
    pairs = words(table)["pairs"]
    both = {one.lower(): other for one, other in pairs} | {other.lower(): one for one, other in pairs}
    return both | dict(words(table).get("one_way", {}))


@cache
def any_of(phrases: tuple[str, ...], prefix: bool = False) -> re.Pattern[str]:
    """A pattern of whole phrases (or of words that begin so), longest first, in any case.

    >>> any_of(("left", "left main")).findall("Left main and leftward and left.")
    ['Left main', 'left']
    """
    ordered = sorted(phrases, key=len, reverse=True)
    inside = "|".join(re.escape(phrase) for phrase in ordered)
    return re.compile(rf"(?<![\w-])(?:{inside})" + ("" if prefix else r"(?!\w)"), re.IGNORECASE)


def pattern(table: str, key: str, prefix: bool = False) -> re.Pattern[str]:
    """`any_of` over a list of `words.toml`."""
    return any_of(tuple(words(table)[key]), prefix)


def replaced(sentence: str, start: int, end: int, new: str) -> str:
    """The sentence with another phrase at a place: capitals and a preceding article follow.

    >>> replaced("A small effusion.", 2, 7, "extensive"), replaced("Left base.", 0, 4, "right")
    ('An extensive effusion.', 'Right base.')
    """
    old, before = sentence[start:end], sentence[:start]
    new = new.upper() if len(old) > 1 and old.isupper() else like(old, new)
    article = re.search(r"\b(an?)(\s+)$", before, re.IGNORECASE)
    if article:
        before = before[: article.start()] + like(article.group(1), article_of(new)) + article.group(2)
    return before + new + sentence[end:]


def article_of(phrase: str) -> str:
    """`a` or `an`.

    >>> [article_of(text) for text in ("extensive effusion", "large one", "18 mm nodule", "16 mm nodule")]
    ['an', 'a', 'an', 'a']
    """
    spoken = re.match(r"8|1[18](?!\d)", phrase)  # eight, eleven, eighteen
    return "an" if spoken or phrase[:1].lower() in "aeiou" else "a"


def like(old: str, new: str) -> str:
    """The new word with the old one's first letter's case."""
    return new[:1].upper() + new[1:] if old[:1].isupper() else new


def capital(text: str) -> str:
    """The text with a capital first letter."""
    return text[:1].upper() + text[1:]


def lower_first(text: str) -> str:
    """The text with a small first letter, unless its first word is an abbreviation.

    >>> lower_first("Pleural effusion"), lower_first("PICC line")
    ('pleural effusion', 'PICC line')
    """
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def without_end(sentence: str) -> tuple[str, str]:
    """The sentence without its closing mark, and the mark.

    >>> without_end("No effusion. ")
    ('No effusion', '.')
    """
    text = sentence.strip()
    return (text[:-1].rstrip(), text[-1]) if text[-1:] in (".", ";") else (text, "")


def has_any(text: str, phrases: Iterable[str]) -> bool:
    """Whether any of the words or phrases stands in the text."""
    return bool(any_of(tuple(phrases)).search(text))
