"""Words on a radiograph that tell how it was made and never who was imaged.

English, and the side letters and positions of Spanish, French, German and Italian, without their accents.
"""

from __future__ import annotations

import re
import unicodedata

SAFE_MARKS = frozenset({
    "L", "R", "LT", "RT", "LEFT", "RIGHT", "AP", "PA", "LAT", "LATERAL", "LL", "RL", "FRONTAL",
    "PORTABLE", "PORT", "MOBILE", "SUPINE", "ERECT", "UPRIGHT", "SEMI", "SEMIERECT", "SEMIUPRIGHT",
    "SITTING", "STANDING", "SEATED", "PRONE", "DECUB", "DECUBITUS", "INSP", "INSPIRATION", "EXP",
    "EXPIRATION", "CHEST", "THORAX", "BED", "BEDSIDE",
    "DCHA", "IZDA", "DER", "IZQ", "DERECHA", "IZQUIERDA", "DERECHO", "IZQUIERDO", "SUPINO", "DECUBITO",
    "BIPEDESTACION", "PORTATIL", "ORTOSTASI", "ORTOSTASIS", "ORTOSTATISMO", "DX", "SX", "DESTRA", "SINISTRA",
    "DEBOUT", "COUCHE", "ASSIS", "DROITE", "GAUCHE", "DROIT",
    "RE", "LI", "RECHTS", "LINKS", "STEHEND", "LIEGEND", "SITZEND",
})  # fmt: skip
"""Safe wherever they stand, as long as no other word does."""

FOREIGN_SIDES = frozenset({"D", "I", "G"})
"""Derecha, droite; izquierda; gauche. Safe as the only letter: two of them may be somebody's initials."""


def are_safe(text: str) -> bool:
    """Whether there are words in a text and each of them is safe.

    >>> [are_safe(text) for text in ("PORTABLE  AP", "COUCHÉ D", "DOE", "D I", "")]
    [True, True, False, False, False]
    """
    words = words_of(text)
    if any(word in FOREIGN_SIDES for word in words) and sum(len(word) == 1 for word in words) > 1:
        return False
    return bool(words) and all(word in SAFE_MARKS or word in FOREIGN_SIDES for word in words)


def words_of(text: str) -> list[str]:
    """The words in capitals, without accents; a hyphen joins.

    >>> words_of("Bipedestación, semi-erect")
    ['BIPEDESTACION', 'SEMIERECT']
    """
    letters = unicodedata.normalize("NFKD", text).upper().replace("-", "")
    return re.findall(r"\w+", "".join(c for c in letters if not unicodedata.combining(c)))
