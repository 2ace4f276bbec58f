"""The audit: what was done, what a person must look at, and what was not checked at all.

The audit holds no identity: it names output files and attributes only.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from radalign.deidentify.shapes import LANGUAGES

AUDIT_NAME = "deidentification-audit"
_ALWAYS_UNCHECKED = (
    "Names that stand in no header and after no title, in free text that was kept.",
    "Names that are everyday words (King, Small, Lang) in lower case; those that are words of reports also "
    "at the start of a sentence and in lines in capitals.",
    "Parts of names under 3 letters that stand alone, other than capitalised ones inside a sentence (Ng); "
    "numbers under 3 characters.",
    f"Dates, phones, record numbers and titles in other shapes than those of {LANGUAGES}.",
    "A day and a month alone (17/3, 1/2) with no word before them that makes them a date; a year alone.",
    "Codes (Code Value, coding schemes), which are kept as they are.",
    "Compressed frames, other than for the comments and application data of JPEG, JPEG-LS and JPEG 2000.",
    "Text in the pixels that is faint, blurred, handwritten or very large, and so has no sharp strokes.",
    "Whether a person could be recognised by the image itself: rare findings, implants, dates on devices.",
    "Whether the combination of what is kept singles a person out.",
)


@dataclass(frozen=True)
class FileAudit:
    """What is still to be looked at in one output file.

    Args:
        output: The file, within the output folder.
        kept_text: Free text that was scrubbed and kept: to be read by a person.
        masked: Marks masked in the pixels.
        left_marks: Unsafe marks too large to be masked: must be none, or be looked at.
        residual_marks: Other unsafe marks found after masking: must be none.
        notes: What could not be done as it should.
        likenesses: Where something like a name or number of the header stands: to be read by a person.
    """

    output: str
    kept_text: tuple[str, ...] = ()
    masked: int = 0
    left_marks: int = 0
    residual_marks: int = 0
    notes: tuple[str, ...] = ()
    likenesses: tuple[str, ...] = ()

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> FileAudit:
        """From a line of the ledger."""
        known: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in record.items()}
        return cls(**known)


@dataclass
class Audit:
    """The audit of a whole run; `unchecked` is never empty.

    Args:
        options: Of the profile.
        pixels: What was done to them.
        files: Those that are written and there.
        quarantined: Reason -> how many.
        skipped: How many were neither DICOM nor text, or copies.
        others: Files in the output folder that are not of this source.
        notes: On the run as a whole.
        unchecked: What nobody looked at.
    """

    options: tuple[str, ...]
    pixels: str
    files: list[FileAudit] = field(default_factory=list)
    quarantined: Counter[str] = field(default_factory=Counter)
    skipped: int = 0
    others: int = 0
    notes: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=lambda: list(_ALWAYS_UNCHECKED))

    @property
    def residual(self) -> int:
        """Files in whose pixels something unsafe may still be (headers are quarantined)."""
        return len(self.suspects)

    @property
    def suspects(self) -> list[str]:
        """These files, within the output folder."""
        return [f.output for f in self.files if f.left_marks or f.residual_marks]

    @property
    def to_read(self) -> dict[str, tuple[str, ...]]:
        """Files in which something like a name or number of the header stands -> attributes."""
        return {f.output: f.likenesses for f in self.files if f.likenesses}

    def to_dict(self) -> dict[str, Any]:
        """For a script."""
        return {
            "options": list(self.options),
            "pixels": self.pixels,
            "written": len(self.files),
            "with_residual": self.residual,
            "look_at": self.suspects,
            "read": {output: list(where) for output, where in self.to_read.items()},
            "quarantined": dict(self.quarantined),
            "skipped": self.skipped,
            "other_files": self.others,
            "notes": self.notes,
            "unchecked": self.unchecked,
            "files": [asdict(f) for f in self.files],
        }

    def to_markdown(self) -> str:
        """For a person."""
        text = Counter(keyword for f in self.files for keyword in f.kept_text)
        lines = [
            "# De-identification audit",
            "",
            "This does not say that the files are anonymous. Read what follows before you pass them on.",
            "",
            f"- Options: {', '.join(self.options) or 'Basic Profile only'}; pixels: {self.pixels}.",
            f"- Written {len(self.files)}, quarantined {self.quarantined.total()}, skipped {self.skipped}.",
            f"- Other files in the folder, of which this audit says nothing: {self.others}.",
            f"- With something like a name or number of the header in them: {len(self.to_read)}.",
            f"- With unsafe marks that may still be in the pixels: {self.residual}.",
            f"- Marks masked in pixels: {sum(f.masked for f in self.files)}; "
            f"too large to mask without anatomy: {sum(f.left_marks for f in self.files)}; "
            f"found again afterwards: {sum(f.residual_marks for f in self.files)}.",
            *_listed("Look at the pixels of these files, and pass none on unseen", Counter(self.suspects)),
            *_listed(
                "Read these files: something like a name or number of the header stands there",
                Counter(f"{output}: {', '.join(where)}" for output, where in self.to_read.items()),
            ),
            *_listed("Quarantined, by reason", self.quarantined),
            *_listed("Free text that was scrubbed and kept (read it), files by attribute", text),
            *_listed("Notes", Counter([*self.notes, *(note for f in self.files for note in f.notes)])),
            "",
            "## Not checked",
            "",
            *(f"- {line}" for line in self.unchecked),
        ]
        return "\n".join(lines) + "\n"

    def write(self, folder: Path) -> None:
        """Write `deidentification-audit.json` and `.md`."""
        (folder / f"{AUDIT_NAME}.json").write_text(
            json.dumps(self.to_dict(), indent=1) + "\n", encoding="utf-8"
        )
        (folder / f"{AUDIT_NAME}.md").write_text(self.to_markdown(), encoding="utf-8")


def _listed(title: str, counts: Mapping[str, int]) -> list[str]:
    if not counts:
        return []
    return [
        "",
        f"## {title}",
        "",
        *(f"- {name}: {n}" for name, n in sorted(counts.items(), key=lambda c: -c[1])),
    ]
