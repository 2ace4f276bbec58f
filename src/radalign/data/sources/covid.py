"""COVID-19 Image Data Collection (ieee8023/covid-chestxray-dataset): images from papers and case reports.

    folder/
      metadata.csv      patientid, offset, sex, age, finding, view, modality, filename, license, notes ...
      images/

Only radiographs are read. A study is one patient at one offset; notes describe a case or a figure, often
several images at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from radalign.data.exclusions import NO_PATIENT, ExclusionFlow
from radalign.data.sources.csv_rows import Row, column_names, need_columns, number, read_csv
from radalign.data.sources.files import need_file
from radalign.data.sources.rows import ImageRow, studies_from_rows
from radalign.data.sources.source import Source, SourceOptions
from radalign.study import Report, Study, View, parse_position

LAYOUT = "a folder with metadata.csv and images/"
_NOT_A_FINDING = frozenset({"", "todo", "unknown"})
_NOTES = ("clinical_notes", "other_notes", "notes")
_KEPT = ("rt_pcr_positive", "survival", "intubated", "intubation_present", "went_icu", "in_icu", "location",
         "date", "doi", "url", "temperature", "po2_saturation", "lymphocyte_count")  # fmt: skip


def read(folder: Path, flow: ExclusionFlow, options: SourceOptions) -> Iterator[Study]:
    """Yield one study per patient and offset; CT slices are counted and left out.

    Args:
        folder: The repository's folder.
        flow: Counts other modalities, images without a licence or a patient, offsets that are no numbers.
        options: `images` is the folder that holds `images/`.

    Raises:
        SourceError: If metadata.csv is missing or does not name patients and files.
    """
    table = need_file(folder, ["metadata.csv"], "The collection's metadata.csv")
    need_columns(table, [name.lower() for name in column_names(table)], ["patientid", "filename"])
    rows = (
        made
        for row in read_csv(table, flow)
        if (made := _image_row({k.lower(): v for k, v in row.items()}, flow)) is not None
    )
    yield from studies_from_rows(rows, flow)


def findings(text: str) -> dict[str, int]:
    """Every step of a finding's path is present: `Pneumonia/Viral/COVID-19`; older tables list with commas.

    >>> findings("Pneumonia/Viral/COVID-19"), findings("COVID-19, ARDS"), findings("todo")
    ({'Pneumonia': 1, 'Viral': 1, 'COVID-19': 1}, {'COVID-19': 1, 'ARDS': 1}, {})
    """
    names = (part.strip() for part in re.split(r"[/,]", text))
    return {name: 1 for name in names if name.lower() not in _NOT_A_FINDING}


def _image_row(row: Row, flow: ExclusionFlow) -> ImageRow | None:
    name = row["filename"]
    if not name:
        flow.reject("row names no image", images=1, example=f"patient {row['patientid']}")
        return None
    path = f"{row.get('folder') or 'images'}/{name}"
    offset = _offset(row.get("offset", ""), path, flow)
    # Without this, all strangers without a number would be one patient, with priors of each other.
    patient = f"p{row['patientid'] or f'_{name}'}"
    if not row["patientid"]:
        flow.note(NO_PATIENT, images=1, example=name, of=path)
    if not row.get("license"):
        flow.note("image without a stated licence", images=1, example=name, of=path)
    return ImageRow(
        view=View(path, parse_position(row.get("view", "")), name),
        study_id=f"{patient}_d{'NA' if offset is None else f'{offset:g}'}",
        patient_id=patient,
        report=Report(text="\n".join(text for column in _NOTES if (text := row.get(column, "")))),
        labels=findings(row.get("finding", "")),
        time_offset_days=offset,
        sex=row.get("sex", "") if row.get("sex") in ("F", "M") else "",
        age_years=number(row.get("age", "")),
        source="COVID-19 Image Data Collection",
        licence=row.get("license", ""),
        extra={name: row[name] for name in _KEPT if row.get(name)},
        left_out=_not_a_radiograph(row),
    )


def _not_a_radiograph(row: Row) -> tuple[str, str] | None:
    modality, view = row.get("modality", ""), row.get("view", "")
    if modality == "CT" or view in ("Axial", "Coronal", "CT"):
        return "not a radiograph (CT)", row.get("filename", "")
    return None


def _offset(text: str, path: str, flow: ExclusionFlow) -> float | None:
    if text and number(text) is None:
        flow.note("offset is not a number, kept without", images=1, example=f"{path}: {text!r}", of=path)
    return number(text)


SOURCE = Source("covid", "COVID-19 Image Data Collection, radiographs with case notes", LAYOUT, read)
