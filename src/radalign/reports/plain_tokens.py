"""Tokens that cleaning leaves as they are: a text of nothing else is only joined anew.

    "The heart is mildly enlarged."     nothing to do
    "A 5-mm RUL nodule // no PTX"       an abbreviation, a measurement, a leftover: read step by step

Few tokens make all reports, so each is judged once.
"""

from __future__ import annotations

import re
from collections.abc import Callable

# Letters and digits that one "-", "/" or "." joins, perhaps in brackets, perhaps with one mark behind.
_PLAIN = re.compile(r"\(?[A-Za-z0-9']+(?:[-/.][A-Za-z0-9']+)*\)?[.,;:!?]?")
_MEASURED = re.compile(r"mm|cm|imet", re.IGNORECASE)
_HOLE = re.compile(r"X{3}|x{3}")
_MOST = 50_000


class PlainTokens(dict[str, bool]):
    """Token, as it stands between white space -> whether no step of cleaning could change it.

    Args:
        is_short: Whether a token holds an abbreviation.

    >>> plain = PlainTokens(lambda token: token == "PTX")
    >>> [plain[token] for token in ("enlarged.", "air-space", "PTX", "5mm", "XXXX", "//", "(is")]
    [True, True, False, False, False, False, True]
    """

    def __init__(self, is_short: Callable[[str], bool]) -> None:
        super().__init__()
        self._is_short = is_short

    def __missing__(self, token: str) -> bool:
        whole = _PLAIN.fullmatch(token) is not None
        plain = whole and not (_MEASURED.search(token) or _HOLE.search(token) or self._is_short(token))
        if len(self) >= _MOST:
            self.clear()
        self[token] = plain
        return plain
