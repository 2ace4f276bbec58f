"""Before and after: what masking would remove and the quality filter would drop, for a person to see."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from radalign.images.burned_in import Cleaned, Reader, clean
from radalign.images.errors import ImageError
from radalign.images.quality import Limits, measure, reasons
from radalign.images.read import read_image
from radalign.images.sheet import Tile, contact_sheet
from radalign.study import Manifest, View

Progress = Callable[[Iterable[tuple[str, View]], str], Iterable[tuple[str, View]]]


@dataclass(frozen=True)
class Check:
    """One image checked.

    Args:
        study_id: Its study.
        path: Its file.
        dropped: Reasons of the quality filter; empty when it stays.
        masked: What was masked, as read ("?" where it was not read).
        kept: Safe marks that stay.
        left: Unsafe marks that are not masked: too large, too near the middle, or without a word, on tissue.
        residual: Other unsafe marks that were still found afterwards.
        error: Why it could not be read, "" if it could.
    """

    study_id: str
    path: str
    dropped: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    left: int = 0
    residual: int = 0
    error: str = ""


@dataclass(frozen=True)
class CheckResult:
    """All checks, and how often each reason of the quality filter occurred.

    >>> CheckResult([Check("s", "a.png", dropped=("blurred",)), Check("s", "b.png", error="No.")]).counts
    Counter({'blurred': 1, 'unreadable': 1})
    """

    checks: Sequence[Check]
    counts: Counter[str] = field(init=False)

    def __post_init__(self) -> None:
        named = (r for c in self.checks for r in (*c.dropped, *(("unreadable",) if c.error else ())))
        object.__setattr__(self, "counts", Counter(named))

    def to_dict(self) -> dict[str, object]:
        """Counts and the single checks, for JSON."""
        return {
            "checked": len(self.checks),
            "reasons": dict(self.counts),
            "with_masked_marks": sum(bool(c.masked) for c in self.checks),
            "with_safe_marks": sum(bool(c.kept) for c in self.checks),
            "with_marks_left": sum(bool(c.left) for c in self.checks),
            "still_marked": sum(bool(c.residual) for c in self.checks),
            "checks": [asdict(c) for c in self.checks],
        }

    def to_text(self) -> str:
        """The counts in lines."""
        said = self.to_dict()
        dropped = sum(bool(c.dropped) for c in self.checks)
        lines = [f"{len(self.checks):6,} images checked", f"{dropped:6,} would be dropped for their quality"]
        lines += [f"{count:6,}   {reason}" for reason, count in self.counts.most_common()]
        lines += [
            f"{said['with_masked_marks']:6,} have marks that are masked",
            f"{said['with_safe_marks']:6,} have marks that were read as safe and stay",
            f"{said['with_marks_left']:6,} have marks too large or central, or without a word on tissue",
            f"{said['still_marked']:6,} have marks that were still found after masking",
        ]
        return "\n".join(lines)


def check_sheet(
    manifest: Manifest,
    path: str | Path,
    count: int = 12,
    seed: int = 0,
    reader: Reader | None = None,
    limits: Limits | None = None,
    band: float = 0.2,
    progress: Progress | None = None,
    shown: int = 12,
) -> CheckResult:
    """Draw images at random, check each, and write some before and after side by side as one PNG.

    Args:
        manifest: The studies.
        path: Where the PNG goes.
        count: How many images are checked; 0 = all.
        seed: Of the draw.
        reader: OCR (`burned_in.rapid_reader()`), or None.
        limits: Of the quality filter.
        band: Width of the border bands that are searched for marks, as a share of each side.
        progress: Wraps the loop.
        shown: How many are on the sheet: first those of which something was said.

    Raises:
        ValueError: If the manifest has no views, or a number makes no sense.
    """
    if count < 0 or shown < 1 or not 0 < band <= 0.5:
        raise ValueError(
            f"{count} images, {shown} on the sheet and a band of {band} cannot be; "
            "use at least 0, at least 1, and a share above 0 and up to 0.5."
        )
    views = [(study.id, view) for study in manifest for view in study.views]
    drawn = random.Random(seed).sample(views, min(count or len(views), len(views)))
    told: list[Tile] = []
    plain: list[Tile] = []
    checks = []
    for study_id, view in progress(drawn, "Checking images") if progress else drawn:
        check, pair = _check(manifest.image_path(view), study_id, view, reader, limits, band)
        checks.append(check)
        tiles = told if check.dropped or check.masked or check.left or check.error else plain
        if len(tiles) < 2 * shown:
            tiles += pair
    tiles = (told + plain)[: 2 * shown]
    contact_sheet(
        tiles, path, columns=6, title="Before and after: marks masked, images that would be dropped"
    )
    return CheckResult(checks)


def _check(
    file: Path, study_id: str, view: View, reader: Reader | None, limits: Limits | None, band: float
) -> tuple[Check, list[Tile]]:
    try:
        image = read_image(file)
    except ImageError as error:
        return Check(study_id, view.path, error=str(error)), [Tile(None, str(error)), Tile(None, "")]
    dropped = reasons(measure(image), limits, view.is_frontal)
    cleaned = clean(image, reader, band)
    check = Check(
        study_id,
        view.path,
        dropped,
        tuple(mark.text or "?" for mark in cleaned.masked),
        tuple(mark.text for mark in cleaned.kept),
        len(cleaned.left),
        len(cleaned.residual),
    )
    return check, [
        Tile(_as_tile(image), f"{file.name}\n{view.position}"),
        Tile(_as_tile(cleaned.image), _say(check, cleaned)),
    ]


def _say(check: Check, cleaned: Cleaned) -> str:
    lines = [f"would be dropped: {', '.join(check.dropped)}" if check.dropped else "stays"]
    if check.masked:
        lines.append(f"masked {len(check.masked)}" + ("" if cleaned.was_read else " (not read)"))
    if check.kept:
        lines.append(f"kept {' '.join(check.kept)}")
    if check.left:
        lines.append(f"{check.left} left unmasked")
    if check.residual:
        lines.append(f"{check.residual} still found")
    return "\n".join(lines)


def _as_tile(image: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(image, 0, 1), np.float32)
