"""CheXpert Plus: CheXpert's images with their reports, from df_chexpert_plus_240401.csv.

    folder/
      df_chexpert_plus_240401.csv        one row per image, the report's sections in columns
      PNG/train/patient42142/study5/view1_frontal.png      or DICOM/... or train/... (JPEG)
      impression_fixed.json, report_fixed.json             labels, one JSON object per line (optional)

Time is only known as `patient_report_date_order`, the place of a report among the patient's reports.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from radalign.data.exclusions import ExclusionFlow
from radalign.data.own_split import split_name
from radalign.data.sources.chexpert import position, split_path
from radalign.data.sources.csv_rows import Row, number, read_csv, read_text
from radalign.data.sources.files import find_file, need_file
from radalign.data.sources.labels import CHEXPERT, label_value
from radalign.data.sources.rows import ImageRow, studies_from_rows
from radalign.data.sources.source import Source, SourceError, SourceOptions
from radalign.reports.sections import parse_report
from radalign.study import Report, Study, View

LAYOUT = "a folder with df_chexpert_plus_240401.csv and PNG/, DICOM/ or train/ and valid/"
LABELS = ("impression", "report", "findings")
_SECTIONS = {
    "findings": "section_findings",
    "impression": "section_impression",
    "indication": "section_clinical_history",
    "comparison": "section_comparison",
}
_ALSO = {"indication": "section_history"}  # some reports have it under the other heading


def read(folder: Path, flow: ExclusionFlow, options: SourceOptions) -> Iterator[Study]:
    """Yield one study per patient and study number, with its report and, when they are there, its labels.

    Args:
        folder: The distribution's folder.
        flow: Counts rows whose path is not CheXpert's and images of one study with different reports.
        options: `images` is where PNG/, DICOM/ or train/ are; `labels` is `impression` (default), `report`,
            `findings` or `none`.

    Raises:
        SourceError: If the table, or the label file that was asked for, is missing or damaged.
    """
    table = need_file(
        folder, ["df_chexpert_plus*.csv", "df_chexpert_plus*.csv.gz"], "The table of CheXpert Plus"
    )
    labels = _labels(folder, options.labels, flow)
    place = _image_place(options.images or folder)
    rows = (
        made
        for row in read_csv(table, flow, ["path_to_image", "report"])
        if (made := _image_row(row, place, labels, flow)) is not None
    )
    yield from studies_from_rows(rows, flow)


def report_order(study: Study) -> float | None:
    """The place of a report among those of its patient, None when the table does not say."""
    return number(study.extra.get("patient_report_date_order", ""))


def _image_row(
    row: Row, place: tuple[str, str], labels: dict[str, dict[str, int]], flow: ExclusionFlow
) -> ImageRow | None:
    parts = split_path(row["path_to_image"])
    if parts is None:
        flow.reject("path is not CheXpert's", images=1, example=row["path_to_image"])
        return None
    path, patient, study, _ = parts
    stem, (prefix, suffix) = path.rpartition(".")[0], place
    where = position(row.get("frontal_lateral", ""), row.get("ap_pa", ""), path)
    view = View(f"{prefix}{stem}{suffix}", where)
    return ImageRow(
        view=view,
        study_id=f"{patient}/{study}",
        patient_id=row.get("deid_patient_id") or patient,
        report=_report(row),
        labels=labels.get(stem, {}),
        split=split_name(row.get("split", ""), path, view.path, flow),
        sex=row.get("sex", "")[:1] if row.get("sex") in ("Female", "Male") else "",
        age_years=number(row.get("age", "")),
        source="CheXpert Plus",
        licence="Stanford University Dataset Research Use Agreement",
        extra={"patient_report_date_order": row.get("patient_report_date_order", "").removesuffix(".0")},
    )


def _report(row: Row) -> Report:
    sections = {
        name: " ".join((row.get(column) or row.get(_ALSO.get(name, ""), "")).split())
        for name, column in _SECTIONS.items()
    }
    if sections["findings"] or sections["impression"]:
        return Report(**sections)
    return parse_report(row["report"])


def _labels(folder: Path, told: str, flow: ExclusionFlow) -> dict[str, dict[str, int]]:
    """Path without suffix to labels, from a file with one JSON object per line."""
    which = told or LABELS[0]
    if which not in (*LABELS, "none"):
        raise SourceError(f"There are no labels {which!r}; choose one of {', '.join(LABELS)}, none.")
    path = None if which == "none" else find_file(folder, [f"{which}_fixed.json", f"*/{which}_fixed.json"])
    if path is None:
        if told not in ("", "none"):
            raise SourceError(f"There is no {which}_fixed.json in {folder}; fetch it, or use --labels none.")
        return {}
    labels = {}
    for index, line in enumerate(read_text(path).split("\n"), 1):
        row = _json_row(line, f"{path} line {index}") if line.strip() else {}
        if isinstance(name := row.get("path_to_image"), str):
            labels[name.rpartition(".")[0]] = _present(row)
        elif line.strip():
            flow.note("label row names no image, passed over", example=f"{path.name} line {index}")
    return labels


def _json_row(line: str, what: str) -> dict[str, object]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise SourceError(f"{what} is not JSON ({error}); fetch the file again.") from error
    if not isinstance(row, dict):
        raise SourceError(f"{what} is not a JSON object; fetch the file again.")
    return row


def _present(row: dict[str, object]) -> dict[str, int]:
    values = {name: label_value(str(row.get(name))) for name in CHEXPERT}
    return {name: value for name, value in values.items() if value is not None}


def _image_place(root: Path) -> tuple[str, str]:
    """Prefix and suffix of image paths: the PNG copies, else the DICOM originals, else CheXpert's JPEG."""
    for prefix, suffix in (("PNG/", ".png"), ("DICOM/", ".dcm")):
        if (root / prefix).is_dir():
            return prefix, suffix
    return "", ".jpg"


SOURCE = Source(
    "chexpert_plus",
    "CheXpert Plus, with reports",
    LAYOUT,
    read,
    check="exists",
    order=report_order,
    takes=("labels",),
)
