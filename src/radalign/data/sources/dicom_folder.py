"""Any tree of DICOM files, grouped into studies by what their headers say.

folder/**/*            files of any name; what is not DICOM is passed over, unless its suffix says that it is
--report-files         a folder of text files named after the accession number or the study's UID (optional)
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from radalign.data.exclusions import ExclusionFlow
from radalign.data.image_checker import ImageChecker
from radalign.data.sources.dicom_header import Facts, header_facts
from radalign.data.sources.files import walk
from radalign.data.sources.rows import ImageRow, studies_from_rows
from radalign.data.sources.source import Source, SourceError, SourceOptions
from radalign.images.errors import ImageError
from radalign.reports.sections import parse_report
from radalign.study import Report, Study, View

LAYOUT = "a folder of DICOM files, in any tree"
RADIOGRAPHS = frozenset({"CR", "DX", "RG", "DR"})
# Archives name files `CR.1.2.840.1` or `IMG0001.img`, so every file is looked at but known other kinds.
_OTHER_KINDS = frozenset(
    {
        ".txt", ".xml", ".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".csv", ".tsv", ".json",
        ".pdf", ".html", ".htm", ".css", ".js", ".md", ".log", ".ini", ".inf", ".exe", ".dll", ".zip", ".gz",
        ".tgz", ".tar", ".7z", ".rar", ".db", ".xlsx", ".xls", ".docx", ".doc", ".py", ".parquet",
    }
)  # fmt: skip
_DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".dc3"})


def read(folder: Path, flow: ExclusionFlow, options: SourceOptions) -> Iterator[Study]:
    """Yield one study per StudyInstanceUID, in the order of the tree.

    Args:
        folder: Where to look.
        flow: Counts broken headers, other modalities, raw images, repeated images and bad dates. Of copies
            of one image the first that can be read is kept.
        options: `reports` is a folder of text files; `part=any` takes every modality.

    Raises:
        SourceError: If the folder holds no file that could be DICOM.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder} is not a folder; give {LAYOUT}.")
    if options.part not in ("", "any"):
        raise SourceError(f"A DICOM folder has no part {options.part!r}; --part any takes every modality.")
    yield from studies_from_rows(_rows(folder, flow, options), flow)


def _rows(folder: Path, flow: ExclusionFlow, options: SourceOptions) -> Iterator[ImageRow]:
    copies: dict[str, list[tuple[str, Facts]]] = {}
    for path in _files(folder):
        name = path.relative_to(folder).as_posix()
        facts = _facts(path, name, flow)
        if facts is None:
            continue
        if reason := _unusable(facts, options.part == "any"):
            flow.reject(reason, images=1, example=name)
        else:
            copies.setdefault(facts.instance_uid or name, []).append((name, facts))
    with ImageChecker() as checker:
        for found in copies.values():
            name, facts = _first_readable(found, folder, checker, flow)
            yield _image_row(name, facts, options.reports, flow)


def _files(folder: Path) -> Iterator[Path]:
    for place, names in walk(folder):
        for name in names:
            if os.path.splitext(name)[1].lower() not in _OTHER_KINDS and not name.startswith("."):
                yield Path(place) / name


def _facts(path: Path, name: str, flow: ExclusionFlow) -> Facts | None:
    """A file's facts; None when it is not DICOM or broken, which is counted where an image is lost by it."""
    from radalign.images.dicom import read_header
    from radalign.images.read import is_dicom

    try:
        with path.open("rb") as file:
            head = file.read(132)
        if is_dicom(head):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pydicom warns of values that the facts leave out
                header = read_header(path)
            return header_facts(header)
    except (ImageError, OSError, ValueError) as error:
        flow.reject("header cannot be read", images=1, example=f"{name}: {error}")
        return None
    if path.suffix.lower() in _DICOM_SUFFIXES:
        flow.reject("file is not DICOM", images=1, example=name if head else f"{name} is empty (0 bytes)")
    elif not head:
        flow.reject("file is empty", images=1, example=name)
    return None


def _unusable(facts: Facts, any_modality: bool) -> str:
    if not facts.height_px:
        return f"DICOM without an image ({facts.modality or 'no modality'})"
    if not any_modality and facts.modality not in RADIOGRAPHS:
        return f"modality {facts.modality or 'unknown'} is not a radiograph"
    if facts.for_processing:
        return "raw image (for processing)"
    return "" if facts.study_uid else "header names no study"


def _first_readable(
    found: list[tuple[str, Facts]], folder: Path, checker: ImageChecker, flow: ExclusionFlow
) -> tuple[str, Facts]:
    """Of files with one SOP Instance UID the first that decodes: a cut-off copy must not stand for it."""
    good = (one for one in found if checker.check(one[0], folder).fault is None)
    kept = next(good, found[0]) if len(found) > 1 else found[0]
    for name, _ in found:
        if name != kept[0]:
            flow.reject("same image twice (SOP Instance UID)", images=1, example=f"{name}, kept {kept[0]}")
    return kept


def _image_row(name: str, facts: Facts, reports: Path | None, flow: ExclusionFlow) -> ImageRow:
    if facts.bad_date:
        reason = "time cannot be read, day kept" if facts.date else "date cannot be read, kept without"
        flow.note(reason, images=1, example=f"{name}: {facts.bad_date}", of=name)
    if not facts.patient_id:
        reason = "header names no patient: the study counts as its own"
        flow.note(reason, images=1, example=name, of=name)
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


SOURCE = Source("dicom_folder", "Any tree of DICOM radiographs", LAYOUT, read, takes=("part", "report-files"))
