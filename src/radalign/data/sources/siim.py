"""SIIM-ACR Pneumothorax Segmentation: frontal DICOM radiographs of ChestX-ray14 with run-length masks.

folder/
train-rle.csv (or stage_2_train.csv)      ImageId, EncodedPixels: one row per mask, -1 = no pneumothorax
dicom-images-train/<study>/<series>/<ImageId>.dcm, dicom-images-test/...
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from radalign.data.exclusions import NO_PATIENT, ExclusionFlow
from radalign.data.sources.csv_rows import read_csv, row_once
from radalign.data.sources.dicom_header import read_facts
from radalign.data.sources.files import images_by_name, need_file
from radalign.data.sources.source import Source, SourceOptions
from radalign.study import Study, View

_NONE = "-1"
LAYOUT = "a folder with train-rle.csv (or stage_2_train.csv) and dicom-images-train/"


def read(folder: Path, flow: ExclusionFlow, options: SourceOptions) -> Iterator[Study]:
    """Yield one study per image, `Pneumothorax` present or absent, with its masks as run lengths.

    Args:
        folder: The challenge's folder.
        flow: Counts images of unknown patients, and rows that repeat or contradict others.
        options: `images` is where the DICOM trees are.

    Raises:
        SourceError: If the table is missing.
    """
    table = need_file(
        folder, ["train-rle.csv", "stage_2_train.csv", "*train*rle*.csv"], "The challenge's table of masks"
    )
    root = options.images or folder
    files = images_by_name(root, flow)
    masks: dict[str, list[str]] = {}
    seen: set[tuple[str, ...]] = set()
    for row in read_csv(table, flow, ["ImageId", "EncodedPixels"]):
        if not row["ImageId"]:
            flow.reject("row names no image", images=1, example=row["EncodedPixels"][:80])
        elif row_once(row, seen, row["ImageId"], flow):
            masks.setdefault(row["ImageId"], []).append(row["EncodedPixels"])
    for name, cells in masks.items():
        found = [cell for cell in cells if cell not in (_NONE, "")]
        if reason := _unclear(cells, found):
            flow.reject(reason, images=1, studies=1, example=name)
            continue
        yield from _study(name, found, files.get(name, f"{name}.dcm"), root, flow)


def _unclear(cells: list[str], masks: list[str]) -> str:
    """Why an image's rows do not tell whether it shows a pneumothorax; "" when they do."""
    if masks:
        return "has a mask and also -1" if _NONE in cells else ""
    return "" if _NONE in cells else "has neither a mask nor -1"


def _study(name: str, masks: list[str], path: str, root: Path, flow: ExclusionFlow) -> Iterator[Study]:
    facts = read_facts(root / path)
    if facts.fault:
        flow.reject("header cannot be read", images=1, studies=1, example=facts.fault)
        return
    flow.found(images=1, studies=1)
    if not facts.patient_id:
        flow.note(NO_PATIENT, images=1, studies=1, example=name, of=name)
    yield Study(
        id=name,
        patient_id=facts.patient_id or name,
        views=(View(path, facts.position, name, facts.width_px, facts.height_px),),
        labels={"Pneumothorax": int(bool(masks))},
        sex=facts.sex,
        age_years=facts.age_years,
        source="SIIM-ACR Pneumothorax Segmentation",
        licence="SIIM-ACR challenge rules; NIH Clinical Center images",
        extra={"masks_rle": json.dumps(masks)} if masks else {},
    )


SOURCE = Source("siim", "SIIM-ACR Pneumothorax, DICOM with masks", LAYOUT, read, check="exists")
