"""MIMIC-CXR-JPG and MIMIC-CXR (DICOM), from PhysioNet's own files.

    folder/
      mimic-cxr-2.0.0-metadata.csv.gz   view and date of each image, from the JPG set; without it
      cxr-record-list.csv.gz            which images there are, and their DICOM headers say the rest
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
from radalign.data.own_split import one_split, split_name
from radalign.data.sources.csv_rows import Row, read_csv, whole
from radalign.data.sources.files import find_file
from radalign.data.sources.labels import CHEXPERT, row_labels
from radalign.data.sources.mimic_images import NEEDS, image_path, image_rows, image_suffix
from radalign.data.sources.mimic_reports import ReportFault, ReportShelf, find_reports
from radalign.data.sources.source import Source, SourceError, SourceOptions
from radalign.reports.sections import parse_report
from radalign.study import Report, Study, View, parse_position

LAYOUT = "a folder with mimic-cxr-2.0.0-metadata.csv.gz, files/p10/... and mimic-cxr-reports.zip"
LABELLERS = ("chexpert", "negbio", "none")


def read(folder: Path, flow: ExclusionFlow, options: SourceOptions) -> Iterator[Study]:
    """Yield one study per study id, in order of the metadata file.

    Args:
        folder: The distribution's folder.
        flow: Counts bad dates, missing reports, and rows that repeat or contradict others.
        options: `labels` is `chexpert` (default), `negbio` or `none`; `reports` a folder or zip; `images`
            where `files/` is.

    Raises:
        SourceError: If no table of the images is there, or the labeller is unknown or its file missing.
    """
    root = options.images or folder
    shelf = ReportShelf(find_reports(folder, options.reports))
    labels, splits = _labels(folder, options.labels, flow), _splits(folder, flow)
    suffix = image_suffix(root)
    groups: dict[str, list[Row]] = {}
    for row in image_rows(folder, root, suffix, flow):
        if fault := _fault(row, groups.get(row["study_id"], [])):
            flow.reject(fault, images=1, example=image_path(row, suffix))
        else:
            kept = {name: intern(row[name]) for name in _KEPT if name in row}
            groups.setdefault(row["study_id"], []).append(kept)
    for study_id, rows in groups.items():
        flow.found(images=len(rows), studies=1)
        yield _study(study_id, rows, suffix, shelf, labels.get(study_id, {}), splits, flow)


_KEPT = (*NEEDS, "Rows", "Columns", "ViewCodeSequence_CodeMeaning", "PerformedProcedureStepDescription")


def _fault(row: Row, group: list[Row]) -> str:
    if not (row["dicom_id"] and row["study_id"] and row["subject_id"]):
        return "row lacks an image, study or patient id"
    if any(row["dicom_id"] == other["dicom_id"] for other in group):
        return "image is listed twice"
    if group and group[0]["subject_id"] != row["subject_id"]:
        return "study id is used by two patients"
    return ""


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
        split=one_split((splits.get(row["dicom_id"], "") for row in rows), study_id, flow),
        date=_date(first, flow),
        source="MIMIC-CXR",
        licence="PhysioNet Credentialed Health Data License 1.5.0",
        extra=_extra(first),
    )


def _view(row: Row, suffix: str) -> View:
    # 15 of 100 images have no ViewPosition; the code's meaning often still says it.
    position = parse_position(row["ViewPosition"]) or parse_position(
        row.get("ViewCodeSequence_CodeMeaning", "")
    )
    width, height = (whole(row.get(side, "")) for side in ("Columns", "Rows"))
    return View(image_path(row, suffix), position, row["dicom_id"], width, height)


def _report(shelf: ReportShelf, subject: str, study_id: str, flow: ExclusionFlow) -> Report:
    try:
        text = shelf.text(subject, study_id)
    except ReportFault as error:
        flow.note("report file cannot be read", studies=1, example=str(error), of=study_id)
        return Report()
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


def _labels(folder: Path, labeller: str, flow: ExclusionFlow) -> dict[str, dict[str, int]]:
    told, labeller = labeller, labeller or "chexpert"
    if labeller not in LABELLERS:
        raise SourceError(f"There is no labeller {labeller!r}; choose one of {', '.join(LABELLERS)}.")
    path = find_file(folder, [f"mimic-cxr-*{labeller}.csv.gz", f"mimic-cxr-*{labeller}.csv"])
    if path is None and told and told != "none":
        raise SourceError(f"There are no labels mimic-cxr-*{told}.csv.gz in {folder}; fetch them.")
    if path is None or labeller == "none":
        return {}
    rows = read_csv(path, flow, ["study_id"], side=True)
    return {row["study_id"]: row_labels(row, CHEXPERT) for row in rows}


def _splits(folder: Path, flow: ExclusionFlow) -> dict[str, str]:
    path = find_file(folder, ["mimic-cxr-*split.csv.gz", "mimic-cxr-*split.csv"])
    if path is None:
        return {}
    rows = read_csv(path, flow, ["dicom_id", "split"], side=True)
    return {
        row["dicom_id"]: split_name(row["split"], row["dicom_id"], row.get("study_id", ""), flow)
        for row in rows
    }


SOURCE = Source(
    "mimic",
    "MIMIC-CXR-JPG or MIMIC-CXR with reports",
    LAYOUT,
    read,
    check="exists",
    takes=("labels", "report-files"),
)
