"""A device that is in place to one that was removed, and back.

Endotracheal tube tip 4 cm above the carina.  ->  Endotracheal tube has been removed.
The left PICC is in place.                   <->  The left PICC has been removed.
Interval placement of an enteric tube.       <->  Interval removal of an enteric tube.
"""

from __future__ import annotations

import re

from radalign.evaluate.edits.negation import turned
from radalign.evaluate.edits.words import any_of, capital, has_any, pattern, replaced, without_end, words

_PLACED = re.compile(r"\b(?:placement|insertion) of\b", re.IGNORECASE)
_TAKEN = re.compile(r"\bremoval of\b", re.IGNORECASE)
_GONE = re.compile(r" (has|have|was|were)(?: been)? removed$", re.IGNORECASE)
_LEADING = re.compile(r"(?:new|stable|unchanged|again,?|an|a) ", re.IGNORECASE)


def removed_or_placed(sentence: str) -> str:
    """The sentence with the device gone instead of there, or the other way round; "" if it has no such form.

    >>> removed_or_placed("The endotracheal tube terminates 4 cm above the carina.")
    'The endotracheal tube has been removed.'
    >>> removed_or_placed("There is no pacemaker."), removed_or_placed("Left PICC has been removed.")
    ('There is a pacemaker.', 'Left PICC is in place.')
    """
    for old, new in ((_PLACED, "removal of"), (_TAKEN, "placement of")):
        found = old.search(sentence)
        if found:
            return replaced(sentence, found.start(), found.end(), new)
    text, end = without_end(sentence)
    gone = _GONE.search(text)
    if gone:
        plural = gone.group(1).lower() in {"have", "were"}
        return f"{text[: gone.start()]} {'are' if plural else 'is'} in place{end}"
    return _removed(text, end) or turned(sentence)


def _removed(text: str, end: str) -> str:
    """The subject up to its device noun, and that it was removed."""
    noun = _subject_end(text)
    subject = text[:noun]
    if not noun or has_any(subject, ("with", "no", "of", "there")) or "," in subject:
        return ""
    leading = _LEADING.match(subject)
    subject = capital(subject[leading.end() :]) if leading else subject
    last = subject.split()[-1].lower()
    return f"{subject} {'have' if last.endswith('s') else 'has'} been removed{end}"


def _subject_end(text: str) -> int:
    """Where the first run of device nouns ends, if a predicate or nothing follows; else 0."""
    found = pattern("device", "nouns").search(text)
    while found:
        rest = text[found.end() :]
        following = pattern("device", "nouns").match(rest.lstrip())
        if not following:
            ends = not rest.strip() or rest.lstrip()[:1] == "," or _follows(rest)
            return found.end() if ends else 0
        found = pattern("device", "nouns").search(text, found.end())
    return 0


def _follows(rest: str) -> bool:
    return bool(any_of(tuple(words("device")["follows"])).match(rest.lstrip()))
