"""One visit to an index: delete, bring up to date with a manifest, compact, verify; in that order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radalign.search.build import BuildReport, Progress, build_index
from radalign.search.errors import SearchError
from radalign.search.index import Index
from radalign.study import Manifest


@dataclass(frozen=True)
class Changes:
    """What is asked of an index.

    Args:
        run: The trained system, needed with `data`.
        data: A manifest.
        split: Only this split of it.
        delete: Studies to delete.
        prune: Delete studies that the manifest does not hold.
        half: Store the vectors of a new index in 16 bits.
        compact: Rewrite the files without what was deleted.
        verify: Check every byte.

    Raises:
        SearchError: If nothing is asked, or one of `run` and `data` lacks the other.
    """

    run: Path | None = None
    data: Path | None = None
    split: str | None = None
    delete: tuple[str, ...] = ()
    prune: bool = False
    half: bool = False
    compact: bool = False
    verify: bool = False

    def __post_init__(self) -> None:
        if (self.run is None) != (self.data is None):
            raise SearchError(
                "Studies need a trained system and a manifest: radalign index RUN --data MANIFEST."
            )
        if self.data is None and (self.prune or self.split or self.half):
            raise SearchError(
                "--prune, --split and --half go with a manifest: radalign index RUN --data MANIFEST."
            )
        if not (self.data or self.delete or self.compact or self.verify):
            raise SearchError("Nothing to do; give RUN and --data, --delete, --compact or --verify.")


@dataclass(frozen=True)
class Visit:
    """What was done.

    Args:
        folder: The index.
        deleted: How many studies were deleted by id.
        built: What became of the manifest's studies, None without a manifest.
        compacted: Whether the files were rewritten.
        verified_bytes: How much was read and found whole, None if not asked.
        total: Studies in the index now.
    """

    folder: Path
    deleted: int
    built: BuildReport | None
    compacted: bool
    verified_bytes: int | None
    total: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        built = None if self.built is None else self.built.to_dict()
        return {
            "folder": str(self.folder),
            "deleted": self.deleted,
            "built": built,
            "compacted": self.compacted,
            "verified_bytes": self.verified_bytes,
            "total": self.total,
        }

    def to_text(self) -> str:
        """Sentences for a person."""
        lines = [f"Deleted {self.deleted}; {self.total} studies are left."] if self.deleted else []
        lines += [self.built.to_text()] if self.built else []
        lines += ["Compacted."] if self.compacted else []
        if self.verified_bytes is not None:
            lines.append(f"Verified {self.total} studies, {self.verified_bytes:,} bytes: all as written.")
        return "\n".join([*lines, f"Index: {self.folder}"])


def update_index(folder: str | Path, changes: Changes, progress: Progress | None = None) -> Visit:
    """Do what is asked, in the order delete, manifest, compact, verify.

    Raises:
        SearchError: If something cannot be done; what was done before it stays done.
    """
    folder = Path(folder)
    delete = tuple(dict.fromkeys(changes.delete))  # an id that is named twice is one study
    if delete:
        Index.open(folder).delete(delete)
    built = _build(folder, changes, progress)
    index = Index.open(folder)
    if changes.compact:
        index.compact()
    checked = index.verify() if changes.verify else None
    return Visit(folder, len(delete), built, changes.compact, checked, len(index))


def _build(folder: Path, changes: Changes, progress: Progress | None) -> BuildReport | None:
    if changes.run is None or changes.data is None:
        return None
    from radalign.systems.base import load

    manifest = Manifest.read(changes.data)
    return build_index(
        load(changes.run),
        manifest,
        folder,
        split=changes.split,
        system_folder=str(changes.run.absolute()),
        dtype="float16" if changes.half else "float32",
        prune=changes.prune,
        progress=progress,
    )
