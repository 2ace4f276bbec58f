"""What a builder of a benchmark set gives back: its lists with their hashes, and who is in two of them."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from radalign.data.exclusions import NO_PATIENT, ExclusionFlow


class BenchmarkError(ValueError):
    """A benchmark set cannot be built from what is there; the message says what is missing."""


@dataclass(frozen=True)
class BenchmarkList:
    """One list of a benchmark set, in its order.

    Args:
        name: What it is for (`query`, `candidate`, `test`, ...).
        items: Image paths, or texts.
        classes: The class of each item.
        patients: The patient of each item, "" where there is none.
        file: The file that holds the list; the same list anywhere is the same file.
    """

    name: str
    items: tuple[str, ...]
    classes: tuple[str, ...]
    patients: tuple[str, ...]
    file: Path

    @cached_property
    def sha256(self) -> str:
        """Of the list's file, as `sha256sum` prints it: the items with their classes and all else in it."""
        return hashlib.sha256(self.file.read_bytes()).hexdigest()


@dataclass(frozen=True)
class Built:
    """A benchmark set.

    Args:
        name: The set.
        lists: Its lists.
        seed: What it was drawn with; None when nothing was drawn.
        files: What was written.
        notes: What a reader should know.
    """

    name: str
    lists: tuple[BenchmarkList, ...]
    seed: int | None
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def shared_patients(self) -> dict[str, int]:
        """Pairs of lists to how many patients are in both."""
        held = [(part.name, set(part.patients) - {""}) for part in self.lists]
        return {
            f"{a} and {b}": len(first & second)
            for n, (a, first) in enumerate(held)
            for b, second in held[n + 1 :]
            if first and second
        }

    def to_dict(self) -> dict[str, object]:
        """Everything but the items, for JSON."""
        lists = {
            part.name: {
                "items": len(part.items),
                "patients": len(set(part.patients) - {""}),
                "classes": dict(Counter(part.classes)),
                "file": str(part.file),
                "sha256": part.sha256,
            }
            for part in self.lists
        }
        return {
            "set": self.name,
            "seed": self.seed,
            "lists": lists,
            "patients_in_both": self.shared_patients,
            "files": [str(path) for path in self.files],
            "notes": list(self.notes),
        }

    def to_text(self) -> str:
        """The same as a few lines for a person."""
        lines = [f"{self.name}, " + ("as published" if self.seed is None else f"seed {self.seed}")]
        for part in self.lists:
            counts = ", ".join(f"{name} {count}" for name, count in Counter(part.classes).items())
            patients = len(set(part.patients) - {""})
            of_patients = f" of {patients:,} patients" if patients else ""
            lines += [f"{part.name}: {len(part.items):,}{of_patients} ({counts})"]
            lines += [f"  SHA-256 {part.sha256}  {part.file}"]
        lines += [f"patients in both {pair}: {count}" for pair, count in self.shared_patients.items()]
        return "\n".join([*lines, *self.notes])


def left_out(flow: ExclusionFlow) -> tuple[str, ...]:
    """What a flow counted while a table was read, one note per reason.

    >>> flow = ExclusionFlow("test")
    >>> flow.reject("row names no image", images=1, example="line 7")
    >>> left_out(flow)
    ('Left out, row names no image: 1, such as line 7.',)
    """
    reasons = {**flow.dropped, **flow.noted}
    return tuple(
        f"Left out, {name}: {len(reason.cases):,}"
        + (f", such as {reason.examples[0].rstrip('.')}." if reason.examples else ".")
        for name, reason in reasons.items()
        if name != NO_PATIENT
    )


def write_lines(path: Path, items: Sequence[str], classes: Sequence[str]) -> Path:
    """Write a list as text, one `<item> <class>` per line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (f"{item} {cls}\n" for item, cls in zip(items, classes, strict=True))
    path.write_text("".join(lines), encoding="utf-8", newline="\n")
    return path


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> Path:
    """Write rows as CSV, with the unnamed index column that the published files have."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["", *columns])
        for index, row in enumerate(rows):
            writer.writerow([index, *(row.get(name, "") for name in columns)])
    return path
