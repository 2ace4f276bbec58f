"""Dates as sources write them."""

from __future__ import annotations

import pytest

from radalign.data.dates import parse_date, parse_date_or_day


@pytest.mark.parametrize(
    ("date", "time", "iso"),
    [
        ("21800506", "213014.531", "2180-05-06T21:30:14"),  # MIMIC-CXR
        ("20260102", "4503", "2026-01-02T00:45:03"),  # leading zeros lost in a CSV
        ("20260102", "915", "2026-01-02T00:09:15"),
        ("20260102", "0915", "2026-01-02T09:15:00"),  # it still has its zero, so none was lost
        ("20260102", "09", "2026-01-02T09:00:00"),
        ("20260102", "00", "2026-01-02T00:00:00"),
        ("2026-01-02", "09:15", "2026-01-02T09:15:00"),
        ("2026-01-02T09:15:03Z", "", "2026-01-02T09:15:03"),
        ("20140915.0", "", "2014-09-15"),  # a date that was a float
        ("2026.01.02", "", "2026-01-02"),
        ("", "", ""),
        ("", "120000", ""),
    ],
)
def test_a_date_becomes_iso(date: str, time: str, iso: str) -> None:
    assert parse_date(date, time) == iso


@pytest.mark.parametrize(
    ("date", "time"), [("01/02/2026", ""), ("2026-13-01", ""), ("yesterday", ""), ("2026-01-02", "25:00:00")]
)
def test_what_cannot_be_told_is_refused(date: str, time: str) -> None:
    with pytest.raises(ValueError, match="write it as"):
        parse_date(date, time)


@pytest.mark.parametrize(
    ("date", "time", "iso"),
    [
        ("21800506", "246060.0", "2180-05-06"),
        ("2180-05-06T99:00", "", "2180-05-06"),
        ("21801306", "0915", ""),
        ("0", "111412.5", ""),
    ],
)
def test_a_bad_time_does_not_take_the_day_with_it(date: str, time: str, iso: str) -> None:
    found, fault = parse_date_or_day(date, time)
    assert found == iso
    assert "write it as" in fault
