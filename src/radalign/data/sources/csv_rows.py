"""Rows of a CSV file as people really write them: BOM, CRLF, latin-1, semicolons, tabs, gzip, ragged rows."""

from __future__ import annotations

import csv
import gzip
import io
import sys
from collections.abc import Iterable, Iterator
from math import isfinite
from pathlib import Path

from radalign.data.exclusions import ExclusionFlow
from radalign.data.sources.source import SourceError

_DELIMITERS = ",;\t|"

Row = dict[str, str]


def read_csv(path: Path, flow: ExclusionFlow | None = None, needs: Iterable[str] = ()) -> Iterator[Row]:
    """Yield rows as dicts of stripped text, "" for empty or absent cells.

    Args:
        path: A CSV file, plain or gzipped; the delimiter is told from the header line.
        flow: Where rows with more cells than the header are counted; without it they raise.
        needs: Columns that must be there.

    Raises:
        SourceError: If the file is missing, empty, not text, or lacks a needed column.
    """
    text = io.StringIO(_decode(path), newline="")
    csv.field_size_limit(sys.maxsize)
    head = text.readline()
    if not head.strip():
        raise SourceError(f"{path} is empty; it needs a header line and one row per image.")
    delimiter = max(_DELIMITERS, key=head.count)
    text.seek(0)
    reader = csv.DictReader(text, delimiter=delimiter)
    names = [name.strip() for name in reader.fieldnames or ()]
    reader.fieldnames = names
    need_columns(path, names, needs)
    for row in reader:
        if None in row:
            _reject_ragged(path, reader.line_num, flow)
            continue
        yield {name: (cell or "").strip() for name, cell in row.items()}


def number(text: str) -> float | None:
    """A cell as a finite number, None when it is blank or none.

    >>> number("58.0"), number(""), number("old"), number("inf")
    (58.0, None, None, None)
    """
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) else None


def whole(text: str) -> int:
    """A cell as a whole number, 0 when it is blank, negative or none: a size that is not known.

    >>> whole("2048"), whole("2048.0"), whole(""), whole("-1")
    (2048, 2048, 0, 0)
    """
    value = number(text)
    return int(value) if value is not None and value > 0 else 0


def need_columns(path: Path, names: Iterable[str], needs: Iterable[str]) -> None:
    """Refuse a table that lacks a column.

    Raises:
        SourceError: If a needed column is not there.
    """
    names = list(names)
    missing = [name for name in needs if name not in names]
    if missing:
        raise SourceError(
            f"{path} lacks the column {', '.join(missing)}; it has {', '.join(names)}. "
            "Use the distributor's own file, or `radalign data import table` with --column."
        )


def _decode(path: Path) -> str:
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        raise SourceError(f"There is no table at {path}; check the path.") from None
    except (OSError, EOFError) as error:
        raise SourceError(f"{path} cannot be read ({error}); fetch it again.") from error
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16")
    if b"\x00" in data[:4096]:
        raise SourceError(f"{path} is not a text file; save the table as CSV.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _reject_ragged(path: Path, line: int, flow: ExclusionFlow | None) -> None:
    what = f"{path.name} line {line}"
    if flow is None:
        raise SourceError(f"{what} has more cells than the header; quote cells that hold the delimiter.")
    flow.reject("row has more cells than the header", images=1, example=what)
