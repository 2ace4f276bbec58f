"""Dates as sources write them, to ISO."""

from __future__ import annotations

import re
from datetime import date


def parse_date_or_day(day: str, time: str = "") -> tuple[str, str]:
    """As `parse_date`, but a bad time does not take a good day with it, and nothing is raised.

    Args:
        day: See `parse_date`.
        time: See `parse_date`.

    Returns:
        The ISO date, with the time where it can be read, "" when not even the day can; and what cannot be
        read, as a sentence, "" when all can.

    >>> parse_date_or_day("20260131", "250000")[0], parse_date_or_day("20261331", "0915")[0]
    ('2026-01-31', '')
    """
    try:
        return parse_date(day, time), ""
    except ValueError as error:
        alone = day.strip().replace("T", " ").partition(" ")[0]
        try:
            return parse_date(alone), str(error)
        except ValueError:
            return "", str(error)


def parse_date(day: str, time: str = "") -> str:
    """An ISO date, or date and time, from what a source wrote; "" stays "".

    Day-first and month-first dates with slashes cannot be told apart, so only year-first forms are read.

    Args:
        day: ISO, `YYYYMMDD`, `YYYY/MM/DD`, with or without a time after a blank or a `T`.
        time: A separate time, DICOM `HHMMSS[.ffffff]` or `HH:MM[:SS]`; may be "". In tables the leading zeros
            of `HHMMSS` are often lost; `0915` still has its zero, so it is hours and minutes.

    Raises:
        ValueError: If the date cannot be read.

    References:
        DICOM PS3.5 6.2 (DA, TM).

    >>> parse_date("20260131", "91503.25"), parse_date("2026-01-31"), parse_date("2026/01/31 09:15")
    ('2026-01-31T09:15:03', '2026-01-31', '2026-01-31T09:15:00')
    """
    day = day.strip().removesuffix("Z")
    if not day:
        return ""
    day, _, clock = day.replace("T", " ").partition(" ")
    iso = _day(day.removesuffix(".0")).isoformat()
    clock = (clock or time).strip()
    return f"{iso}T{_clock(clock)}" if clock else iso


def full_clock(text: str) -> str:
    """A DICOM time with the minutes and seconds that its writer left out; no zero is ever lost there.

    References:
        DICOM PS3.5 6.2 (TM: HH, HHMM, HHMMSS or HHMMSS.FFFFFF).

    >>> full_clock("1230"), full_clock("09"), full_clock("091503.25"), full_clock("")
    ('123000', '090000', '091503.25', '')
    """
    text = text.strip()
    return text.ljust(6, "0") if text.isdigit() and len(text) in (2, 4) else text


def _day(text: str) -> date:
    try:
        return date.fromisoformat(re.sub(r"[/.]", "-", text))
    except ValueError:
        raise ValueError(f"The date {text!r} is not year, month, day; write it as 2026-01-31.") from None


def _clock(text: str) -> str:
    whole = text.partition(".")[0]
    short = len(whole) in (2, 4) and whole.startswith("0")
    digits = whole.replace(":", "") if ":" in whole or short else whole.zfill(6)
    digits = digits.ljust(6, "0")
    if not re.fullmatch(r"([01]\d|2[0-3])[0-5]\d[0-5]\d", digits):
        raise ValueError(f"The time {text!r} is not hours, minutes, seconds; write it as 09:15:03.")
    return f"{digits[:2]}:{digits[2:4]}:{digits[4:6]}"
