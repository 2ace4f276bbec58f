"""Hedges of a text marked or removed: before a finding ("may be") and behind it ("is possible")."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from radalign.reports.lexicon import default_lexicon

HEDGE_MARK = "[unsure]"

# "Cannot with certainty be excluded", "has not been ruled out": the words between are free.
_EXCLUSION = (
    r"(?:(?:is|are|has|have)\s+(?:been\s+)?)?"
    r"(?:can ?not|can['’]?t|could not|not|unable to|difficult to|hard to)"
    r"(?:\s+\w+){0,3}?\s+(?:excluded?|ruled? out)"
)
_MORE = ("borderline", "versus", "vs", "vs.", "likely", "unlikely")
# Without these the text would say the opposite, or nothing, and not the same with less doubt.
_AGAINST = re.compile(r"\b(?:unlikely|less likely|doubt\w*|no definite|not|versus|vs)\b", re.IGNORECASE)
_DENIED = re.compile(r"\b(?:no|not|without|nothing|neither|nor|denies)\b[^.;:,!?]*$", re.IGNORECASE)
_TURNS = re.compile(r"\b(?:but|however|although|though|and)\b", re.IGNORECASE)
_PLURAL_FROM = 3  # letters, and more
_CLAUSE = 160  # characters before a hedge that may deny it
_COPULA = re.compile(r"\s+(?:is|are|was|were|be|remains?)\s*$", re.IGNORECASE)


def mark_hedges(text: str) -> str:
    """Put `[unsure]` before every hedge that no negation turns round; marked twice is marked once.

    >>> mark_hedges("Could suggest edema. No opacity to suggest pneumonia.")
    '[unsure] Could suggest edema. No opacity to suggest pneumonia.'
    """

    def marked(match: re.Match[str]) -> str:
        before = text[max(0, match.start() - 2 * len(HEDGE_MARK)) : match.start()]
        if before.rstrip().endswith(HEDGE_MARK) or _is_denied(match):
            return match.group()
        return f"{HEDGE_MARK} {match.group().removeprefix('?')}"

    return _hedges().sub(marked, text)


def remove_hedges(text: str) -> str:
    """Leave hedges out, with the verb they leave alone; what speaks against a finding stays.

    >>> remove_hedges("This may represent edema. Pneumonia is likely. Effusion is unlikely.")
    'This edema. Pneumonia. Effusion is unlikely.'
    """
    out: list[str] = []
    last = 0
    for match in _hedges().finditer(text):
        hedge = match.group()
        if _is_denied(match) or (_AGAINST.search(hedge) and not re.fullmatch(_EXCLUSION, hedge, re.I)):
            continue
        before = text[last : match.start()]
        ends = re.match(r"\s*(?:[.,;:!?]|$)", text[match.end() :])
        out += [_COPULA.sub("", before) if ends else before, " "]
        last = match.end()
    joined = "".join([*out, text[last:]])
    return re.sub(r"\s+([.,;:!])", r"\1", " ".join(joined.split()))


def _is_denied(match: re.Match[str]) -> bool:
    before = match.string[max(0, match.start() - _CLAUSE) : match.start()]
    denial = _DENIED.search(before)
    return bool(denial) and not _TURNS.search(denial.group())  # type: ignore[union-attr]


@cache
def _hedges() -> re.Pattern[str]:
    """The doubts of cues.toml as one tree of words, longest first; several in a row are one."""
    tree: dict[str, Any] = {}
    for phrase in (*default_lexicon().doubts, *_MORE):
        node = tree
        for word in phrase.split():
            node = node.setdefault(word, {})
        node[""] = {}
    one = rf"(?:\b(?:{_EXCLUSION}|{_alternatives(tree)})(?!\w)|(?<![^\s(])\?(?=[A-Za-z]))"
    return re.compile(rf"{one}(?:\s+{one})*", re.IGNORECASE)


def _alternatives(tree: Mapping[str, Any]) -> str:
    r"""The phrases of a tree as an expression that reads each first word once.

    >>> _alternatives({"may": {"": {}, "be": {"": {}}}})
    'may(?:\\s+be)?'
    """
    ways = []
    for word in sorted(tree, key=len, reverse=True):
        if not word:
            continue
        more = _alternatives(tree[word])
        plural = "s?" if word.isalpha() and len(word) > _PLURAL_FROM else ""
        rest = (rf"(?:\s+{more})" + ("?" if "" in tree[word] else "")) if more else ""
        ways.append(re.escape(word) + plural + rest)
    return ways[0] if len(ways) == 1 else f"(?:{'|'.join(ways)})" if ways else ""
