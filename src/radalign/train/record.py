"""What a run writes down: a line of JSON per step and per validation, and one file about the whole."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from radalign.files import whole_file, writing

Line = dict[str, Any]
_TAIL_BYTES = 2**16  # many times what the longest line has


class RunLog:
    """`log.jsonl`: lines are only added; a resumed run first cuts what it will do again.

    Args:
        path: The file.
        length_bytes: What to keep of the log before an interruption; 0 starts a new log.
    """

    def __init__(self, path: Path, length_bytes: int = 0) -> None:
        self._path = path
        with writing(path):
            # No buffer: after a failed write, closing would try again and hide the first error.
            self._file = path.open("r+b" if length_bytes else "w+b", buffering=0)
            self._file.truncate(length_bytes)
            self._file.seek(length_bytes)

    def write(self, kind: str, **values: Any) -> None:
        """Add a line; it is handed to the system at once, so that a kill loses nothing.

        Raises:
            WriteRefused: If the disk is full or cannot be written.
        """
        row = json.dumps({"kind": kind, **values}, default=str).encode() + b"\n"
        with writing(self._path):
            while row:
                row = row[self._file.write(row) :]

    @property
    def length_bytes(self) -> int:
        """How long the log is now."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_log(path: str | Path) -> list[Line]:
    """The whole lines of a log; the last one may be half-written after a kill and is then left out.

    Returns:
        One dictionary per line, with `kind` one of `start`, `step`, `validation`, `message`, `end`.
    """
    text = Path(path).read_bytes()
    return [json.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines()]


def last_line(path: str | Path) -> Line:
    """The last whole line of a log, found without reading the others; nothing where there is none.

    >>> last_line("no such log")
    {}
    """
    path = Path(path)
    if not path.is_file():
        return {}
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        lines = file.read().rpartition(b"\n")[0].splitlines()
    line: Line = json.loads(lines[-1]) if lines else {}
    return line


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file in one step; numbers that JSON does not know become null.

    Raises:
        WriteRefused: If the disk is full or cannot be written; an earlier file stays as it was.
    """
    with whole_file(path) as partial:
        partial.write_text(json.dumps(_finite(value), indent=1, default=str) + "\n", encoding="utf-8")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
