"""COVID-19 Image Repository of the Hannover Medical School: follow-up radiographs with laboratory values.

    folder/
      data.csv      patient_id, image_id, sex, admission_offset, ..., modality, projection, crp_val, ...
      png/<image_id>.png

Offsets are days from the image to the event, so an image five days after admission has admission_offset -5.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from radalign.data.exclusions import ExclusionFlow
from radalign.data.sources.csv_rows import Row, number, read_csv
from radalign.data.sources.files import images_by_name, need_file
from radalign.data.sources.rows import ImageRow, studies_from_rows
from radalign.data.sources.source import Source, SourceOptions
from radalign.study import Study, View, parse_position

LAYOUT = "a folder with data.csv and png/"
_OWN = frozenset({"patient_id", "image_id", "sex", "age", "admission_offset", "projection", ""})


def read(folder: Path, flow: ExclusionFlow, options: SourceOptions) -> Iterator[Study]:
    """Yield one study per image; `time_offset_days` counts from admission. There are no reports.

    Args:
        folder: The repository's folder.
        flow: Counts what is turned away.
        options: `images` is where the PNG files are.

    Raises:
        SourceError: If data.csv is missing.
    """
    table = need_file(folder, ["data.csv"], "The repository's data.csv")
    files = images_by_name(options.images or folder, flow)
    needs = ["patient_id", "image_id", "admission_offset", "projection"]
    yield from studies_from_rows((_image_row(row, files) for row in read_csv(table, flow, needs)), flow)


def _image_row(row: Row, files: dict[str, str]) -> ImageRow:
    name, offset = row["image_id"], number(row["admission_offset"])
    return ImageRow(
        view=View(files.get(name, f"png/{name}.png"), parse_position(row["projection"]), name),
        study_id=name,
        patient_id=row["patient_id"],
        labels={"COVID-19": 1},
        time_offset_days=None if offset is None else 0.0 - offset,
        sex=sex if (sex := row.get("sex", "").upper()) in ("F", "M") else "",
        age_years=number(row.get("age", "")),
        source="COVID-19 Image Repository, Hannover Medical School",
        licence="CC BY 3.0",
        extra={column: value for column, value in row.items() if column not in _OWN and value},
    )


SOURCE = Source("hannover", "Hannover COVID-19 follow-up radiographs with laboratory values", LAYOUT, read)
