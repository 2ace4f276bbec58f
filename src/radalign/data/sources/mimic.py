"""MIMIC-CXR-JPG and MIMIC-CXR (DICOM), from PhysioNet's own files.

    folder/
      mimic-cxr-2.0.0-metadata.csv.gz   view and date of each image      (both distributions need it)
      mimic-cxr-2.0.0-split.csv.gz      the official split               (optional)
      mimic-cxr-2.0.0-chexpert.csv.gz   labels, or -negbio               (optional)
      mimic-cxr-reports.zip             reports, or their tree           (optional)
      files/p10/p10000032/s50414267/02aa804e-....jpg or .dcm

Priors follow StudyDate and StudyTime.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from sys import intern

from radalign.data.dates import parse_date_or_day
from radalign.data.exclusions import ExclusionFlow
from radalign.data.sources.csv_rows import Row, read_csv, whole
from radalign.data.sources.files import find_file, need_file
from radalign.data.sources.labels import CHEXPERT, row_labels
from radalign.data.sources.mimic_reports import ReportShelf, find_reports
from radalign.data.sources.source import Source, SourceError, SourceOptions
from radalign.reports.sections import parse_report
from radalign.study import Report, Study, View, parse_position

LAYOUT = "a folder with mimic-cxr-2.0.0-metadata.csv.gz, files/p10/... and mimic-cxr-reports.zip"
LABELLERS = ("chexpert", "negbio", "none")
_NEEDS = ("dicom_id", "subject_id", "study_id", "ViewPosition", "StudyDate", "StudyTime")
_SPLITS = {"train": "train", "validate": "validate", "test": "test"}


def read(folder: Path, flow: ExclusionFlow, options: SourceOptions) -> Iterator[Study]:
    """Yield one study per study id, in order of the metadata file.

    Args:
        folder: The distribution's folder.
        flow: Counts bad dates and missing reports.
        options: `labels` is `chexpert` (default), `negbio` or `none`; `reports` a folder or zip; `images`
            where `files/` is.

    Raises:
        SourceError: If the metadata file is missing or the labeller is unknown.
    """
    metadata = need_file(folder, ["mimic-cxr-*metadata.csv.gz", "mimic-cxr-*metadata.csv"], "The metadata")
    shelf = ReportShelf(find_reports(folder, options.reports))
    labels, splits = _labels(folder, options.labels), _splits(folder)
    groups: dict[str, list[Row]] = {}
    for row in read_csv(metadata, flow, _NEEDS):
        groups.setdefault(row["study_id"], []).append(
            {name: intern(row[name]) for name in _KEPT if name in row}
        )
    suffix = _image_suffix(options.images or folder, groups)
    for study_id, rows in groups.items():
        flow.found(images=len(rows), studies=1)
        yield _study(study_id, rows, suffix, shelf, labels.get(study_id, {}), splits, flow)


_KEPT = (*_NEEDS, "Rows", "Columns", "ViewCodeSequence_CodeMeaning", "PerformedProcedureStepDescription")


def _study(
    study_id: str,
    rows: list[Row],
    suffix: str,
    shelf: ReportShelf,
    labels: Mapping[str, int],
    splits: Mapping[str, str],
    flow: ExclusionFlow,
) -> Study:
    first = rows[0]
    subject = first["subject_id"]
    return Study(
        id=study_id,
        patient_id=subject,
        views=tuple(_view(row, suffix) for row in rows),
        report=_report(shelf, subject, study_id, flow),
        labels=labels,
        split=splits.get(first["dicom_id"], ""),
        date=_date(first, flow),
        source="MIMIC-CXR",
        licence="PhysioNet Credentialed Health Data License 1.5.0",
        extra=_extra(first),
    )


def _view(row: Row, suffix: str) -> View:
    subject, study = row["subject_id"], row["study_id"]
    path = f"files/p{subject[:2]}/p{subject}/s{study}/{row['dicom_id']}{suffix}"
    # 15 of 100 images have no ViewPosition; the code's meaning often still says it.
    position = parse_position(row["ViewPosition"]) or parse_position(
        row.get("ViewCodeSequence_CodeMeaning", "")
    )
    width, height = (whole(row.get(side, "")) for side in ("Columns", "Rows"))
    return View(path, position, row["dicom_id"], width, height)


def _report(shelf: ReportShelf, subject: str, study_id: str, flow: ExclusionFlow) -> Report:
    text = shelf.text(subject, study_id)
    if text is None:
        flow.note("report file is missing", studies=1, example=f"s{study_id}.txt", of=study_id)
        return Report()
    return parse_report(text)


def _date(row: Row, flow: ExclusionFlow) -> str:
    date, fault = parse_date_or_day(row["StudyDate"], row["StudyTime"])
    if fault:
        reason = "time cannot be read, day kept" if date else "date cannot be read, kept without"
        study = row["study_id"]
        flow.note(reason, studies=1, example=f"s{study}: {fault}", of=study)
    return date


def _extra(row: Row) -> dict[str, str]:
    procedure = row.get("PerformedProcedureStepDescription", "")
    return {"procedure": procedure} if procedure else {}


def _labels(folder: Path, labeller: str) -> dict[str, dict[str, int]]:
    labeller = labeller or "chexpert"
    if labeller not in LABELLERS:
        raise SourceError(f"There is no labeller {labeller!r}; choose one of {', '.join(LABELLERS)}.")
    path = find_file(folder, [f"mimic-cxr-*{labeller}.csv.gz", f"mimic-cxr-*{labeller}.csv"])
    if path is None or labeller == "none":
        return {}
    return {row["study_id"]: row_labels(row, CHEXPERT) for row in read_csv(path, needs=["study_id"])}


def _splits(folder: Path) -> dict[str, str]:
    path = find_file(folder, ["mimic-cxr-*split.csv.gz", "mimic-cxr-*split.csv"])
    if path is None:
        return {}
    return {
        row["dicom_id"]: _SPLITS.get(row["split"], "") for row in read_csv(path, needs=["dicom_id", "split"])
    }


def _image_suffix(root: Path, groups: Mapping[str, list[Row]]) -> str:
    """`.dcm` when the first images that are there are DICOM, else `.jpg`."""
    for rows in list(groups.values())[:200]:
        for suffix in (".jpg", ".dcm", ".png"):
            if (root / _view(rows[0], suffix).path).is_file():
                return suffix
    return ".jpg"


SOURCE = Source("mimic", "MIMIC-CXR-JPG or MIMIC-CXR with reports", LAYOUT, read, check="exists")
