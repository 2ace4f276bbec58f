"""The residual audit: what is still there, and what was not checked at all.

Every written file is read again from disk. The audit holds no identity: it names output files and attributes
only.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataelem import DataElement

from radalign.deidentify.freetext import Identities, scrub
from radalign.deidentify.profile import Profile

AUDIT_NAME = "deidentification-audit"
_TEXT_VRS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_OURS = frozenset({"PatientID", "PatientName", "DeidentificationMethod", "CodeMeaning", "AccessionNumber"})
_ALWAYS_UNCHECKED = (
    "Names that stand in no header and after no title, in free text that was kept.",
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
    """

    output: str
    kept_text: tuple[str, ...] = ()
    masked: int = 0
    left_marks: int = 0
    residual_marks: int = 0
    notes: tuple[str, ...] = ()

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> FileAudit:
        """From a line of the ledger."""
        known: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in record.items()}
        return cls(**known)


@dataclass
class Audit:
    """The audit of a whole run; `unchecked` is never empty."""

    options: tuple[str, ...]
    pixels: str
    files: list[FileAudit] = field(default_factory=list)
    quarantined: Counter[str] = field(default_factory=Counter)
    skipped: int = 0
    unchecked: list[str] = field(default_factory=lambda: list(_ALWAYS_UNCHECKED))

    @property
    def residual(self) -> int:
        """Files in whose pixels something unsafe may still be (headers are quarantined)."""
        return len(self.suspects)

    @property
    def suspects(self) -> list[str]:
        """These files, within the output folder."""
        return [f.output for f in self.files if f.left_marks or f.residual_marks]

    def to_dict(self) -> dict[str, Any]:
        """For a script."""
        return {
            "options": list(self.options),
            "pixels": self.pixels,
            "written": len(self.files),
            "with_residual": self.residual,
            "look_at": self.suspects,
            "quarantined": dict(self.quarantined),
            "skipped": self.skipped,
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
            f"- With unsafe marks that may still be in the pixels: {self.residual}.",
            f"- Marks masked in pixels: {sum(f.masked for f in self.files)}; "
            f"too large to mask without anatomy: {sum(f.left_marks for f in self.files)}; "
            f"found again afterwards: {sum(f.residual_marks for f in self.files)}.",
            *_listed("Look at the pixels of these files, and pass none on unseen", Counter(self.suspects)),
            *_listed("Quarantined, by reason", self.quarantined),
            *_listed("Free text that was scrubbed and kept (read it), files by attribute", text),
            *_listed("Notes", Counter(note for f in self.files for note in f.notes)),
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


def residual_of(
    path: Path, known: Identities, originals: Mapping[str, Collection[str]], profile: Profile
) -> tuple[str, ...]:
    """Attributes of a written file in which an identity is still found.

    Args:
        path: The file as written.
        known: Names and numbers of the original header.
        originals: `UI` and `DA` values of the original, which must not occur unless an option keeps them.
        profile: The options.
    """
    dataset = dcmread(path, stop_before_pixels=True)
    found = set()
    for element in (*dataset.file_meta, *dataset.iterall()):
        if element.tag.is_private:
            found.add(f"private {element.tag}")
        elif element.keyword not in _OURS and _leaks(element, known, originals, profile):
            found.add(element.keyword or str(element.tag))
    return tuple(sorted(found))


def _leaks(
    element: DataElement, known: Identities, originals: Mapping[str, Collection[str]], profile: Profile
) -> bool:
    value = "" if element.value is None else str(element.value)
    if element.VR == "UI":
        return "uids" not in profile.options and value in originals["UI"]
    if element.VR in {"DA", "DT"}:
        return "full-dates" not in profile.options and bool(value) and value in originals["DA"]
    if element.VR not in _TEXT_VRS or not value:
        return False
    kept = profile.action(int(element.tag)) == "K"
    return not kept and scrub(value, known).removed > 0


def _listed(title: str, counts: Mapping[str, int]) -> list[str]:
    if not counts:
        return []
    return [
        "",
        f"## {title}",
        "",
        *(f"- {name}: {n}" for name, n in sorted(counts.items(), key=lambda c: -c[1])),
    ]
