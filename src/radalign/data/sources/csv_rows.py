"""Rows of a CSV file as people really write them: BOM, CRLF, latin-1, semicolons, tabs, gzip, ragged rows."""

from __future__ import annotations

import csv
import gzip
import io
import sys
import zlib
from collections.abc import Iterable, Iterator
from math import isfinite
from pathlib import Path

from radalign.data.exclusions import ExclusionFlow
from radalign.data.sources.source import SourceError

_DELIMITERS = ",;\t|"

Row = dict[str, str]


def read_csv(
    path: Path, flow: ExclusionFlow | None = None, needs: Iterable[str] = (), side: bool = False
) -> Iterator[Row]:
    """Yield rows as dicts of stripped text, "" for empty or absent cells.

    Args:
        path: A CSV file, plain or gzipped; the delimiter is told from the header line.
        flow: Where rows with more cells than the header are counted; without it they raise.
        needs: Columns that must be there.
        side: Whether the table only adds to another (labels, boxes, splits): then a bad row loses no image.

    Raises:
        SourceError: If the file is missing, empty, not text, lacks a needed column, or ends within quotes.
    """
    text = io.StringIO(read_text(path), newline="")
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
    start, line = text.tell(), reader.line_num
    for row in reader:
        if reader.line_num > line + 1:
            _check_quotes(path, text, start, (line + 1, reader.line_num), delimiter, flow)
        start, line = text.tell(), reader.line_num
        # Spreadsheets end rows with empty cells; only a cell that says something has no column.
        if any(cell.strip() for cell in row.pop(None, None) or ()):
            _reject_ragged(path, line, flow, side)
            continue
        yield {name: (cell or "").strip() for name, cell in row.items()}


def column_names(path: Path) -> list[str]:
    """The names in a table's header line.

    Raises:
        SourceError: If the file is missing, empty or not text.
    """
    head = io.StringIO(read_text(path), newline="").readline()
    if not head.strip():
        raise SourceError(f"{path} is empty; it needs a header line and one row per image.")
    return [name.strip() for name in next(csv.reader([head], delimiter=max(_DELIMITERS, key=head.count)))]


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


def read_text(path: Path) -> str:
    """A text file as people really write them: gzipped or not, in UTF-8, UTF-16 or a Windows code page.

    Raises:
        SourceError: If it is missing, damaged or not text.
    """
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        raise SourceError(f"There is no table at {path}; check the path.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{path} cannot be read ({error}); fetch it again.") from error
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16")
    if b"\x00" in data[:4096]:
        raise SourceError(f"{path} is not a text file; save the table as CSV.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _reject_ragged(path: Path, line: int, flow: ExclusionFlow | None, side: bool) -> None:
    what = f"{path.name} line {line}"
    if flow is None:
        raise SourceError(f"{what} has more cells than the header; quote cells that hold the delimiter.")
    if side:
        flow.note("row has more cells than the header, passed over", example=what)
    else:
        flow.reject("row has more cells than the header", images=1, example=what)


def _check_quotes(
    path: Path,
    text: io.StringIO,
    start: int,
    lines: tuple[int, int],
    delimiter: str,
    flow: ExclusionFlow | None,
) -> None:
    """Look closer at a row of several lines: a quote that is never closed swallows the rows that follow."""
    length = text.tell() - start
    text.seek(start)
    row = text.read(length)
    if row.count('"') % 2 == 0:
        return
    try:
        list(csv.reader(io.StringIO(row, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        what = f"{path.name} lines {lines[0]} to {lines[1]}"
        if "unexpected end" in str(error):
            raise SourceError(
                f"{what}: a quote is opened and never closed, so all rows after it are one cell; mend line "
                f"{lines[0]}, or fetch the table again."
            ) from error
        if flow is not None:
            flow.note("quotes within a row do not fit, so rows may have been taken for text", example=what)


def row_once(row: Row, seen: set[tuple[str, ...]], what: str, flow: ExclusionFlow) -> bool:
    """Whether a row is new; a row that repeats another cell by cell is noted and counts once.

    Args:
        row: Any row.
        seen: The rows so far; the row is added.
        what: What a reader sees of it.
        flow: Counts repeats.

    >>> seen: set[tuple[str, ...]] = set()
    >>> [row_once({"a": "1"}, seen, "1", ExclusionFlow("test")) for _ in range(2)]
    [True, False]
    """
    key = tuple(row.values())
    if key in seen:
        flow.note("row is listed twice, counted once", example=what)
        return False
    seen.add(key)
    return True
