"""Ages as headers and tables write them, in years."""

from __future__ import annotations

import re

_AGE = re.compile(r"(\d+(?:\.\d*)?) ?([YMWD]?)$", re.IGNORECASE)
_YEARS = {"": 1.0, "Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
_MOST_YEARS = 120


def age_years(text: str) -> float | None:
    """An age such as `58`, `58.0`, `058Y` or `006M`; None for nonsense, such as the 412 years of some rows.

    The standard wants three digits and a unit; the challenges' copies of ChestX-ray14 write `51`.

    References:
        DICOM PS3.5 6.2 (AS).

    >>> age_years("058Y"), age_years("006M"), age_years("58.0"), age_years("412Y"), age_years("-1")
    (58.0, 0.5, 58.0, None, None)
    """
    match = _AGE.match(text.strip())
    years = float(match[1]) * _YEARS[match[2].upper()] if match else None
    return years if years is not None and years <= _MOST_YEARS else None
