"""What a builder of a benchmark set gives back: its lists with their hashes, and who is in two of them."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


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

    >>> BenchmarkList("test", ("a.jpg",), ("1",), ("p",)).sha256[:8]
    '509b0d46'
    """

    name: str
    items: tuple[str, ...]
    classes: tuple[str, ...]
    patients: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """Of the items, one per line: the same list anywhere has the same hash."""
        return hashlib.sha256("\n".join(self.items).encode()).hexdigest()


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
                "sha256": part.sha256,
            }
            for part in self.lists
        }
        return {
            "set": self.name,
            "seed": self.seed,
            "lists": lists,
            "patients_in_both": self.shared_patients,
            "files": [path.name for path in self.files],
            "notes": list(self.notes),
        }

    def to_text(self) -> str:
        """The same as a few lines for a person."""
        lines = [f"{self.name}, " + ("as published" if self.seed is None else f"seed {self.seed}")]
        for part in self.lists:
            counts = ", ".join(f"{name} {count}" for name, count in Counter(part.classes).items())
            patients = len(set(part.patients) - {""})
            of_patients = f" of {patients:,} patients" if patients else ""
            lines += [f"{part.name}: {len(part.items):,}{of_patients} ({counts})", f"  SHA-256 {part.sha256}"]
        lines += [f"patients in both {pair}: {count}" for pair, count in self.shared_patients.items()]
        return "\n".join([*lines, *self.notes])


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> Path:
    """Write rows as CSV, with the unnamed index column that the published files have."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["", *columns])
        for index, row in enumerate(rows):
            writer.writerow([index, *(row.get(name, "") for name in columns)])
    return path
