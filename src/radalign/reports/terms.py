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

from radalign.reports.plain_tokens import PlainTokens
from radalign.reports.senses import WORD, Place, Sense, Senses
from radalign.reports.sentences import is_shorthand, stop_closes

_PART = re.compile(r"[A-Za-z0-9]+")
_LOWER_FROM = 3  # letters
_STOP_WITHIN = re.compile(r"\.\s+([A-Za-z0-9])")
_LETTERS_AND_DIGITS = bytes(c if c < 128 and chr(c).isalnum() else 32 for c in range(256))
_NO_DIGITS = bytes(c for c in range(256) if not 48 <= c < 58)
_TABLES = ("plain", "context", "english")
_MOST_PASSES = 4


@dataclass(frozen=True)
class Terms:
    """Abbreviations and what they mean.

    Args:
        plain: Abbreviation as written -> words.
        context: Abbreviation as written -> senses in order.
        otherwise: Abbreviation -> words when no sense fits.
        english: Abbreviations that are also words, in capitals.
        exact: Abbreviations that are matched only as written, and never in a text all in capitals.
    """

    plain: Mapping[str, str]
    context: Mapping[str, tuple[Sense, ...]] = field(default_factory=dict)
    otherwise: Mapping[str, str] = field(default_factory=dict)
    english: frozenset[str] = frozenset()
    exact: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.plain) + len(self.context)

    @cached_property
    def written(self) -> dict[str, str]:
        """Every way of writing an abbreviation -> its key in the table."""
        keys = (*self.plain, *self.context)
        ways: dict[str, str] = {}
        for key in keys:
            if key in self.exact:
                continue
            if key.islower():
                ways.update({key.upper(): key, key.capitalize(): key})
            elif len(key) >= _LOWER_FROM and key.upper() not in self.english:
                ways.setdefault(key.lower(), key)
        return ways | {key: key for key in keys}

    def known_in(self, text: str) -> bool:
        """Whether an abbreviation may stand in a text."""
        return any(_known(word, self.written) for word in WORD.findall(text))

    @cached_property
    def nothing_to_clean(self) -> PlainTokens:
        """What stands between white space -> whether cleaning leaves it as it is, remembered."""
        return PlainTokens(self.known_in)

    def with_plain(self, more: Mapping[str, str]) -> Terms:
        """These terms and others that are matched as written; what is here already keeps its meaning."""
        new = {k: v for k, v in more.items() if k not in self.written}
        exact = self.exact | new.keys()
        return Terms({**new, **self.plain}, self.context, self.otherwise, self.english, exact)


@cache
def default_terms() -> Terms:
    """The packaged `terms.toml`, read once."""
    return read_terms(resources.files("radalign.reports").joinpath("terms.toml").read_text(encoding="utf-8"))


def read_terms(source: str | Path) -> Terms:
    r"""Read terms from a TOML file or from TOML text.

    Raises:
        ValueError: If there is no such file, or the table is not of the form that `terms.toml` explains.

    >>> len(read_terms('[plain]\nPTX = "pneumothorax"'))
    1
    """
    if isinstance(source, Path) and not source.is_file():
        raise ValueError(f"There is no file {source}; give a table of abbreviations like terms.toml.")
    text = source.read_text(encoding="utf-8-sig") if isinstance(source, Path) else source
    try:
        data: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(
            f"The abbreviations cannot be read ({error}); see terms.toml for the form."
        ) from error
    _check(data)
    context = {
        short: tuple(Sense(s["words"], tuple(s["near"])) for s in entry["senses"])
        for short, entry in data.get("context", {}).items()
    }
    otherwise = {k: e["otherwise"] for k, e in data.get("context", {}).items() if "otherwise" in e}
    english = frozenset(w.upper() for w in data.get("english", {}).get("words", ()))
    return Terms(data.get("plain", {}), context, otherwise, english)


def _check(data: Mapping[str, Any]) -> None:
    """Refuse what would silently match nothing, or fail later, with the reason."""
    problem = ""
    for table, content in data.items():
        if table not in _TABLES or not isinstance(content, dict):
            problem = f"{table!r} is no table of abbreviations, use [plain], [context.X] or [english]"
    plain, context = data.get("plain", {}), data.get("context", {})
    if not problem:
        problem = next((f"{k} = {v!r} is no text in quotes" for k, v in plain.items() if not _is_text(v)), "")
        unmatched = next((key for key in (*plain, *context) if not WORD.fullmatch(key)), None)
        if unmatched is not None:
            problem = f"{unmatched!r} can match no word, which is letters and digits that / or - may join"
        problem = problem or next(filter(None, (_sense_problem(k, e) for k, e in context.items())), "")
        if not _is_list_of_text(data.get("english", {}).get("words", [])):
            problem = "words of [english] is no list of texts"
    if problem:
        raise ValueError(f"The abbreviations cannot be read ({problem}); see terms.toml for the form.")


def _sense_problem(short: str, entry: Any) -> str:
    if not isinstance(entry, dict) or not isinstance(entry.get("senses"), list):
        return f"[context.{short}] has no list of senses"
    if not _is_text(entry.get("otherwise", "")):
        return f"otherwise of [context.{short}] is no text"
    for sense in entry["senses"]:
        if not isinstance(sense, dict) or not _is_text(sense.get("words")):
            return f"a sense of [context.{short}] has no words"
        if not _is_list_of_text(sense.get("near")):
            return f"near of [context.{short}] is no list of texts"
    return ""


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_list_of_text(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def expand(text: str, terms: Terms | None = None) -> str:
    """Write abbreviations out, those of the text's own sentences only.

    >>> expand("CXR shows PTX. RA lead in place; PE unclear.")
    'chest radiograph shows pneumothorax. right atrium lead in place; PE unclear.'
    >>> expand("Rt. effusion, approx. 3 cm.")
    'right effusion, approximately 3 cm.'
    """
    terms = terms or default_terms()
    for _ in range(_MOST_PASSES):  # what one abbreviation means may speak for another
        before, text = text, _expanded_once(text, terms)
        if text == before or terms.context.keys().isdisjoint(_PART.findall(text)):
            break
    return text


def _expanded_once(text: str, terms: Terms) -> str:
    lookup = terms.written
    joined = "/" in text or "-" in text
    if not joined and lookup.keys().isdisjoint(_plain_words(text)):
        return text
    words = WORD.findall(text)
    if lookup.keys().isdisjoint(words) and not (joined and any(_known(word, lookup) for word in words)):
        return text
    capitals = text.isupper() and any(len(word) > _LOWER_FROM and not _known(word, lookup) for word in words)
    senses = Senses(text, terms.context, terms.otherwise)
    out: list[str] = []
    last = 0
    for number, match in enumerate(WORD.finditer(text)):
        word = match.group()
        said = _meaning(word, Place(match.start(), number), terms, senses, capitals)
        if said is None and not word.endswith("/") and ("/" in word or "-" in word):
            said = _meaning_of_parts(word, Place(match.start(), number), terms, senses, capitals)
        if said is None:
            continue
        out += [text[last : match.start()], said]
        last = match.end()
        if is_shorthand(word) and _stop_is_of_the_word(text, last):
            last += 1
    return "".join([*out, text[last:]])


def _stop_is_of_the_word(text: str, end: int) -> bool:
    """Whether the full stop behind an abbreviation closes no sentence."""
    stop = _STOP_WITHIN.match(text, end)
    if not stop:
        return False
    begin = max(map(text.rfind, ".!?\n", (0,) * 4, (end,) * 4)) + 1
    return not stop_closes(" ".join(text[begin : end + 1].split()), stop[1])


def _plain_words(text: str) -> list[str]:
    """The words of `WORD` where nothing joins them, without a regular expression."""
    data = text.encode("utf-8", "surrogatepass").translate(_LETTERS_AND_DIGITS)
    words = data.decode("ascii").split()
    return [word.lstrip("0123456789") for word in words] if data.translate(None, _NO_DIGITS) else words


def _known(word: str, lookup: Mapping[str, str]) -> bool:
    return word in lookup or (("/" in word or "-" in word) and any(p in lookup for p in _PART.findall(word)))


def _meaning_of_parts(word: str, place: Place, terms: Terms, senses: Senses, capitals: bool) -> str:
    def one(part: re.Match[str]) -> str:
        there = place._replace(start=place.start + part.start())
        return _meaning(part.group(), there, terms, senses, capitals) or part.group()

    return _PART.sub(one, word)


def _meaning(word: str, place: Place, terms: Terms, senses: Senses, capitals: bool) -> str | None:
    key = terms.written.get(word)
    if key is None or (capitals and (key.upper() in terms.english or key in terms.exact)):
        return None
    words = terms.plain.get(key) or senses.meaning(key, word, place)
    if words is None:
        return None
    return words.upper() if capitals else words
