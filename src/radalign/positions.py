"""The positions that a radiograph may have been taken in, and the names that sources give them."""

from __future__ import annotations

FRONTAL_POSITIONS = frozenset({"PA", "AP", "FRONTAL"})
LATERAL_POSITIONS = frozenset({"LL", "RL", "LATERAL"})

_POSITION_NAMES = {
    "PA": "PA", "POSTEROANTERIOR": "PA", "POSTERO-ANTERIOR": "PA",
    "AP": "AP", "AP SUPINE": "AP", "AP ERECT": "AP", "AP SEMI ERECT": "AP", "AP HORIZONTAL": "AP",
    "ANTEROPOSTERIOR": "AP", "ANTERO-POSTERIOR": "AP",
    "FRONTAL": "FRONTAL", "F": "FRONTAL",
    "LL": "LL", "LEFT LATERAL": "LL", "RL": "RL", "RIGHT LATERAL": "RL",
    "L": "LATERAL", "LATERAL": "LATERAL", "LAT": "LATERAL", "XTABLE LATERAL": "LATERAL",
}  # fmt: skip


def parse_position(text: str) -> str:
    """Normalise a view name to a DICOM ViewPosition, or `FRONTAL`/`LATERAL` when the side is not recorded.

    Args:
        text: What the source wrote, in any case.

    Returns:
        One of `PA`, `AP`, `FRONTAL`, `LL`, `RL`, `LATERAL`, or "" when the text says nothing known.

    References:
        DICOM PS3.3 C.8.7.1.1.1 (View Position, 0018,5101).

    >>> parse_position("ap supine"), parse_position("L"), parse_position("oblique")
    ('AP', 'LATERAL', '')
    """
    return _POSITION_NAMES.get(" ".join(text.upper().replace("_", " ").split()), "")
