"""The exclusion flow of an import: what was found, what was left out and why, what was kept.

found ── left out, by reason ── kept          (images and studies are counted apart, and both sums must close)
           └── the page lists the first cases of each reason, the JSON file beside it all of them
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from radalign.study import Study

MAX_EXAMPLES = 5
NO_PATIENT = "patient unknown: each image counts as its own patient"


class Case(NamedTuple):
    """One case of a reason: what it counts for, what a reader sees of it, and which image or study it is."""

    images: int
    studies: int
    example: str
    of: str


@dataclass
class Reason:
    """How much one reason concerns, and its cases.

    >>> reason = Reason()
    >>> for name in "abc":
    ...     reason.add(1, 0, f"{name}.png", name)
    >>> reason.only_of({"a", "c"})
    >>> reason.images, reason.listed
    (2, ['a.png', 'c.png'])
    """

    images: int = 0
    studies: int = 0
    cases: list[Case] = field(default_factory=list)

    def add(self, images: int, studies: int, example: str, of: str = "") -> None:
        """Count one more case."""
        self.images += images
        self.studies += studies
        self.cases.append(Case(images, studies, " ".join(example.split()), of))

    def only_of(self, kept: Collection[str]) -> None:
        """Forget the cases of images and studies that are not kept, and count each of the others once."""
        seen: set[str] = set()
        cases, self.cases, self.images, self.studies = self.cases, [], 0, 0
        for case in cases:
            if not case.of or (case.of in kept and case.of not in seen):
                seen.add(case.of)
                self.add(*case)

    @property
    def listed(self) -> list[str]:
        """What a reader sees of every case."""
        return [case.example for case in self.cases if case.example]

    @property
    def examples(self) -> list[str]:
        """What a reader sees of the first cases."""
        return list(islice((case.example for case in self.cases if case.example), MAX_EXAMPLES))

    def to_dict(self) -> dict[str, object]:
        """The counts and every case, for JSON."""
        return {"images": self.images, "studies": self.studies, "cases": self.listed}


@dataclass
class ExclusionFlow:
    """Counts of an import, in the manner of a CONSORT flow diagram.

    Args:
        source: The name of the source, for the heading.

    >>> from radalign.study import View
    >>> flow = ExclusionFlow("table")
    >>> flow.found(images=2, studies=1)
    >>> flow.drop("image file is missing", images=1, example="b.png")
    >>> flow.keep([Study("s", "p", views=(View("a.png"),))])
    >>> flow.images_found, flow.images_kept, flow.studies_kept, flow.patients_kept
    (2, 1, 1, 1)
    """

    source: str
    images_found: int = 0
    studies_found: int = 0
    dropped: dict[str, Reason] = field(default_factory=dict)
    noted: dict[str, Reason] = field(default_factory=dict)
    images_kept: int = 0
    studies_kept: int = 0
    patients_kept: int = 0

    def found(self, images: int = 0, studies: int = 0) -> None:
        """Count what the source offers."""
        self.images_found += images
        self.studies_found += studies

    def drop(self, reason: str, images: int = 0, studies: int = 0, example: str = "") -> None:
        """Count something found that is left out."""
        self.dropped.setdefault(reason, Reason()).add(images, studies, example)

    def reject(self, reason: str, images: int = 0, studies: int = 0, example: str = "") -> None:
        """Count something as found and at once left out: it never became part of a study."""
        self.found(images, studies)
        self.drop(reason, images, studies, example)

    def note(self, reason: str, images: int = 0, studies: int = 0, example: str = "", of: str = "") -> None:
        """Count something that is kept, but that a reader should know of.

        Args:
            reason: What it is.
            images: How many images it concerns.
            studies: How many studies it concerns.
            example: What a reader sees of it.
            of: The path of the image or the id of the study that it is about; when that is left out for
                another reason, the note is forgotten. "" when it holds whatever is kept.
        """
        self.noted.setdefault(reason, Reason()).add(images, studies, example, of)

    def keep(self, studies: Iterable[Study]) -> None:
        """Count what is kept, forget notes on what is not, and check that the sums close.

        Raises:
            ValueError: If found minus left out is not what is kept: then the import itself has a fault.
        """
        kept = list(studies)
        self.studies_kept, self.images_kept = len(kept), sum(len(s.views) for s in kept)
        self.patients_kept = len({s.patient_id for s in kept})
        lost_images = sum(r.images for r in self.dropped.values())
        lost_studies = sum(r.studies for r in self.dropped.values())
        left = (self.images_found - lost_images, self.studies_found - lost_studies)
        if left != (self.images_kept, self.studies_kept):
            kept_now = (self.images_kept, self.studies_kept)
            raise ValueError(
                f"The exclusion flow of {self.source!r} does not add up: images and studies left should be "
                f"{left}, but are {kept_now}; please report this."
            )
        names = {s.id for s in kept} | {view.path for s in kept for view in s.views}
        for note in self.noted.values():
            note.only_of(names)
        self.noted = {name: note for name, note in self.noted.items() if note.cases}

    def main_reasons(self, count: int = 3) -> str:
        """The most frequent reasons in one line, for an error message."""
        ranked = sorted(self.dropped.items(), key=lambda item: -(item[1].images + item[1].studies))[:count]
        return "; ".join(_with_example(name, reason) for name, reason in ranked)

    def to_dict(self) -> dict[str, object]:
        """The flow as plain values, for JSON, with every case."""
        return {
            "source": self.source,
            "found": {"images": self.images_found, "studies": self.studies_found},
            "left_out": {name: reason.to_dict() for name, reason in self.dropped.items()},
            "noted": {name: reason.to_dict() for name, reason in self.noted.items()},
            "kept": {
                "images": self.images_kept,
                "studies": self.studies_kept,
                "patients": self.patients_kept,
            },
        }

    def to_markdown(self) -> str:
        """The flow as a page: one table, then the first cases of each reason."""
        rows = [("found", self.images_found, self.studies_found)]
        rows += [(f"left out: {name}", -r.images, -r.studies) for name, r in self.dropped.items()]
        rows += [("**kept**", self.images_kept, self.studies_kept)]
        rows += [(f"of these: {name}", r.images, r.studies) for name, r in self.noted.items() if _counts(r)]
        others = {name: len(r.cases) for name, r in self.noted.items() if not _counts(r)}
        rows += [(f"and: {name} ({cases:,})", 0, 0) for name, cases in others.items()]
        lines = [f"# Exclusion flow: {self.source}", "", "| step | images | studies |", "|---|---:|---:|"]
        lines += [f"| {name} | {_cell(images)} | {_cell(studies)} |" for name, images, studies in rows]
        lines += ["", f"Kept studies come from {self.patients_kept:,} patients.", ""]
        for name, reason in (self.dropped | self.noted).items():
            if reason.examples:
                lines += [_heading(name, len(reason.listed)), *(f"- {e}" for e in reason.examples), ""]
        return "\n".join(lines)

    def write_beside(self, manifest_path: Path) -> tuple[Path, Path]:
        """Write `<manifest>.exclusions.md` and `.json` beside a manifest; returns both paths."""
        page = manifest_path.with_name(manifest_path.name + ".exclusions.md")
        data = manifest_path.with_name(manifest_path.name + ".exclusions.json")
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(self.to_markdown(), encoding="utf-8")
        data.write_text(json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return page, data


def _counts(reason: Reason) -> bool:
    return bool(reason.images or reason.studies)


def _heading(name: str, cases: int) -> str:
    if cases <= MAX_EXAMPLES:
        return f'All cases of "{name}":'
    return f'First {MAX_EXAMPLES} of {cases:,} cases of "{name}" (all are in the JSON file beside this):'


def _with_example(name: str, reason: Reason) -> str:
    example = f", such as: {reason.examples[0].rstrip('.')}" if reason.examples else ""
    return f"{name} ({_amount(reason)}{example})"


def _amount(reason: Reason) -> str:
    parts = [(reason.images, "image"), (reason.studies, "study" if reason.studies == 1 else "studies")]
    words = [f"{n:,} {word}{'s' if word == 'image' and n != 1 else ''}" for n, word in parts if n]
    return " and ".join(words) or "none"


def _cell(number: int) -> str:
    return f"{number:,}".replace("-", "−") if number else ""
