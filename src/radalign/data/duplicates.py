"""Copies of one image: harmless within a patient, a leak between splits.

fingerprints ──> near pairs ──> Copy ── same study, same patient: noted
├── two patients: noted, and split together
└── two splits:   LeakError, with the pairs listed
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from radalign.data.checking import Progress, check_images
from radalign.data.exclusions import ExclusionFlow
from radalign.images.fingerprint import SAME_IMAGE_BITS, near_pairs
from radalign.study import Manifest, Study

_LISTED = 10


class LeakError(ValueError):
    """Copies of an image are in two splits; the message lists them."""


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
    split_of = {study.id: study.split for study in studies}
    leaks = [copy for copy in copies if split_of[copy.studies[0]] != split_of[copy.studies[1]]]
    if leaks:
        listed = "; ".join(str(copy) for copy in leaks[:_LISTED])
        more = f"; and {len(leaks) - _LISTED} more" if len(leaks) > _LISTED else ""
        raise LeakError(
            f"{len(leaks)} images have a copy in another split: {listed}{more}. "
            "Import again with --split 70/10/20, which keeps them together."
        )


def manifest_copies(
    manifest: Manifest, most_bits: int = SAME_IMAGE_BITS, workers: int = 1, progress: Progress | None = None
) -> list[Copy]:
    """Decode every image of a manifest and find the copies."""
    flow = ExclusionFlow("manifest")
    studies, checks = check_images(manifest, manifest.root, flow, "decode", workers, progress)
    return find_copies(studies, {path: seen.fingerprint for path, seen in checks.items()}, most_bits)


def _copy(one: tuple[str, str, str], other: tuple[str, str, str], bits: int) -> Copy:
    return Copy((one[0], other[0]), (one[1], other[1]), (one[2], other[2]), bits)
