"""Any tree of DICOM files, grouped into studies by what their headers say.

folder/**/*            files with or without a suffix; what is not DICOM is passed over
--report-files         a folder of text files named after the accession number or the study's UID (optional)
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from radalign.data.exclusions import ExclusionFlow
from radalign.data.sources.dicom_header import Facts, header_facts
from radalign.data.sources.files import walk
from radalign.data.sources.rows import ImageRow, studies_from_rows
from radalign.data.sources.source import Source, SourceError, SourceOptions
from radalign.images.errors import ImageError
from radalign.reports.sections import parse_report
from radalign.study import Report, Study, View

LAYOUT = "a folder of DICOM files, in any tree"
RADIOGRAPHS = frozenset({"CR", "DX", "RG", "DR"})
_SUFFIXES = frozenset({"", ".dcm", ".dicom", ".ima", ".dc3"})


def read(folder: Path, flow: ExclusionFlow, options: SourceOptions) -> Iterator[Study]:
    """Yield one study per StudyInstanceUID, in the order of the tree.

    Args:
        folder: Where to look.
        flow: Counts broken headers, other modalities, raw images, repeated images and bad dates.
        options: `reports` is a folder of text files; `part=any` takes every modality.

    Raises:
        SourceError: If the folder holds no file that could be DICOM.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder} is not a folder; give {LAYOUT}.")
    yield from studies_from_rows(_rows(folder, flow, options), flow)


def _rows(folder: Path, flow: ExclusionFlow, options: SourceOptions) -> Iterator[ImageRow]:
    from radalign.images.dicom import read_header
    from radalign.images.read import is_dicom

    seen: set[str] = set()
    for path in _files(folder):
        name = path.relative_to(folder).as_posix()
        try:
            with path.open("rb") as file:
                if not is_dicom(file.read(132)):
                    continue
            facts = header_facts(read_header(path))
        except (ImageError, OSError, ValueError) as error:
            flow.reject("header cannot be read", images=1, example=f"{name}: {error}")
            continue
        reason = _unusable(facts, seen, options.part == "any")
        if reason:
            flow.reject(reason, images=1, example=name)
            continue
        seen.add(facts.instance_uid)
        yield _image_row(name, facts, options.reports, flow)


def _files(folder: Path) -> Iterator[Path]:
    for place, names in walk(folder):
        for name in names:
            if os.path.splitext(name)[1].lower() in _SUFFIXES or name[:1].isdigit():
                yield Path(place) / name


def _unusable(facts: Facts, seen: set[str], any_modality: bool) -> str:
    if not facts.height_px:
        return f"DICOM without an image ({facts.modality or 'no modality'})"
    if not any_modality and facts.modality not in RADIOGRAPHS:
        return f"modality {facts.modality or 'unknown'} is not a radiograph"
    if facts.for_processing:
        return "raw image (for processing)"
    if not facts.study_uid:
        return "header names no study"
    return "same image twice (SOP Instance UID)" if facts.instance_uid in seen else ""


def _image_row(name: str, facts: Facts, reports: Path | None, flow: ExclusionFlow) -> ImageRow:
    if facts.bad_date:
        flow.note("date cannot be read, kept without", images=1, example=f"{name}: {facts.bad_date}")
    if not facts.patient_id:
        flow.note("header names no patient: the study counts as its own", images=1, example=name)
    return ImageRow(
        view=View(name, facts.position, facts.instance_uid, facts.width_px, facts.height_px),
        study_id=facts.study_uid,
        patient_id=facts.patient_id or facts.study_uid,
        report=_report(facts, reports),
        date=facts.date,
        sex=facts.sex,
        age_years=facts.age_years,
        source="DICOM",
        extra={k: v for k, v in (("accession", facts.accession), ("description", facts.description)) if v},
    )


def _report(facts: Facts, reports: Path | None) -> Report:
    for stem in (facts.accession, facts.study_uid):
        path = reports / f"{stem}.txt" if reports and stem else None
        if path is not None and path.is_file():
            return parse_report(path.read_text(encoding="utf-8", errors="replace"))
    return Report()


SOURCE = Source("dicom_folder", "Any tree of DICOM radiographs", LAYOUT, read)
