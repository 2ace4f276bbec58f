"""Abbreviations from a user's own UMLS: `MRCONSO.RRF`, read twice line by line, never held in memory."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

# Columns of MRCONSO.RRF that matter here, by position.
_CUI, _LANGUAGE, _STATUS, _STRING_TYPE, _PREFERRED, _TERM_TYPE, _STRING, _SUPPRESS = 0, 1, 2, 4, 6, 12, 14, 16
_COLUMNS = 18
_SHORT_TYPES = frozenset({"AB", "ACR", "AA", "AD"})
_SHORT = re.compile(r"[A-Z][A-Za-z0-9]{1,7}$")
_NOT_SPECIFIED = re.compile(r",? NOS$")


def read_umls(path: str | Path, language: str = "ENG") -> dict[str, str]:
    """Abbreviations that the UMLS knows, each with the preferred name of its concept.

    An abbreviation is a string of up to eight letters and digits and of an abbreviation type (AB, ACR, AA,
    AD). One that belongs to several concepts is left out: the UMLS does not say which is meant. So is one
    that is also a name of its own concept in full ("Chest"): it is a word.

    Args:
        path: `MRCONSO.RRF` or `MRCONSO.RRF.gz` of the user's licensed copy.
        language: UMLS language code.

    Returns:
        Abbreviation -> words; give it to `Terms.with_plain`.

    Raises:
        ValueError: If the file is missing or is not an MRCONSO table.

    References:
        UMLS Reference Manual, section 3.3.4, table MRCONSO.RRF (18 columns divided by "|").
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"There is no file {path}; give the path of your own MRCONSO.RRF.")
    concepts: dict[str, set[str]] = {}
    for row in _rows(path, language):
        short = row[_STRING]
        if _SHORT.match(short) and row[_TERM_TYPE] in _SHORT_TYPES:
            concepts.setdefault(short, set()).add(row[_CUI])
    single = {short: next(iter(cuis)) for short, cuis in concepts.items() if len(cuis) == 1}
    names, full = _names(path, language, set(single.values()))
    return {
        short: names[cui]
        for short, cui in single.items()
        if cui in names and (cui, short.casefold()) not in full
    }


def _names(path: Path, language: str, wanted: set[str]) -> tuple[dict[str, str], set[tuple[str, str]]]:
    """Concept -> preferred name, and (concept, one-word name in full), of the wanted concepts."""
    names: dict[str, str] = {}
    full: set[tuple[str, str]] = set()
    for row in _rows(path, language):
        if row[_CUI] not in wanted or row[_TERM_TYPE] in _SHORT_TYPES:
            continue
        if _SHORT.match(row[_STRING].capitalize()):
            full.add((row[_CUI], row[_STRING].casefold()))
        if row[_STATUS] == "P" and row[_STRING_TYPE] == "PF" and row[_PREFERRED] == "Y":
            names[row[_CUI]] = _NOT_SPECIFIED.sub("", row[_STRING])
    return names, full


def _rows(path: Path, language: str) -> Iterator[list[str]]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            row = line.rstrip("\n").split("|")
            if len(row) < _COLUMNS:
                raise ValueError(
                    f"Line {number} of {path} has {len(row)} columns, not {_COLUMNS}; is it an MRCONSO.RRF?"
                )
            if row[_LANGUAGE] == language and row[_SUPPRESS] == "N":
                yield row
