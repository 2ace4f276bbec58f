"""VinDr-CXR: frontal DICOM radiographs read by three (train) or five (test) radiologists, with boxes.

    folder/
      train/<image_id>.dicom, test/<image_id>.dicom
      annotations/image_labels_train.csv, image_labels_test.csv     findings per image (and reader)
      annotations/annotations_train.csv, annotations_test.csv       boxes per image (and reader)

A finding is present when at least two of the three readers of a training image say so; the test labels are
the consensus of five. Patients are not published, so each image counts as its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from radalign.data.exclusions import NO_PATIENT, ExclusionFlow
from radalign.data.sources.csv_rows import Row, number, read_csv, row_once
from radalign.data.sources.files import images_by_name, need_file
from radalign.data.sources.source import Source, SourceOptions
from radalign.study import Study, View

LAYOUT = "a folder with train/, test/ and annotations/image_labels_train.csv"
_SIDES = ("x_min", "y_min", "x_max", "y_max")
_NOT_LABELS = frozenset({"image_id", "rad_ID", "rad_id", ""})
# The two tables spell one diagnosis differently.
_SAME = {"Other disease": "Other diseases"}


def read(folder: Path, flow: ExclusionFlow, options: SourceOptions) -> Iterator[Study]:
    """Yield one study per image, training images first; the official split is kept.

    Args:
        folder: The distribution's folder.
        flow: Counts what is found, and rows that are listed twice.
        options: `images` is where `train/` and `test/` are.

    Raises:
        SourceError: If no label table is there.
    """
    need_file(folder, ["annotations/image_labels_*.csv", "image_labels_*.csv"], "VinDr-CXR's label table")
    files = images_by_name(options.images or folder, flow)
    for part in ("train", "test"):
        readings = _readings(folder, f"image_labels_{part}.csv", flow)
        boxes = _boxes(folder, f"annotations_{part}.csv", flow)
        for name, rows in readings.items():
            flow.found(images=1, studies=1)
            flow.note(NO_PATIENT, images=1, studies=1, example=name, of=name)
            yield _study(name, part, rows, boxes.get(name, []), files)


def majority(rows: list[Row]) -> dict[str, int]:
    """1 where more than half of the readers see it, 0 where none does, -1 in between.

    >>> majority([{"Edema": "1", "Mass": "1"}, {"Edema": "0", "Mass": "1"}, {"Edema": "0", "Mass": "0"}])
    {'Edema': -1, 'Mass': 1}
    """
    votes = {
        name: sum(row.get(name) in ("1", "1.0") for row in rows)
        for name in rows[0]
        if name not in _NOT_LABELS
    }
    return {
        _SAME.get(name, name): 1 if 2 * count > len(rows) else -1 if count else 0
        for name, count in votes.items()
    }


def _study(name: str, part: str, rows: list[Row], boxes: list[Row], files: dict[str, str]) -> Study:
    found = [_box(row) for row in boxes if row.get("x_min")]
    return Study(
        id=name,
        patient_id=name,
        views=(View(files.get(name, f"{part}/{name}.dicom"), "PA", name),),
        labels=majority(rows),
        split=part,
        source="VinDr-CXR",
        licence="PhysioNet Credentialed Health Data License 1.5.0",
        extra={"boxes": json.dumps(found), "readers": str(len(rows))}
        if found
        else {"readers": str(len(rows))},
    )


def _box(row: Row) -> dict[str, object]:
    sides = {f"{name}_px": number(row[name]) for name in _SIDES}
    return {"label": row["class_name"], "reader": _reader(row), **sides}


def _reader(row: Row) -> str:
    return row.get("rad_id") or row.get("rad_ID", "")


def _readings(folder: Path, name: str, flow: ExclusionFlow) -> dict[str, list[Row]]:
    """Image to its rows, one per reader: a second row of a reader would count that reader's vote twice."""
    readings: dict[str, dict[str, Row]] = {}
    for row in _rows(folder, name, flow, ["image_id"]):
        image, reader = row["image_id"], _reader(row)
        if not image:
            flow.reject("row names no image", images=1, example=f"{name}: {reader}")
        elif reader in readings.setdefault(image, {}):
            what = f"{image} {reader}".strip()
            flow.note("reader's row for an image is listed twice, first counted", example=what)
        else:
            readings[image][reader] = row
    return {image: list(rows.values()) for image, rows in readings.items()}


def _boxes(folder: Path, name: str, flow: ExclusionFlow) -> dict[str, list[Row]]:
    boxes: dict[str, list[Row]] = {}
    seen: set[tuple[str, ...]] = set()
    for row in _rows(folder, name, flow, ["image_id", "class_name", *_SIDES], side=True):
        if row_once(row, seen, f"{name}: {row['image_id']}", flow):
            boxes.setdefault(row["image_id"], []).append(row)
    return boxes


def _rows(
    folder: Path, name: str, flow: ExclusionFlow, needs: list[str], side: bool = False
) -> Iterator[Row]:
    places = (folder / "annotations" / name, folder / name)
    place = next((place for place in places if place.is_file()), None)
    yield from read_csv(place, flow, needs, side) if place else ()


SOURCE = Source("vindr", "VinDr-CXR, findings and boxes by several readers", LAYOUT, read, check="exists")
