"""NIH ChestX-ray14: fourteen findings mined from reports, boxes for some, no reports.

    folder/
      Data_Entry_2017_v2020.csv (or Data_Entry_2017.csv)
      BBox_List_2017.csv, train_val_list.txt, test_list.txt     (optional)
      images_001/images/00000001_000.png, ... images_012/       or all in images/

Time is only known as the follow-up number.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from radalign.data.exclusions import ExclusionFlow
from radalign.data.sources.ages import age_years
from radalign.data.sources.csv_rows import Row, number, read_csv, read_text, whole
from radalign.data.sources.files import find_file, images_by_name, need_file
from radalign.data.sources.labels import NIH, listed_labels
from radalign.data.sources.rows import ImageRow, studies_from_rows
from radalign.data.sources.source import Source, SourceOptions
from radalign.study import Study, View, parse_position

LAYOUT = "a folder with Data_Entry_2017_v2020.csv and images_001/ to images_012/"
_ENTRY = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017*.csv")
_SIDES = ("Bbox [x", "y", "w", "h]")
# The boxes' table calls one finding by another name than the entry table.
_BOX_LABELS = {"Infiltrate": "Infiltration"}


def read(folder: Path, flow: ExclusionFlow, options: SourceOptions) -> Iterator[Study]:
    """Yield one study per image, with the findings listed as present and all others as absent.

    Args:
        folder: The distribution's folder.
        flow: Counts what is turned away.
        options: `images` is where the images are, in any folders below.

    Raises:
        SourceError: If the entry table is missing.
    """
    table = need_file(folder, _ENTRY, "The entry table of ChestX-ray14")
    files = images_by_name(options.images or folder, flow)
    boxes, splits = _boxes(folder, flow), _splits(folder)
    rows = (
        _image_row(row, files, boxes, splits)
        for row in read_csv(table, flow, ["Image Index", "Finding Labels"])
    )
    yield from studies_from_rows(rows, flow)


def follow_up(study: Study) -> float | None:
    """The follow-up number, the only order of a patient's studies."""
    text = study.extra.get("follow_up", "")
    return float(text) if text.isdigit() else None


def _image_row(
    row: Row, files: dict[str, str], boxes: dict[str, list[object]], splits: dict[str, str]
) -> ImageRow:
    name = row["Image Index"]
    stem = name.rpartition(".")[0]
    patient = row.get("Patient ID", "") or stem.partition("_")[0].lstrip("0")
    extra = {"follow_up": row.get("Follow-up #", "")}
    if stem in boxes:
        extra["boxes"] = json.dumps(boxes[stem])
    return ImageRow(
        view=View(
            files.get(stem, name),
            parse_position(row.get("View Position", "")),
            stem,
            whole(row.get("OriginalImage[Width", "")),
            whole(row.get("Height]", "")),
        ),
        study_id=stem,
        patient_id=patient,
        labels=listed_labels(row["Finding Labels"].split("|"), (*NIH, "No Finding")),
        split=splits.get(name, ""),
        sex=row.get("Patient Gender", "") or row.get("Patient Sex", ""),
        age_years=age_years(row.get("Patient Age", "")),
        source="NIH ChestX-ray14",
        licence="NIH Clinical Center: no restrictions on use; cite and acknowledge NIH",
        extra=extra,
    )


def _boxes(folder: Path, flow: ExclusionFlow) -> dict[str, list[object]]:
    """Image to its boxes, in pixels of the 1,024-pixel PNG; the header's commas split `Bbox [x,y,w,h]`."""
    path = find_file(folder, ["BBox_List_2017*.csv"])
    boxes: dict[str, list[object]] = {}
    needs = ("Image Index", "Finding Label", *_SIDES)
    for row in read_csv(path, flow, needs, side=True) if path else ():
        x, y, width, height = (number(row[name]) for name in _SIDES)
        label = _BOX_LABELS.get(row["Finding Label"], row["Finding Label"])
        box = {"label": label, "x_px": x, "y_px": y, "width_px": width, "height_px": height}
        boxes.setdefault(row["Image Index"].rpartition(".")[0], []).append(box)
    return boxes


def _splits(folder: Path) -> dict[str, str]:
    """The official lists: train and validation are one list, so its patients are all `train`."""
    splits = {}
    for pattern, split in (("train_val_list*.txt", "train"), ("test_list*.txt", "test")):
        path = find_file(folder, [pattern])
        names = read_text(path).split() if path else []
        splits.update(dict.fromkeys(names, split))
    return splits


SOURCE = Source("nih", "NIH ChestX-ray14, labels and boxes", LAYOUT, read, check="exists", order=follow_up)
