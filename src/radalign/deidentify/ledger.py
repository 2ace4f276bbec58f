"""Who became whom, and which file is done: lines of JSON in a file that never travels with the images."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from radalign.deidentify.errors import DeidentifyError
from radalign.deidentify.keys import others_can_read


class Ledger:
    """An append-only record, safe against being stopped at any line.

    A line is a patient (`original`, `pseudonym`, `shift_days`) or a file (`source`, `size`, `mtime_ns`,
    `state`, `out`, `output`, `reason`). The last line about a file counts. Use it as a context manager.

    Args:
        path: The file; made if missing, and closed to all but its owner.
        out: The output folder; a file is done only if what it became is there.
        fingerprint: Of the key, the settings and the rules; a ledger made with others is refused.

    Raises:
        DeidentifyError: If the ledger belongs to another key, other settings or other rules.
    """

    def __init__(self, path: Path, out: Path, fingerprint: str) -> None:
        self.path, self.out = path, out
        self.patients: dict[str, dict[str, Any]] = {}
        self.files: dict[str, dict[str, Any]] = {}
        self._sources: dict[str, str] = {}
        self._file: IO[str] | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = _read(path)
        if lines and lines[0].get("fingerprint") != fingerprint:
            raise DeidentifyError(
                f"{path} was made with another key, other settings (OCR among them) or older rules; "
                "use those, or a new ledger and a new folder."
            )
        for line in lines:
            self._take(line)
        self._first = None if lines else {"kind": "ledger", "fingerprint": fingerprint}

    def __enter__(self) -> Self:
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._file = os.fdopen(handle, "a", encoding="utf-8", errors="surrogateescape")
        if others_can_read(self.path):
            self.path.chmod(0o600)
        if self._first:
            self._write(self._first)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file:
            self._file.close()
            self._file = None

    def patient(self, original: str, pseudonym: str, shift_days: int) -> None:
        """Note a patient once."""
        if original not in self.patients:
            self._add(
                {"kind": "patient", "original": original, "pseudonym": pseudonym, "shift_days": shift_days}
            )

    def is_done(self, source: Path) -> bool:
        """Whether this very file (path, size, time) needs no more work: what it became is in the folder.

        A file that was quarantined or skipped is done for this folder, unless it is worth another try.
        """
        line = self.files.get(str(source))
        if line is None or (line["size"], line["mtime_ns"]) != _stamp(source) or line.get("again"):
            return False
        output, out = str(line["output"]), str(line["out"])
        return (self.out / output).is_file() if output else out == str(self.out.resolve())

    def source_of(self, output: str) -> str:
        """Which file was written there last, "" if none that this ledger knows."""
        return self._sources.get(output, "")

    def with_several_issuers(self) -> int:
        """How many Patient IDs stand with more than one issuer, or with and without one."""
        numbers = Counter(original.rpartition("|")[0] for original in self.patients
                          if not original.startswith(("name:", "study:")))  # fmt: skip
        return sum(1 for times in numbers.values() if times > 1)

    def file(self, source: Path, state: str, output: str = "", reason: str = "", **more: Any) -> None:
        """Note what became of a file: `written`, `quarantined`, `skipped`."""
        size, mtime_ns = _stamp(source)
        line = {"kind": "file", "source": str(source), "size": size, "mtime_ns": mtime_ns, "state": state}
        self._add({**line, "out": str(self.out.resolve()), "output": output, "reason": reason, **more})

    def _add(self, line: dict[str, Any]) -> None:
        self._write(line)
        self._take(line)

    def _take(self, line: dict[str, Any]) -> None:
        if line.get("kind") == "patient":
            self.patients[line["original"]] = line
        elif line.get("kind") == "file":
            self.files[line["source"]] = line
            if line["state"] == "written":
                self._sources[line["output"]] = line["source"]

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._file is None:
            raise DeidentifyError("The ledger is closed; use it inside `with`.")
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def _read(path: Path) -> list[dict[str, Any]]:
    """All whole lines; a last line that was cut off when the machine stopped is dropped from the file."""
    if not path.is_file():
        return []
    # File names may be of any encoding, and a line may be cut inside a letter.
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    whole, _, cut = text.rpartition("\n")
    if cut:
        path.write_text(whole + "\n" if whole else "", encoding="utf-8", errors="surrogateescape")
    try:
        return [json.loads(line) for line in whole.split("\n") if line]
    except json.JSONDecodeError as error:
        raise DeidentifyError(f"{path} is not a ledger ({error}); give the right file.") from error
