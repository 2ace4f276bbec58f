"""The reader of reports: whether it reads the packaged sentences as it did when this was written."""

from __future__ import annotations

from collections.abc import Iterator

from radalign.doctor.check import Check
from radalign.reports.scoring import agreement, read_labelled

MISSES = 89
"""Of the development half's sentences, those that the rules of this version do not read wholly right."""


def check_reading() -> Iterator[Check]:
    """Findings, negations and changes of the packaged sentences."""
    found = agreement(read_labelled("development"))
    misses = len(found.misses)
    said = f"{found.sentences - misses} of {found.sentences} packaged sentences read wholly right"
    if misses == MISSES:
        yield Check("reading reports", "fine", f"{said}, as they should be")
        return
    mend = "an altered file or Python; install radalign again"
    yield Check("reading reports", "broken", f"{said}, not {found.sentences - MISSES}", mend)
