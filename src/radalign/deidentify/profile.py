"""PS3.15 as a table: what happens to each attribute, with the retain and clean options.

The Basic Profile's actions are the packaged table; what an option changes follows from `options`.

References:
    DICOM PS3.15 Annex E, Table E.1-1 (attributes) and E.1-1a (actions); PS3.16 CID 7050 (codes of the
    options).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from radalign.deidentify.errors import DeidentifyError
from radalign.deidentify.options import options_of

BASIC_CODE = ("113100", "Basic Application Confidentiality Profile")
OPTION_CODES = {
    "uids": ("113110", "Retain UIDs Option"),
    "devices": ("113109", "Retain Device Identity Option"),
    "institution": ("113112", "Retain Institution Identity Option"),
    "patient": ("113108", "Retain Patient Characteristics Option"),
    "full-dates": ("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
    "modified-dates": ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    "descriptors": ("113105", "Clean Descriptors Option"),
    "graphics": ("113103", "Clean Graphics Option"),
}
"""Option -> its code and meaning in PS3.16 CID 7050."""

PIXEL_CODE = ("113101", "Clean Pixel Data Option")

# "X unless Z is needed": without the file's IOD at hand, the one that keeps any object conformant.
_STRICTEST_CONFORMANT = {"X/Z": "Z", "X/D": "D", "Z/D": "D", "X/Z/D": "D", "X/Z/U*": "U"}


@dataclass(frozen=True)
class Row:
    """One attribute of the table.

    Args:
        tag: Eight hexadecimal digits, `x` for any.
        keyword: DICOM keyword, "-" where our dictionary has none.
        basic: Action of the Basic Profile as the standard writes it (`X/Z/D`).
        options: Option -> action, for the options that change this attribute.
    """

    tag: str
    keyword: str
    basic: str
    options: Mapping[str, str]


@dataclass(frozen=True)
class Profile:
    """The Basic Profile with some options.

    Args:
        options: Names of `OPTION_CODES`.

    Raises:
        DeidentifyError: If an option is unknown, or both date options are chosen.

    >>> basic, dated = Profile(frozenset()), Profile(frozenset({"modified-dates"}))
    >>> basic.action(0x00100010), basic.action(0x00080020), dated.action(0x00080020), basic.action(0x00280010)
    ('Z', 'Z', 'C', '')
    """

    options: frozenset[str]

    def __post_init__(self) -> None:
        unknown = sorted(self.options - set(OPTION_CODES))
        if unknown:
            raise DeidentifyError(f"Unknown options {', '.join(unknown)}; use {', '.join(OPTION_CODES)}.")
        if {"full-dates", "modified-dates"} <= self.options:
            raise DeidentifyError(
                "Dates are either kept or shifted; choose full-dates or modified-dates, not both."
            )

    def action(self, tag: int) -> str:
        """X remove, Z empty, D dummy, U new UID, K keep, C clean; "" when the table says nothing."""
        row = rule_of(tag)
        if row is None:
            return ""
        chosen = [row.options[o] for o in sorted(self.options) if o in row.options]
        if "K" in chosen:
            return "K"
        if chosen:
            return chosen[0]
        return _STRICTEST_CONFORMANT.get(row.basic, row.basic)

    def codes(self) -> list[tuple[str, str]]:
        """The codes that a file made with this profile carries."""
        return [BASIC_CODE, *(OPTION_CODES[o] for o in OPTION_CODES if o in self.options)]


@cache
def table() -> tuple[Row, ...]:
    """All rows of the packaged table."""
    text = resources.files("radalign.deidentify").joinpath("basic_profile.tsv").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return tuple(_rows(csv.DictReader(lines, delimiter="\t")))


def rule_of(tag: int) -> Row | None:
    """The row of an attribute, repeating groups included."""
    exact, patterns = _index()
    written = f"{tag:08x}"
    return exact.get(written) or next((row for shape, row in patterns if shape.match(written)), None)


@cache
def _index() -> tuple[dict[str, Row], list[tuple[re.Pattern[str], Row]]]:
    exact = {row.tag: row for row in table() if "x" not in row.tag}
    shapes = [(re.compile(row.tag.replace("x", "[0-9a-f]") + "$"), row) for row in table() if "x" in row.tag]
    return exact, shapes


def _rows(lines: Iterable[Mapping[str, str]]) -> Iterable[Row]:
    from pydicom.datadict import dictionary_has_tag, dictionary_VR

    for line in lines:
        tag, keyword = line["tag"], line["keyword"]
        known = "x" not in tag and dictionary_has_tag(int(tag, 16))
        vr = str(dictionary_VR(int(tag, 16))) if known else ""
        yield Row(tag, keyword, line["basic"], options_of(keyword, vr))
