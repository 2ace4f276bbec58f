"""Present to absent and back, in the forms that reports use.

    No A.                       <->  A.                         No A or B.     <->  A but no B.
    There is no A.              <->  There is a A.              No A, B or C.   ->  A but no B or C.
    No A is seen.               <->  A A is seen.               ... without A   ->  ... with A
    The heart is normal in size.  <->  The heart is enlarged.

"No" wants a bare phrase: articles, degrees and "new" go when a finding goes, and then the way back differs.
"""

from __future__ import annotations

import re

from radalign.evaluate.edits.words import (
    any_of,
    article_of,
    capital,
    has_any,
    lower_first,
    pattern,
    without_end,
    words,
)

_THERE = re.compile(r"there (?:is|are|was|were) ", re.IGNORECASE)
_HEART = (
    (re.compile(r"\bsize (is |remains )normal\b", re.IGNORECASE), r"size \1enlarged"),
    (re.compile(r"\b(is|remains) normal in size\b", re.IGNORECASE), r"\1 enlarged"),
    (re.compile(r"\b(is|remains) within normal limits\b", re.IGNORECASE), r"\1 enlarged"),
    (re.compile(r"\bsize within normal limits\b", re.IGNORECASE), "size is enlarged"),
    (re.compile(r"\b(is|remains) not enlarged\b", re.IGNORECASE), r"\1 enlarged"),
    (re.compile(r"\bsize (is |remains )(?:\w+ly )?enlarged\b", re.IGNORECASE), r"size \1normal"),
    (re.compile(r"\b(is|remains) (?:\w+ly )?enlarged\b", re.IGNORECASE), r"\1 normal in size"),
)
_LONGEST_WORDS = 10


def turned(sentence: str) -> str:
    """The sentence with its (first) finding present instead of absent, or absent instead of present.

    Returns:
        "" when the sentence has none of the forms above; the caller checks what the new one asserts.

    >>> turned("There is no pleural effusion."), turned("Small left pleural effusion.")
    ('There is a pleural effusion.', 'No left pleural effusion.')
    >>> turned("No pneumothorax or pleural effusion."), turned("The heart is mildly enlarged.")
    ('Pneumothorax but no pleural effusion.', 'The heart is normal in size.')
    """
    for form in (_heart, _without):
        new = form(sentence)
        if new:
            return new
    text, end = without_end(sentence)
    opening, phrase, seen = _parts(text)
    if phrase.lower().startswith("no "):
        new = _affirmed(opening, phrase[3:], seen)
    else:
        new = _denied(opening, phrase, seen)
    return capital(new) + end if new else ""


def _heart(sentence: str) -> str:
    for old, new in _HEART:
        if old.search(sentence):
            return old.sub(new, sentence, count=1)
    return ""


def _without(sentence: str) -> str:
    """The last "without": "clear without effusion" becomes "clear with effusion"."""
    text, end = without_end(sentence)
    before, found, phrase = text.rpartition(" without ")
    if not found or has_any(phrase, ("and", "or")) or "," in phrase:
        return ""
    return f"{before} with {_bare_evidence(phrase)}{end}"


def _parts(text: str) -> tuple[str, str, str]:
    """Opening ("There is "), phrase, and " is seen" of a sentence, each "" when it is not there."""
    opening = _THERE.match(text)
    start = opening.end() if opening else 0
    seen = re.search(rf"\s(?:{'|'.join(words('negation')['seen'])})$", text, re.IGNORECASE)
    stop = seen.start() if seen and not opening else len(text)
    return text[:start], text[start:stop], text[stop:]


def _affirmed(opening: str, phrase: str, seen: str) -> str:
    """From what follows "no" to the sentence that the first thing named is there."""
    items = re.split(r",? or |, ", _bare_evidence(phrase))
    if not all(_is_phrase(item) for item in items) or len(items) > 4:
        return ""
    first = items[0]
    if (opening or seen) and _wants_article(first):
        first = f"{article_of(first)} {first}"
    rest = f" but no {' or '.join([', '.join(items[1:-1]), items[-1]] if items[2:] else items[1:])}"
    return opening + first + (rest if items[1:] else "") + seen


def _denied(opening: str, phrase: str, seen: str) -> str:
    """From a phrase, or "A but no B", to the sentence that nothing of it is there."""
    there, _, absent = phrase.partition(" but no ")
    bare = _undescribed(there)
    if not _is_phrase(bare) or (absent and not _is_phrase(absent)):
        return ""
    joint = " or " if absent else ""
    return f"{opening}no {lower_first(bare)}{joint}{absent}{seen}"


def _bare_evidence(phrase: str) -> str:
    found = pattern("negation", "evidence").match(phrase)
    return _bare_evidence(phrase[found.end() :].lstrip()) if found else phrase


def _undescribed(phrase: str) -> str:
    """The phrase without leading articles, degrees and changes, and without a leading measurement."""
    found = re.match(r"(?:\d[\d.]*\s*-?\s*[mc]m\s+)", phrase) or pattern("negation", "described").match(
        phrase
    )
    rest = phrase[found.end() :].lstrip(" ,") if found else ""
    return _undescribed(rest) if rest else phrase


def _is_phrase(text: str) -> bool:
    """Whether this can be one noun phrase: no verb, no list, not too long."""
    never = any_of(tuple(words("negation")["never_in_phrase"]))
    return (
        bool(text)
        and len(text.split()) <= _LONGEST_WORDS
        and not (never.search(text) or re.search(r"[,;:()]|\band\b|\bor\b", text))
    )


def _wants_article(phrase: str) -> bool:
    head = re.split(r" (?:in|at|of|on|over|within) ", phrase)[0].split()[-1]
    return head in words("negation")["countable"]
