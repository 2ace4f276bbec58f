"""One word against another: left and right, small and large, better and worse, 5 mm and 10 mm.

A sentence with none or more than one such word is left alone, because then it is not clear which fact turns.
"""

from __future__ import annotations

import re

from radalign.evaluate.edits.words import any_of, opposites, pattern, replaced, words
from radalign.reports.measures import find_measurements

_NUMBER = re.compile(r"\d+(?:[.,]\d+)?|\.\d+")


def other_side(sentence: str) -> str:
    """The same sentence about the other side, "" when it names no side or several.

    >>> other_side("Small left pleural effusion."), other_side("Left base clear, right effusion.")
    ('Small right pleural effusion.', '')
    """
    if pattern("side", "never_with", prefix=True).search(sentence):
        return ""
    return _swapped(sentence, "side")


def other_severity(sentence: str) -> str:
    """The same sentence with the opposite degree.

    >>> other_severity("There is a mild edema."), other_severity("Mild improvement of the edema.")
    ('There is a severe edema.', '')
    """
    if pattern("severity", "never_with").search(sentence):
        return ""
    found = list(any_of(tuple(opposites("severity"))).finditer(sentence))
    if len(found) == 1 and pattern("severity", "never_before", prefix=True).match(
        sentence[found[0].end() :].lstrip()
    ):
        return ""
    return _swapped(sentence, "severity")


def other_change(sentence: str) -> str:
    """The same sentence with better for worse or worse for better.

    >>> other_change("The effusion has decreased."), other_change("Increased interstitial markings.")
    ('The effusion has increased.', '')
    """
    found = any_of(tuple(opposites("change"))).search(sentence)
    doubtful = found is not None and found.group().lower() in words("change")["ambiguous"]
    if doubtful and not pattern("change", "comparison").search(sentence):
        return ""
    return _swapped(sentence, "change")


def twice_the_size(sentence: str) -> str:
    """The same sentence with its one measurement doubled.

    >>> twice_the_size("A 1.2 x 0.8 cm nodule in the left apex."), twice_the_size("3 mm and 5 mm nodules.")
    ('A 2.4 x 1.6 cm nodule in the left apex.', '')
    >>> twice_the_size("There is an 8 mm nodule."), twice_the_size("A 9 mm nodule.")
    ('There is a 16 mm nodule.', 'An 18 mm nodule.')
    """
    found = find_measurements(sentence)
    if len(found) != 1:
        return ""
    start, end = found[0].start, found[0].end
    return replaced(sentence, start, end, _NUMBER.sub(_doubled, sentence[start:end]))


def _swapped(sentence: str, table: str) -> str:
    found = list(any_of(tuple(opposites(table))).finditer(sentence))
    if len(found) != 1:
        return ""
    new = opposites(table)[found[0].group().lower()]
    return replaced(sentence, found[0].start(), found[0].end(), new)


def _doubled(number: re.Match[str]) -> str:
    text = number.group().replace(",", ".")
    decimals = len(text.partition(".")[2])
    return f"{2 * float(text):.{decimals}f}"
