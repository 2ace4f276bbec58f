"""Copies of one image: harmless within a patient, a leak between splits.

fingerprints ──> near pairs ──> Copy ── same study, same patient: noted
├── two patients: noted, and split together
└── two splits:   LeakError, with the pairs listed
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from radalign.data.checking import Progress, check_images
from radalign.data.exclusions import ExclusionFlow
from radalign.data.split import split_studies
from radalign.images.fingerprint import SAME_IMAGE_BITS, near_pairs
from radalign.study import Manifest, Study

_LISTED = 10


class LeakError(ValueError):
    """Copies of an image are in two splits; the message lists the first ones, `copies` has all."""

    def __init__(self, message: str, copies: Iterable[Copy] = ()) -> None:
        super().__init__(message)
        self.copies = tuple(copies)


class NotComparedError(ValueError):
    """Some images could not be read, so nobody knows whether they are copies."""


@dataclass(frozen=True)
class Copy:
    """Two images that are the same, perhaps recompressed, darkened or narrowly cropped.

    Args:
        paths: The two images.
        studies: Their studies.
        patients: Their patients.
        bits: In how many of 256 bits their fingerprints differ.
    """

    paths: tuple[str, str]
    studies: tuple[str, str]
    patients: tuple[str, str]
    bits: int

    def __str__(self) -> str:
        return f"{self.paths[0]} ({self.patients[0]}) and {self.paths[1]} ({self.patients[1]})"


@dataclass(frozen=True)
class CopySearch:
    """What looking for copies in a manifest gave.

    Args:
        copies: The pairs.
        images: How many images the manifest has.
        unread: One sentence for each image that could not be read, and so was compared with none.
        splits: Study to its split.
    """

    copies: tuple[Copy, ...]
    images: int
    unread: tuple[str, ...]
    splits: Mapping[str, str]

    def splits_of(self, copy: Copy) -> tuple[str, str]:
        """The splits of the two studies."""
        return self.splits[copy.studies[0]], self.splits[copy.studies[1]]

    @property
    def not_compared(self) -> str:
        """How many images could not be read, as a sentence with the first ones; "" when all could."""
        if not self.unread:
            return ""
        more = f"; and {len(self.unread) - _LISTED:,} more" if len(self.unread) > _LISTED else ""
        return (
            f"{len(self.unread):,} of {self.images:,} images could not be read, so copies of them were not "
            f"found: {'; '.join(self.unread[:_LISTED])}{more}. "
            "Check that the manifest's images are where it says."
        )

    def to_dict(self) -> dict[str, object]:
        """Every pair and every image that could not be read, for JSON."""
        pairs = [asdict(copy) | {"splits": self.splits_of(copy)} for copy in self.copies]
        for pair in pairs:
            pair["leak"] = pair["splits"][0] != pair["splits"][1]
        return {"images": self.images, "not_read": list(self.unread), "copies": pairs}

    def to_text(self) -> str:
        """One line per pair; those between two splits are marked."""
        lines = [self._line(copy) for copy in self.copies]
        if not lines:
            lines = ["No copies." if not self.unread else "No copies among the images that could be read."]
        return "\n".join(lines)

    def _line(self, copy: Copy) -> str:
        one, other = (split or "no split" for split in self.splits_of(copy))
        return f"{copy.bits:>4} bits  {copy}" + (f"  LEAK: {one} and {other}" if one != other else "")

    def refuse(self) -> None:
        """Refuse leaks, and images that nobody could compare.

        Raises:
            LeakError: If copies are in two splits.
            NotComparedError: If images could not be read.
        """
        try:
            _refuse(self.copies, self.splits)
        except LeakError as error:
            raise LeakError(f"{error} {self.not_compared}".rstrip(), error.copies) from None
        if self.unread:
            raise NotComparedError(self.not_compared)


def find_copies(
    studies: Iterable[Study], fingerprints: Mapping[str, bytes], most_bits: int = SAME_IMAGE_BITS
) -> list[Copy]:
    """All pairs of views with nearly the same fingerprint.

    Args:
        studies: Where the views belong.
        fingerprints: View path to fingerprint; a path without one is copied by nothing.
        most_bits: Largest difference of 256 bits.
    """
    placed = [(view.path, study.id, study.patient_id) for study in studies for view in study.views]
    pairs = near_pairs([fingerprints.get(path, b"") for path, _, _ in placed], most_bits)
    return [_copy(placed[i], placed[j], bits) for i, j, bits in pairs]


def note_copies(copies: Iterable[Copy], flow: ExclusionFlow) -> None:
    """Count copies in the exclusion flow, by whom they are of."""
    for copy in copies:
        if copy.studies[0] == copy.studies[1]:
            reason = "copy of another image of the study"
        elif copy.patients[0] == copy.patients[1]:
            reason = "copy of another image of the patient"
        else:
            reason = "copy of another patient's image, split together"
        flow.note(reason, images=1, example=str(copy))


def refuse_leaks(studies: Iterable[Study], copies: Iterable[Copy]) -> None:
    """Refuse copies of one image in two splits.

    Raises:
        LeakError: If there are any; the message lists the first ones.
    """
    _refuse(copies, {study.id: study.split for study in studies})


def _refuse(copies: Iterable[Copy], split_of: Mapping[str, str]) -> None:
    leaks = [copy for copy in copies if split_of[copy.studies[0]] != split_of[copy.studies[1]]]
    if leaks:
        listed = "; ".join(str(copy) for copy in leaks[:_LISTED])
        more = f"; and {len(leaks) - _LISTED} more" if len(leaks) > _LISTED else ""
        raise LeakError(
            f"{len(leaks)} images have a copy in another split: {listed}{more}. Import with --check decode "
            "--split 70/10/20, or use `radalign data split` on a manifest: both keep copies together.",
            leaks,
        )


def manifest_copies(
    manifest: Manifest, most_bits: int = SAME_IMAGE_BITS, workers: int = 1, progress: Progress | None = None
) -> CopySearch:
    """Decode every image of a manifest and find the copies."""
    flow = ExclusionFlow("manifest")
    studies, checks = check_images(manifest, manifest.root, flow, "decode", workers, progress)
    copies = find_copies(studies, {path: seen.fingerprint for path, seen in checks.items()}, most_bits)
    unread = tuple(f"{seen.fault[0]}: {seen.fault[1].rstrip('.')}" for seen in checks.values() if seen.fault)
    images = sum(len(study.views) for study in manifest)
    return CopySearch(tuple(copies), images, unread, {study.id: study.split for study in manifest})


def split_manifest(
    manifest: Manifest,
    shares: tuple[float, float, float],
    seed: int = 0,
    compare: bool = True,
    workers: int = 1,
    progress: Progress | None = None,
) -> tuple[Manifest, CopySearch | None]:
    """Split a manifest by patient, patients with copies of one image together.

    Args:
        manifest: Its images are decoded to find the copies.
        shares: Percent of the patients in train, validate and test.
        seed: Another seed gives another split.
        compare: False splits without looking at an image.
        workers: Processes for decoding; 1 = this one.
        progress: Wraps the loop over images, for a progress bar.

    Returns:
        The split manifest and what was found; None when the images were not compared.

    Raises:
        LeakError: If copies are in two splits all the same; then this function has a fault.
    """
    found = manifest_copies(manifest, workers=workers, progress=progress) if compare else None
    together = [copy.patients for copy in found.copies] if found else []
    done = manifest.with_studies(split_studies(manifest, shares, seed, together))
    if found:
        refuse_leaks(done, found.copies)
    return done, found


def _copy(one: tuple[str, str, str], other: tuple[str, str, str], bits: int) -> Copy:
    return Copy((one[0], other[0]), (one[1], other[1]), (one[2], other[2]), bits)
