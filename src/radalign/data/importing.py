"""Importing a source: read, check, link priors, split, count - one way for every source.

source ──> duplicate ids ──> images there and readable? ──> report there? ──> priors ──> split ──> Manifest
                 └──────────────────┴─────── every loss counted in the ExclusionFlow ───────┘
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal, cast

from radalign.data.checking import Progress, check_images
from radalign.data.duplicates import Copy, LeakError, find_copies, note_copies, refuse_leaks
from radalign.data.exclusions import ExclusionFlow
from radalign.data.image_check import ImageCheck
from radalign.data.own_split import keep_own_split, refuse_unknown_words
from radalign.data.positions import guess_positions
from radalign.data.priors import link_priors
from radalign.data.quality_filter import filter_quality
from radalign.data.sources import find_source
from radalign.data.sources.source import Check, Source, SourceError, SourceOptions, refuse_useless
from radalign.data.split import DEFAULT_SHARES, parse_shares, split_studies
from radalign.study import Manifest, Study

Reports = Literal["auto", "need", "keep"]
Positions = Literal["auto", "guess", "keep"]
Quality = Literal["keep", "note", "drop"]
NOT_DECODED = "not decoded: copies and damage not looked for; run `radalign data copies`"


@dataclass(frozen=True)
class ImportSettings:
    """What a user decides about an import.

    Args:
        split: `auto` (the source's own, else 70/10/20 by patient), `none`, or shares such as `70/10/20`.
        seed: Seed of the split.
        reports: `need` leaves out studies whose report says nothing of the images, unless they are the prior
            of one that is kept; `keep` keeps them; `auto` needs reports when the source has any.
        positions: `guess` fills view positions that are not recorded from the pixels, `keep` leaves them
            empty; `auto` guesses for sources that never record them.
        check: How thoroughly to check images; None = the source's default.
        quality: `drop` leaves out images that the quality filter finds blurred, overexposed, turned, ...;
            `note` only counts them; `keep` does not look. Needs decoding.
        workers: Processes that decode.
        options: What only some sources use.
    """

    split: str = "auto"
    seed: int = 0
    reports: Reports = "auto"
    positions: Positions = "auto"
    check: Check | None = None
    quality: Quality = "keep"
    workers: int = 1
    options: SourceOptions = field(default_factory=SourceOptions)


def import_source(
    name: str, folder: str | Path, settings: ImportSettings | None = None, progress: Progress | None = None
) -> tuple[Manifest, ExclusionFlow]:
    """Read a public data set from its distributor's files.

    Args:
        name: A source, see `radalign.data.sources.SOURCES`.
        folder: Its folder (or table).
        settings: What to keep, how to split.
        progress: Wraps the loops over studies and over images, for a progress bar.

    Returns:
        The manifest (not yet written) and the exclusion flow.

    Raises:
        SourceError: If the folder is not laid out as expected, or nothing usable is in it.
        LeakError: If the source's own split has copies of one image in two parts.
    """
    settings, source, folder = settings or ImportSettings(), find_source(name), Path(folder)
    if not folder.exists():
        raise SourceError(f"There is nothing at {folder}; give {source.layout}.")
    if folder.is_file() and not source.from_file:
        home = folder.absolute().parent
        raise SourceError(f"{folder} is a file; give its folder, {home}: {source.layout}.")
    refuse_useless(source, settings.options)
    flow = ExclusionFlow(source.name if source.name != "table" else f"table {folder.stem}")
    root = source.root(folder, settings.options)
    read = source.read(folder, flow, settings.options)
    studies: Iterable[Study] = _unique(progress(read, "Reading studies") if progress else read, flow)
    measured = settings.quality != "keep"
    check = settings.check or ("decode" if measured else source.check)
    if measured and check != "decode":
        raise SourceError(f"--quality {settings.quality} looks at the pixels; use it with --check decode.")
    studies, seen = check_images(studies, root, flow, check, settings.workers, progress, measured)
    studies = _place_views(studies, seen, settings, source, flow)
    studies = filter_quality(studies, seen, settings.quality == "drop", flow) if measured else studies
    studies = _with_reports(_link(studies, source, flow), settings.reports, flow)
    copies = find_copies(studies, {path: image.fingerprint for path, image in seen.items()})
    note_copies(copies, flow)
    studies = _split(studies, settings, copies, flow)
    refuse_leaks(studies, copies)
    flow.keep(studies)
    if not studies:
        raise SourceError(_nothing(folder, source, flow))
    _note_views(studies, flow)
    if check != "decode":
        flow.note(NOT_DECODED, images=flow.images_kept)
    return Manifest(studies, root), flow


def _unique(studies: Iterable[Study], flow: ExclusionFlow) -> Iterable[Study]:
    seen: set[str] = set()
    for study in studies:
        if study.id in seen:
            flow.drop("study id occurs twice", images=len(study.views), studies=1, example=study.id)
        else:
            seen.add(study.id)
            yield study


def _place_views(
    studies: list[Study],
    seen: dict[str, ImageCheck],
    settings: ImportSettings,
    source: Source,
    flow: ExclusionFlow,
) -> list[Study]:
    if settings.positions == "keep" or (settings.positions == "auto" and not source.without_positions):
        return studies
    scores = {path: image.frontal for path, image in seen.items() if image.frontal is not None}
    return guess_positions(studies, scores, flow)


def _link(studies: list[Study], source: Source, flow: ExclusionFlow) -> list[Study]:
    if not any(study.prior_study_id for study in studies):
        return link_priors(studies, source.order)
    return _forget_lost_priors(studies, flow)


def _with_reports(studies: list[Study], reports: Reports, flow: ExclusionFlow) -> list[Study]:
    empty = {study.id for study in studies if not study.report.body}
    if reports == "keep" or (reports == "auto" and len(empty) == len(studies)):
        _note(studies, empty, "without a report", flow)
        return studies
    priors = {study.prior_study_id for study in studies if study.id not in empty}
    _note(studies, empty & priors, "without a report, kept as a prior", flow)
    left_out = empty - priors
    for study in studies:
        if study.id in left_out:
            flow.drop("report says nothing of the images", len(study.views), 1, study.id)
    return _forget_lost_priors([study for study in studies if study.id not in left_out], flow)


def _note(studies: list[Study], names: set[str], reason: str, flow: ExclusionFlow) -> None:
    for study in studies:
        if study.id in names:
            flow.note(reason, len(study.views), 1, study.id, of=study.id)


def _forget_lost_priors(studies: list[Study], flow: ExclusionFlow) -> list[Study]:
    kept = {study.id for study in studies}
    lost = {s.id for s in studies if s.prior_study_id and s.prior_study_id not in kept}
    _note(studies, lost, "prior was left out", flow)
    return [replace(study, prior_study_id="") if study.id in lost else study for study in studies]


def _split(
    studies: list[Study], settings: ImportSettings, copies: list[Copy], flow: ExclusionFlow
) -> list[Study]:
    if settings.split == "none":
        return [replace(study, split="") if study.split else study for study in studies]
    if settings.split == "auto" and any(study.split for study in studies):
        return keep_own_split(studies, flow)
    if settings.split == "auto":
        refuse_unknown_words(flow)
    shares = DEFAULT_SHARES if settings.split == "auto" else parse_shares(settings.split)
    return split_studies(studies, shares, settings.seed, together=[copy.patients for copy in copies])


def _note_views(studies: list[Study], flow: ExclusionFlow) -> None:
    for study in studies:
        unknown = sum(not view.position for view in study.views)
        if unknown:
            flow.note("view without a position", images=unknown, example=study.id)
        elif study.frontal is None:
            flow.note("study with only a lateral", studies=1, example=study.id)


def _nothing(folder: Path, source: Source, flow: ExclusionFlow) -> str:
    if not flow.dropped:
        return f"{folder} holds nothing that {source.name} can import; it expects {source.layout}."
    return (
        f"Nothing in {folder} can be used: {flow.main_reasons()}. "
        f"Check the folder; {source.name} expects {source.layout}."
    )


def parse_settings(
    split: str,
    seed: int,
    reports: str,
    positions: str,
    check: str,
    quality: str,
    workers: int,
    images: Path | None,
    report_files: Path | None,
    columns: Iterable[str],
    labels: str,
    part: str,
) -> ImportSettings:
    """Settings from what a user typed.

    Raises:
        SourceError: If a choice is not one of those offered, or a column is not written as role=NAME.
    """
    _choose("--reports", reports, ("auto", "need", "keep"))
    _choose("--positions", positions, ("auto", "guess", "keep"))
    _choose("--quality", quality, ("keep", "note", "drop"))
    _choose("--check", check, ("auto", "decode", "exists", "none"))
    pairs = [column.partition("=") for column in columns]
    for role, equals, name in pairs:
        if not (role and equals and name):
            raise SourceError(f"--column {role!r} is not role=NAME; write for example --column image=Path.")
    options = SourceOptions(images, report_files, labels, {role: name for role, _, name in pairs}, part)
    return ImportSettings(
        split=split,
        seed=seed,
        reports=cast(Reports, reports),
        positions=cast(Positions, positions),
        check=None if check == "auto" else cast(Check, check),
        quality=cast(Quality, quality),
        workers=workers or os.cpu_count() or 1,
        options=options,
    )


def check_out(out: Path) -> None:
    """Refuse a place that no manifest can be written to, before hours are spent on making it.

    Raises:
        SourceError: If it is a folder.
    """
    if out.is_dir():
        raise SourceError(f"--out {out} is a folder; name the manifest in it: {out / 'manifest.parquet'}.")


def write_import(manifest: Manifest, flow: ExclusionFlow, out: str | Path) -> Path:
    """Write the manifest, and the exclusion flow beside it; returns the path of the flow's page."""
    manifest.write(out)
    page, _ = flow.write_beside(Path(out))
    return page


def write_leaks(error: LeakError, out: str | Path) -> Path:
    """Write every pair of a refused import as JSON where the manifest would have been; returns the path."""
    path = Path(out).with_name(Path(out).name + ".leaks.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    pairs = [asdict(copy) for copy in error.copies]
    path.write_text(json.dumps(pairs, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _choose(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise SourceError(f"{option} {value!r} is not one of {', '.join(choices)}; choose one of them.")
