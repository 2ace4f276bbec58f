"""Put a manifest's studies into an index: embed what is new or changed, keep the rest.

Manifest ── content hash ──> unchanged: kept
                             new, changed: embedded in batches ── Index.replace, a few at a time
                             not embeddable: counted with the reason
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from radalign.data.read_slots import has_view
from radalign.data.report_text import report_text
from radalign.search.engines.durable import hash_file
from radalign.search.errors import SearchError
from radalign.search.index import Index
from radalign.search.rows import row_of
from radalign.study import Manifest, Study, View

if TYPE_CHECKING:
    from radalign.systems.recipe import Recipe

Progress = Callable[[Iterable[Any], str], Iterable[Any]]


class Embedder(Protocol):
    """What an index asks of a system."""

    recipe: Recipe

    @property
    def identity(self) -> str:
        """SHA-256 over what decides an embedding."""

    @property
    def width(self) -> int:
        """E."""

    def embed_studies(self, studies: Iterable[Study], manifest: Manifest | None = None) -> np.ndarray:
        """Embed the images of studies, float32 [N, E], L2-normalised."""

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Embed texts, float32 [N, E], L2-normalised."""


@dataclass(frozen=True)
class BuildReport:
    """What became of the studies of a manifest.

    Args:
        added: New in the index.
        replaced: There before, with other content.
        unchanged: There before with the same content; not embedded again.
        pruned: Deleted because the manifest does not hold them.
        skipped: Study id to the reason why it could not be embedded.
        total: Studies in the index now.
        reports: How many of them have a report vector.
    """

    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    pruned: int = 0
    skipped: tuple[tuple[str, str], ...] = ()
    total: int = 0
    reports: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The counts and the skipped studies as plain values, for JSON."""
        return asdict(self) | {"skipped": dict(self.skipped)}

    def to_text(self) -> str:
        """The counts as sentences.

        >>> print(BuildReport(added=2, total=5, reports=4).to_text())
        Added 2, replaced 0, unchanged 0, pruned 0, skipped 0. The index holds 5 studies, 4 with a report.
        """
        head = (
            f"Added {self.added}, replaced {self.replaced}, unchanged {self.unchanged}, "
            f"pruned {self.pruned}, skipped {len(self.skipped)}. "
            f"The index holds {self.total} studies, {self.reports} with a report."
        )
        return "\n".join([head, *(f"  skipped {study}: {reason}" for study, reason in self.skipped[:20])])


def build_index(
    system: Embedder,
    manifest: Manifest,
    folder: str | Path,
    *,
    split: str | None = None,
    system_folder: str = "",
    dtype: str = "float32",
    prune: bool = False,
    studies_per_write: int = 64,
    progress: Progress | None = None,
) -> BuildReport:
    """Bring an index up to date with a manifest; a run that was stopped goes on where it was.

    Args:
        system: Embeds studies and reports.
        manifest: Studies; also where priors are looked up.
        folder: The index; made if there is none.
        split: Only this split.
        system_folder: Where the system can be loaded from, stored for `radalign search`.
        dtype: Of a new index: `float32` or `float16`.
        prune: Delete studies that the chosen part of the manifest does not hold.
        studies_per_write: What a crash can lose at most.
        progress: Wraps loops, for a progress bar.

    Raises:
        SearchError: If there is no such study, or none of them can be embedded.
        OtherSystem: If another system made the index.
    """
    chosen = _chosen(manifest, split)
    index = _open_or_create(system, Path(folder), system_folder, dtype)
    show = progress or (lambda items, title: items)
    with index.writing():
        hashes = _hashes(chosen, manifest, show)
        pending, report = _compare(index, chosen, hashes)
        pieces = [pending[i : i + studies_per_write] for i in range(0, len(pending), studies_per_write)]
        for piece in show(pieces, "Embedding studies"):
            report = _write(index, system, manifest, piece, hashes, report)
        if prune:
            report = _prune(index, chosen, report)
    if chosen and len(report.skipped) == len(chosen):
        raise SearchError(
            f"None of the {len(chosen)} studies could be embedded; the first, {report.skipped[0][0]!r}: "
            f"{report.skipped[0][1]} Check the manifest with `radalign data show`."
        )
    return replace(report, total=len(index), reports=index.report_count)


def content_sha256(study: Study, manifest: Manifest, file_hash: Callable[[Path], str] = hash_file) -> str:
    """Hash of all that decides a study's row and vectors: its fields, its images and its prior's images."""
    prior = manifest.prior(study)
    views = [*study.views, *(prior.views if prior else ())]
    images = [_image_hash(manifest.image_path(view), file_hash) for view in views]
    prior_views = [asdict(view) for view in (prior.views if prior else ())]
    content = [asdict(study), prior_views, images, str(manifest.root.absolute())]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=dict).encode()).hexdigest()


def _image_hash(path: Path, file_hash: Callable[[Path], str]) -> str:
    return file_hash(path) if path.is_file() else ""


def _chosen(manifest: Manifest, split: str | None) -> list[Study]:
    chosen = list(manifest.where(split=split))
    if not chosen:
        held = ", ".join(
            f"{name or 'no split'}: {n}" for name, n in Counter(s.split for s in manifest).items()
        )
        raise SearchError(
            f"The manifest holds no study of the split {split!r} ({held or 'it is empty'}); "
            "choose another split."
        )
    return chosen


def _open_or_create(system: Embedder, folder: Path, system_folder: str, dtype: str) -> Index:
    from radalign.search.engines.state import STATE_FILE

    name = system.recipe.name
    if (folder / STATE_FILE).exists():
        index = Index.open(folder)
        index.require(system.identity, name)
        return index
    return Index.create(
        folder, system.identity, system.width, name=name, system_folder=system_folder, dtype=dtype
    )


def _hashes(chosen: Sequence[Study], manifest: Manifest, show: Progress) -> dict[str, str]:
    return {s.id: content_sha256(s, manifest) for s in show(chosen, "Looking for changes")}


def _compare(
    index: Index, chosen: Sequence[Study], hashes: dict[str, str]
) -> tuple[list[Study], BuildReport]:
    table = index.table()
    columns = (table.column(name).to_pylist() for name in ("study_id", "content_sha256"))
    known = dict(zip(*columns, strict=True))
    pending = [s for s in chosen if known.get(s.id) != hashes[s.id]]
    return pending, BuildReport(unchanged=len(chosen) - len(pending))


def _write(
    index: Index,
    system: Embedder,
    manifest: Manifest,
    studies: Sequence[Study],
    hashes: dict[str, str],
    report: BuildReport,
) -> BuildReport:
    vectors, skipped = _embed(system, studies, manifest)
    kept = [s for s in studies if s.id in vectors]
    texts = [report_text(s.report, system.recipe.data.text) for s in kept]
    told = np.array([bool(t.strip()) for t in texts], bool)
    reports = np.zeros((len(kept), system.width), np.float32)
    if told.any():
        reports[told] = system.embed_texts([t for t, has in zip(texts, told, strict=True) if has])
    replaced = 0
    if kept:
        replaced = index.replace(
            [s.id for s in kept],
            np.stack([vectors[s.id] for s in kept]),
            [row_of(s, manifest, hashes[s.id]) for s in kept],
            report_vectors=reports,
            report_mask=told,
            identity=system.identity,
        )
    return replace(
        report,
        added=report.added + len(kept) - replaced,
        replaced=report.replaced + replaced,
        skipped=(*report.skipped, *skipped),
    )


def _embed(
    system: Embedder, studies: Sequence[Study], manifest: Manifest
) -> tuple[dict[str, np.ndarray], list[tuple[str, str]]]:
    """Vectors by study id, and the studies that have none with the reason."""
    usable = [s for s in studies if has_view(s, manifest, system.recipe.data)]
    reason = "no view fits a slot of the system."
    skipped = [(s.id, reason) for s in studies if not has_view(s, manifest, system.recipe.data)]
    try:
        return dict(zip((s.id for s in usable), system.embed_studies(usable, manifest), strict=True)), skipped
    except (ValueError, OSError) as error:
        if len(usable) == 1:
            return {}, [*skipped, (usable[0].id, str(error))]
    vectors: dict[str, np.ndarray] = {}
    for study in usable:  # one of them cannot be read: find out which
        own, failed = _embed(system, [study], manifest)
        vectors |= own
        skipped += failed
    return vectors, skipped


def _prune(index: Index, chosen: Sequence[Study], report: BuildReport) -> BuildReport:
    wanted = {s.id for s in chosen}
    gone = [i for i in index.table().column("study_id").to_pylist() if i not in wanted]
    index.delete(gone)
    return replace(report, pruned=len(gone))


def query_study(paths: Sequence[tuple[Path, str]]) -> tuple[Study, Manifest]:
    """A study made of image files and their positions, to ask an index with."""
    study = Study("query", "query", tuple(View(str(path.absolute()), position) for path, position in paths))
    return study, Manifest([study], "/")
