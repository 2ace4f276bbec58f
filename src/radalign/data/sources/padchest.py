"""PadChest: Spanish reports (stemmed), 174 findings, several views, dates.

folder/
PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv (or .csv.gz)
0/20536686640136348236148679891455886468_k6ga29.png, 1/ ... 54/     or all images in one folder
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from radalign.data.dates import parse_date
from radalign.data.exclusions import ExclusionFlow
from radalign.data.sources.csv_rows import Row, read_csv, whole
from radalign.data.sources.files import images_by_name, need_file
from radalign.data.sources.mesh import with_absent_labels
from radalign.data.sources.rows import ImageRow, studies_from_rows
from radalign.data.sources.source import Source, SourceOptions
from radalign.reports.sections import parse_report
from radalign.study import Study, View, parse_position

LAYOUT = "a folder with PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv and the folders 0 to 54"
# Rib views, and images that the authors say not to use.
_NOT_CHEST = frozenset({"COSTAL", "EXCLUDE"})
_NOT_FINDINGS = frozenset({"", "exclude", "suboptimal study", "unchanged"})


def read(folder: Path, flow: ExclusionFlow, options: SourceOptions) -> Iterator[Study]:
    """Yield one study per StudyID; findings of at least 1 % of the studies are also stated as absent.

    Args:
        folder: The distribution's folder.
        flow: Counts rib views, excluded images, bad dates and images that are stored inverted.
        options: `images` is where the folders 0 to 54 are.

    Raises:
        SourceError: If the table is missing.
    """
    table = need_file(folder, ["PADCHEST_*.csv.gz", "PADCHEST_*.csv"], "PadChest's table")
    files = images_by_name(options.images or folder, flow)
    needs = ["ImageID", "StudyID", "PatientID", "Projection", "Labels"]
    rows = (_image_row(row, files, flow) for row in read_csv(table, flow, needs))
    yield from with_absent_labels(studies_from_rows(rows, flow))


def listed(text: str) -> list[str]:
    """The entries of a Python list as PadChest writes it; [] for anything else.

    >>> listed("['normal', ' costophrenic angle blunting', '']"), listed("nan")
    (['normal', 'costophrenic angle blunting'], [])
    """
    try:
        entries = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return []
    return [str(e).strip() for e in entries if str(e).strip()] if isinstance(entries, list) else []


def _image_row(row: Row, files: dict[str, str], flow: ExclusionFlow) -> ImageRow:
    name, projection = row["ImageID"], row["Projection"]
    path = files.get(name.rpartition(".")[0], name)
    if row.get("PhotometricInterpretation_DICOM") == "MONOCHROME1":
        flow.note("DICOM original was MONOCHROME1: check the polarity", images=1, example=name, of=path)
    date = _date(row, path, flow)
    return ImageRow(
        view=View(
            path,
            parse_position(projection),
            name,
            whole(row.get("Columns_DICOM", "")),
            whole(row.get("Rows_DICOM", "")),
        ),
        study_id=row["StudyID"],
        patient_id=row["PatientID"],
        report=parse_report(row.get("Report", "")),
        labels=dict.fromkeys((e for e in listed(row["Labels"]) if e not in _NOT_FINDINGS), 1),
        date=date,
        sex=row.get("PatientSex_DICOM", "")[:1] if row.get("PatientSex_DICOM") in ("F", "M") else "",
        age_years=_age(row.get("PatientBirth", ""), date),
        source="PadChest",
        licence="PadChest Dataset Research Use Agreement",
        extra={"label_method": row.get("MethodLabel", ""), "localizations": row.get("Localizations", "")},
        left_out=(f"projection is {projection}", name) if projection in _NOT_CHEST else None,
    )


def _date(row: Row, path: str, flow: ExclusionFlow) -> str:
    try:
        return parse_date(row.get("StudyDate_DICOM", ""))
    except ValueError as error:
        what = f"{row['ImageID']}: {error}"
        flow.note("date cannot be read, kept without", images=1, example=what, of=path)
        return ""


def _age(birth: str, date: str) -> float | None:
    """Years between the year of birth and the year of the study, which is all that is known.

    None where one is missing, or where the birth is said to come after the study.
    """
    year = whole(birth)
    years = int(date[:4]) - year if year and date else -1
    return float(years) if years >= 0 else None


SOURCE = Source("padchest", "PadChest, Spanish reports and findings", LAYOUT, read, check="exists")
