"""GLoRIA's cleaning of reports and prompts, which ALTA's evaluations use unchanged."""

from __future__ import annotations

import re

_NUMBER_DOT, _WORD = re.compile(r"[0-9]+\."), re.compile(r"\w+")


def gloria_clean(text: str) -> str:
    r"""Lower-case words without punctuation; sentences of one word are dropped.

    Args:
        text: A report or a prompt.

    Returns:
        The words joined by spaces, "" when no sentence has two words.

    References:
        GLoRIA (Huang et al., ICCV 2021), dataset code: line breaks to spaces, split at `digits.` and at `.`,
        keep `\w+`, drop sentences of at most one token, strip what is not ASCII.

    >>> gloria_clean("1. Small left\neffusion, stable. 2. Unchanged. 3.5 cm nodule é.")
    'small left effusion stable 5 cm nodule'
    """
    pieces = (piece for part in _NUMBER_DOT.split(text.replace("\n", " ")) for piece in part.split("."))
    tokens = (_WORD.findall(piece.replace("\ufffd\ufffd", " ").lower()) for piece in pieces)
    kept = (word.encode("ascii", "ignore").decode() for words in tokens if len(words) > 1 for word in words)
    return " ".join(word for word in kept if word)
