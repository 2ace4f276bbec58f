"""A table with one row per image: CSV with any column names.

The columns are found by their names (`image_path`, `Path`, `Image Index`, ... are all the image), or told
with `--column role=NAME`. What no role takes is kept in the study's `extra`. A table with ALTA's five columns
goes to the source `alta` by itself.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from radalign.data.dates import parse_date_or_day
from radalign.data.exclusions import ExclusionFlow
from radalign.data.own_split import split_name
from radalign.data.sources import alta
from radalign.data.sources.ages import age_years
from radalign.data.sources.csv_rows import Row, column_names, number, read_csv, whole
from radalign.data.sources.labels import label_value
from radalign.data.sources.mesh import mesh_labels, with_absent_labels
from radalign.data.sources.rows import ImageRow, studies_from_rows
from radalign.data.sources.source import Source, SourceError, SourceOptions, beside_table
from radalign.reports.sections import parse_report
from radalign.study import Report, Study, View, parse_position

LAYOUT = "a CSV file with a header and one row per image, or a folder with manifest.csv"
MISSING = frozenset({"", "-1", "nan", "none", "null", "n/a"})
# What programs write for nothing; a person's "none" or -1 may mean something.
_NOTHING = frozenset({"nan", "null", "n/a"})

ROLES: Mapping[str, tuple[str, ...]] = {
    "image": ("image_path", "image", "path", "file", "filename", "file_path", "filepath", "image_index",
              "image_file", "img_path", "dicom_path", "dicom"),
    "study_id": ("study_id", "study", "studyid", "exam_id", "accession", "accession_number",
                 "study_instance_uid", "studyinstanceuid"),
    "patient_id": ("patient_id", "patient", "patientid", "subject_id", "subject", "person_id"),
    "image_id": ("image_id", "dicom_id", "sop_instance_uid", "view_id"),
    "view": ("view", "view_position", "viewposition", "position", "projection", "ap_pa"),
    "date": ("date", "study_date", "studydate", "exam_date"),
    "time": ("time", "study_time", "studytime"),
    "time_offset_days": ("time_offset_days", "offset_days", "days", "offset"),
    "text": ("text", "report", "report_text", "caption"),
    "findings": ("findings", "report_findings", "section_findings"),
    "impression": ("impression", "report_impression", "section_impression"),
    "indication": ("indication", "history", "clinical_history"),
    "comparison": ("comparison",),
    "labels": ("labels", "label", "finding_labels"),
    "mesh": ("mesh_major",),
    "split": ("split", "fold", "subset"),
    "sex": ("sex", "gender", "patient_sex", "patient_gender"),
    "age": ("age", "age_years", "patient_age"),
    "original_width": ("orig_width", "original_width", "original_width_px"),
    "original_height": ("orig_height", "original_height", "original_height_px"),
    "duplicate_of": ("duplicate_of",),
    "source": ("source",),
    "licence": ("licence", "license"),
}  # fmt: skip


def read(path: Path, flow: ExclusionFlow, options: SourceOptions) -> Iterator[Study]:
    """Yield the studies of a table, in order of first appearance.

    Args:
        path: The CSV file, or a folder with `manifest.csv`.
        flow: Counts rows without an image, duplicates, bad dates and disagreements.
        options: `columns` maps a role to a column; `labels=A,B` names several columns with 1, 0, -1 or blank.

    Raises:
        SourceError: If the file is not a table, or no column holds the images.
    """
    path = table_path(path)
    names = header(path)
    if alta.is_alta(names) and not options.columns:
        yield from alta.read(path, flow, options)
        return
    columns = choose_columns(names, options.columns)
    rows = (made for row in read_csv(path, flow) if (made := _image_row(row, columns, flow)) is not None)
    studies = list(studies_from_rows(rows, flow))
    if "patient_id" not in columns:
        for study in studies:
            flow.note("no patient column: each study counts as its own patient", studies=1, of=study.id)
    yield from with_absent_labels(studies) if "mesh" in columns else studies


def table_path(path: Path) -> Path:
    """The CSV file that a path means: itself, or `manifest.csv` in it, or its only CSV file.

    Raises:
        SourceError: If a folder holds no or several CSV files.
    """
    if not path.is_dir():
        return path
    files = sorted(path.glob("*.csv"))
    if (path / "manifest.csv").is_file():
        return path / "manifest.csv"
    if len(files) != 1:
        raise SourceError(f"{path} holds {len(files)} CSV files and no manifest.csv; name the file itself.")
    return files[0]


def header(path: Path) -> list[str]:
    """The column names of a table.

    Raises:
        SourceError: If there are no rows, or two columns have one name.
    """
    names = column_names(path)
    twice = sorted(name for name, count in Counter(names).items() if name and count > 1)
    if twice:
        raise SourceError(f"{path} has two columns called {', '.join(twice)}; rename or remove one.")
    if next(read_csv(path), None) is None:
        raise SourceError(f"{path} has a header but no rows; there is nothing to import.")
    return names


def choose_columns(names: list[str], told: Mapping[str, str]) -> dict[str, str]:
    """Role to column: what the user told, else the first name that is known for the role.

    Raises:
        SourceError: If a role or a column is unknown, or there is no image column.

    >>> choose_columns(["Path", "Patient-ID", "Note"], {"text": "Note"})
    {'text': 'Note', 'image': 'Path', 'patient_id': 'Patient-ID'}
    """
    for role, column in told.items():
        unknown = [c for c in column.split(",") if c.strip() not in names]
        if role not in ROLES:
            raise SourceError(f"There is no role {role!r} for a column; the roles are {', '.join(ROLES)}.")
        if unknown and column not in names:
            raise SourceError(f"The table has no column {unknown[0]!r}; it has {', '.join(names)}.")
    columns = dict(told)
    by_name = {_plain(name): name for name in reversed(names)}
    for role, known in ROLES.items():
        free = (by_name[name] for name in known if name in by_name and by_name[name] not in columns.values())
        column = columns.get(role) or next(free, "")
        if column:
            columns[role] = column
    if "image" not in columns:
        raise SourceError(
            f"No column looks like an image path among {', '.join(names)}; say --column image=NAME."
        )
    return columns


def _image_row(row: Row, columns: Mapping[str, str], flow: ExclusionFlow) -> ImageRow | None:
    cell = {role: _said(row.get(column, "")) for role, column in columns.items()}
    image = cell["image"]
    if image.lower() in MISSING:
        flow.reject("row names no image", images=1, example=", ".join(v for v in row.values() if v)[:80])
        return None
    study_id = _id(cell, "study_id") or image
    used = {name for column in columns.values() for name in (column, *column.split(","))}
    extra = {name: value for name, value in row.items() if value and name not in used}
    duplicate = cell.get("duplicate_of", "")
    return ImageRow(
        view=_view(cell),
        study_id=study_id,
        patient_id=_id(cell, "patient_id") or study_id,
        report=_report(cell),
        labels=_labels(row, cell, columns),
        split=split_name(cell.get("split", ""), image, _path(cell), flow),
        date=_date(cell, flow),
        time_offset_days=_number(cell, "time_offset_days", flow),
        sex=_sex(cell.get("sex", "")),
        age_years=_age(cell, flow),
        source=cell.get("source", ""),
        licence=cell.get("licence", ""),
        extra=extra | {k: v for k, v in (("mesh_major", cell.get("mesh", "")),) if v},
        left_out=("duplicate of another image", f"{image} of {duplicate}") if duplicate else None,
    )


def _said(text: str) -> str:
    return "" if text.lower() in _NOTHING else text


def _id(cell: Mapping[str, str], role: str) -> str:
    """An id, "" where the cell says that there is none: else all strangers would be one patient."""
    text = cell.get(role, "")
    return "" if text.lower() in MISSING else text


def _path(cell: Mapping[str, str]) -> str:
    return cell["image"].replace("\\", "/")


def _view(cell: Mapping[str, str]) -> View:
    width, height = (whole(cell.get(f"original_{side}", "")) for side in ("width", "height"))
    position = parse_position(cell.get("view", ""))
    return View(_path(cell), position, cell.get("image_id", ""), width, height)


def _report(cell: Mapping[str, str]) -> Report:
    sections = {name: cell.get(name, "") for name in ("findings", "impression", "indication", "comparison")}
    text = cell.get("text", "")
    if any(sections.values()):
        return Report(text=text, **sections)
    parsed = parse_report(text)
    return replace(parsed, text=text) if parsed.findings or parsed.impression else Report(text=text)


def _labels(row: Row, cell: Mapping[str, str], columns: Mapping[str, str]) -> Mapping[str, int]:
    if cell.get("mesh"):
        return mesh_labels(cell["mesh"].split("|")) or {}
    several = columns.get("labels", "").split(",")
    if len(several) > 1:
        values = {name.strip(): label_value(row.get(name.strip(), "")) for name in several}
        return {name: value for name, value in values.items() if value is not None}
    names = (name.strip() for name in re.split(r"[;|]", cell.get("labels", "")))
    return {name: 1 for name in names if name.lower() not in MISSING}


def _date(cell: Mapping[str, str], flow: ExclusionFlow) -> str:
    date, fault = parse_date_or_day(cell.get("date", ""), cell.get("time", ""))
    if fault:
        reason = "time cannot be read, day kept" if date else "date cannot be read, kept without"
        flow.note(reason, images=1, example=f"{cell['image']}: {fault}", of=_path(cell))
    return date


def _number(cell: Mapping[str, str], role: str, flow: ExclusionFlow) -> float | None:
    text = cell.get(role, "")
    if text.lower() in MISSING - {"-1"}:
        return None
    value = number(text)
    if value is None:
        what = f"{cell['image']}: {text!r}"
        flow.note(f"{role} is not a number, kept without", images=1, example=what, of=_path(cell))
    return value


def _age(cell: Mapping[str, str], flow: ExclusionFlow) -> float | None:
    text = cell.get("age", "")
    years = age_years(text)
    if years is None and text.lower() not in MISSING:
        what = f"{cell['image']}: {text!r}"
        flow.note(
            "age cannot be read, kept without",
            images=1,
            example=what,
            of=_path(cell),
        )
    return years


def _sex(text: str) -> str:
    return text[:1].upper() if text[:1].upper() in ("F", "M") else ""


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


SOURCE = Source(
    "table",
    "Any CSV table with one row per image",
    LAYOUT,
    read,
    root=beside_table,
    takes=("column",),
    from_file=True,
)
