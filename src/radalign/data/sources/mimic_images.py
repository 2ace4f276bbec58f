"""The images of MIMIC-CXR: one row per image, from the JPG set's metadata or from the DICOM headers.

MIMIC-CXR-JPG ships a table with the view and date of every image. MIMIC-CXR, the DICOM set, ships only the
list `cxr-record-list.csv.gz`; there the same facts are read from the headers, some milliseconds per image.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from radalign.data.exclusions import ExclusionFlow
from radalign.data.sources.csv_rows import Row, read_csv
from radalign.data.sources.dicom_header import read_facts
from radalign.data.sources.files import IMAGE_SUFFIXES, find_file, walk
from radalign.data.sources.source import SourceError

NEEDS = ("dicom_id", "subject_id", "study_id", "ViewPosition", "StudyDate", "StudyTime")
_METADATA = ("mimic-cxr-*metadata.csv.gz", "mimic-cxr-*metadata.csv")
_RECORDS = ("cxr-record-list.csv.gz", "cxr-record-list.csv")


def image_rows(folder: Path, root: Path, suffix: str, flow: ExclusionFlow) -> Iterator[Row]:
    """One row per image, in the metadata's columns.

    Args:
        folder: Where the tables are.
        root: Where `files/` is.
        suffix: Of the image files.
        flow: Counts broken rows and headers.

    Raises:
        SourceError: If neither table is there, or both are one folder further in.
    """
    table = find_file(folder, (*_METADATA, *_RECORDS))
    if table is None:
        raise SourceError(
            f"The metadata is not in {folder}: no file {' or '.join(_METADATA)} (it comes with "
            "MIMIC-CXR-JPG), nor the DICOM set's cxr-record-list.csv.gz. Fetch one, or check the folder."
        )
    inner = table.parent
    if root == folder != inner and not (folder / "files").is_dir() and (inner / "files").is_dir():
        raise SourceError(f"{folder} is too high: the tables and files/ are in {inner}; give that folder.")
    if table.name.startswith("mimic-cxr-"):
        yield from read_csv(table, flow, NEEDS)
        return
    for row in read_csv(table, flow, NEEDS[:3]):
        yield from _from_header(row, root, suffix, flow)


def image_path(row: Row, suffix: str) -> str:
    """Where an image is below the root.

    >>> image_path({"subject_id": "10000032", "study_id": "50414267", "dicom_id": "02aa"}, ".jpg")
    'files/p10/p10000032/s50414267/02aa.jpg'
    """
    subject, study = row["subject_id"], row["study_id"]
    return f"files/p{subject[:2]}/p{subject}/s{study}/{row['dicom_id']}{suffix}"


def image_suffix(root: Path) -> str:
    """The suffix of the first image below `files/`, as it is written there; `.jpg` when there is none."""
    for _, names in walk(root / "files"):
        for name in names:
            suffix = os.path.splitext(name)[1]
            if suffix.lower() in IMAGE_SUFFIXES:
                return suffix
    return ".jpg"


def _from_header(row: Row, root: Path, suffix: str, flow: ExclusionFlow) -> Iterator[Row]:
    facts = read_facts(root / image_path(row, suffix))
    if facts.fault:
        flow.reject("header cannot be read", images=1, example=facts.fault)
        return
    if facts.bad_date:
        what = f"s{row['study_id']}: {facts.bad_date}"
        reason = "time cannot be read, day kept" if facts.date else "date cannot be read, kept without"
        flow.note(reason, studies=1, example=what, of=row["study_id"])
    yield {name: row[name] for name in NEEDS[:3]} | {
        "ViewPosition": facts.position,
        "StudyDate": facts.date,
        "StudyTime": "",
        "Rows": str(facts.height_px),
        "Columns": str(facts.width_px),
        "PerformedProcedureStepDescription": facts.description,
    }
