"""CheXpert (images and labels), from its own train.csv, valid.csv and test labels.

    CheXpert-v1.0-small/
      train.csv, valid.csv         Path, Sex, Age, Frontal/Lateral, AP/PA, fourteen labels
      train/patient00001/study1/view1_frontal.jpg

The order of a patient's studies is the number of the study; there are no dates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from radalign.data.exclusions import ExclusionFlow
from radalign.data.sources.csv_rows import Row, number, read_csv
from radalign.data.sources.labels import CHEXPERT, row_labels
from radalign.data.sources.rows import ImageRow, studies_from_rows
from radalign.data.sources.source import Source, SourceError, SourceOptions
from radalign.study import LATERAL_POSITIONS, Study, View, parse_position

LAYOUT = "the folder CheXpert-v1.0(-small) with train.csv, valid.csv and the images"
_TABLES = {"train.csv": "train", "valid.csv": "validate", "test.csv": "test", "test_labels.csv": "test"}
_PATH = re.compile(r"(?:^|/)((?:train|valid|test)/(patient\d+)/(study(\d+))/\S+)$")


def read(folder: Path, flow: ExclusionFlow, options: SourceOptions) -> Iterator[Study]:
    """Yield one study per patient and study number; the official split is kept (valid = validate).

    Args:
        folder: The distribution's folder, or the one that holds it.
        flow: Counts rows whose path is not CheXpert's.
        options: `images` is where `train/` and `valid/` are.

    Raises:
        SourceError: If none of its tables is there.
    """
    home = home_folder(folder)
    tables = [(home / name, split) for name, split in _TABLES.items() if (home / name).is_file()]
    rows = (
        made
        for path, split in tables
        for row in read_csv(path, flow, ["Path"])
        if (made := _image_row(row, split, flow)) is not None
    )
    yield from studies_from_rows(rows, flow)


def home_folder(folder: Path) -> Path:
    """The folder that holds train.csv, valid.csv or a table of the test: the one given, or one in it.

    Raises:
        SourceError: If there is none.
    """
    for place in (folder, *sorted(p for p in folder.iterdir() if p.is_dir())):
        if any((place / name).is_file() for name in _TABLES):
            return place
    raise SourceError(f"There is none of {', '.join(_TABLES)} in {folder}; CheXpert needs {LAYOUT}.")


def split_path(path: str) -> tuple[str, str, str, int] | None:
    """Path from the split on, patient, study and study number; None when it is not CheXpert's.

    >>> split_path("CheXpert-v1.0-small/train/patient00001/study2/view1_frontal.jpg")
    ('train/patient00001/study2/view1_frontal.jpg', 'patient00001', 'study2', 2)
    """
    match = _PATH.search(path.replace("\\", "/"))
    return (match[1], match[2], match[3], int(match[4])) if match else None


def study_number(study: Study) -> float:
    """The place of a study among those of its patient, from its id `patient00001/study2`."""
    return float(study.id.rpartition("study")[2])


def position(frontal_lateral: str, ap_pa: str, path: str) -> str:
    """The view position from CheXpert's two columns; a frontal that is also called LL is a frontal.

    The table of the test labels has neither column, but the name of a file says which it is.

    >>> position("Frontal", "AP", ""), position("Lateral", "", ""), position("Frontal", "LL", "")
    ('AP', 'LATERAL', 'FRONTAL')
    >>> position("", "", "test/patient64741/study1/view2_lateral.jpg")
    'LATERAL'
    """
    named = path.rpartition("/")[2].partition(".")[0].rpartition("_")[2]
    plane, exact = parse_position(frontal_lateral) or parse_position(named), parse_position(ap_pa)
    if plane == "FRONTAL" and exact in LATERAL_POSITIONS:
        return plane
    return exact or plane


def _image_row(row: Row, split: str, flow: ExclusionFlow) -> ImageRow | None:
    parts = split_path(row["Path"])
    if parts is None:
        flow.reject("path is not CheXpert's", images=1, example=row["Path"])
        return None
    path, patient, study, _ = parts
    return ImageRow(
        view=View(path, position(row.get("Frontal/Lateral", ""), row.get("AP/PA", ""), path)),
        study_id=f"{patient}/{study}",
        patient_id=patient,
        labels=row_labels(row, CHEXPERT),
        split=split,
        sex=row.get("Sex", "")[:1] if row.get("Sex") in ("Female", "Male") else "",
        age_years=number(row.get("Age", "")),
        source="CheXpert",
        licence="Stanford University Dataset Research Use Agreement",
    )


SOURCE = Source(
    "chexpert",
    "CheXpert, images and labels without reports",
    LAYOUT,
    read,
    check="exists",
    order=study_number,
    root=lambda folder, options: options.images or home_folder(folder),
)
