"""DICOM dates and times, shifted by whole days; what is not a full date is not kept."""

from __future__ import annotations

import re
from datetime import date, timedelta

_DATE = re.compile(r"(\d{4})[.-]?(\d{2})[.-]?(\d{2})$")
_DATE_TIME = re.compile(r"(\d{4})(\d{2})(\d{2})(\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?)?([+-]\d{4})?$")
DUMMY = {"DA": "19000101", "DT": "19000101000000", "TM": "000000"}
"""A value of each kind that says nothing."""


def shift(value: str, vr: str, days: int) -> str:
    """A DA, DT or TM value moved by days; the time of day stays; "" where no full date can be read.

    Args:
        value: As it stands in the file; several values are divided by a backslash.
        vr: `DA`, `DT` or `TM`.
        days: Days to add.

    References:
        DICOM PS3.5 6.2 (DA, DT, TM).

    >>> shift("20240229", "DA", -1), shift("20240101120000.5+0100", "DT", -31), shift("2024", "DT", 5)
    ('20240228', '20231201120000.5+0100', '')
    """
    return "\\".join(_shift_one(one.strip(), vr, days) for one in value.split("\\"))


def _shift_one(value: str, vr: str, days: int) -> str:
    if vr == "TM":
        return value
    match = (_DATE if vr == "DA" else _DATE_TIME).match(value)
    if not match:
        return ""
    moved = _moved(match.group(1), match.group(2), match.group(3), days)
    return moved + "".join(g or "" for g in match.groups()[3:]) if moved else ""


def _moved(year: str, month: str, day: str, days: int) -> str:
    try:
        return f"{date(int(year), int(month), int(day)) + timedelta(days=days):%Y%m%d}".zfill(8)
    except (ValueError, OverflowError):
        return ""
