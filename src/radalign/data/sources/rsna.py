"""RSNA Pneumonia Detection Challenge: frontal radiographs of ChestX-ray14 as DICOM, with boxes.

    folder/
      stage_2_train_labels.csv               patientId, x, y, width, height, Target: one row per box
      stage_2_detailed_class_info.csv        patientId, class                                   (optional)
      pneumonia-challenge-dataset-mappings_2018.json     which ChestX-ray14 image each one is    (optional)
      stage_2_train_images/<patientId>.dcm, stage_2_test_images/<patientId>.dcm

What the challenge calls a patient is an image. The mapping tells the real patients; without it, images of one
patient can land in two splits, and that is noted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from radalign.data.exclusions import NO_PATIENT, ExclusionFlow
from radalign.data.sources.csv_rows import number, read_csv
from radalign.data.sources.dicom_header import read_facts
from radalign.data.sources.files import find_file, need_file
from radalign.data.sources.source import Source, SourceError, SourceOptions
from radalign.study import Study, View

LAYOUT = "a folder with stage_2_train_labels.csv and stage_2_train_images/"
PARTS = ("train", "test", "all")


def read(folder: Path, flow: ExclusionFlow, options: SourceOptions) -> Iterator[Study]:
    """Yield one study per image: `Pneumonia` is the challenge's target, boxes are kept in `extra`.

    Args:
        folder: The challenge's folder.
        flow: Counts images without known patients.
        options: `part` is `train` (default), `test` (images without labels) or `all`; `images` is where the
            two image folders are.

    Raises:
        SourceError: If the labels are missing or the part is unknown.
    """
    part = options.part or "train"
    if part not in PARTS:
        raise SourceError(f"RSNA has no part {part!r}; choose one of {', '.join(PARTS)}.")
    root = options.images or folder
    patients = _patients(folder)
    if part in ("train", "all"):
        yield from _train(folder, root, patients, flow)
    if part in ("test", "all"):
        for path in sorted((root / "stage_2_test_images").glob("*.dcm")):
            yield from _study(path.stem, "stage_2_test_images", root, patients, flow, {}, {})


def _train(folder: Path, root: Path, patients: dict[str, str], flow: ExclusionFlow) -> Iterator[Study]:
    table = need_file(folder, ["stage_2_train_labels.csv"], "The challenge's label table")
    classes = _classes(folder)
    boxes: dict[str, list[dict[str, float | None]]] = {}
    for row in read_csv(table, flow, ["patientId", "x", "y", "width", "height", "Target"]):
        found = boxes.setdefault(row["patientId"], [])
        if row["Target"] == "1":
            found.append({f"{name}_px": number(row[name]) for name in ("x", "y", "width", "height")})
    for name, found in boxes.items():
        extra = {"class": classes.get(name, ""), "boxes": json.dumps(found) if found else ""}
        labels = {"Pneumonia": int(bool(found))}
        yield from _study(name, "stage_2_train_images", root, patients, flow, labels, extra)


def _study(
    name: str,
    place: str,
    root: Path,
    patients: dict[str, str],
    flow: ExclusionFlow,
    labels: dict[str, int],
    extra: dict[str, str],
) -> Iterator[Study]:
    path = f"{place}/{name}.dcm"
    facts = read_facts(root / path)
    if facts.fault:
        flow.reject("header cannot be read", images=1, studies=1, example=facts.fault)
        return
    flow.found(images=1, studies=1)
    if name not in patients:
        flow.note(NO_PATIENT, images=1, studies=1, example=name, of=name)
    yield Study(
        id=name,
        patient_id=patients.get(name, name),
        views=(View(path, facts.position, facts.instance_uid or name, facts.width_px, facts.height_px),),
        labels=labels,
        sex=facts.sex,
        age_years=facts.age_years,
        source="RSNA Pneumonia Detection Challenge",
        licence="RSNA challenge rules; NIH Clinical Center images",
        extra={k: v for k, v in extra.items() if v},
    )


def _classes(folder: Path) -> dict[str, str]:
    path = find_file(folder, ["stage_2_detailed_class_info.csv"])
    return {row["patientId"]: row["class"] for row in read_csv(path)} if path else {}


def _patients(folder: Path) -> dict[str, str]:
    """Image to the ChestX-ray14 patient, the first part of the original file name `00011000_000.png`."""
    path = find_file(folder, ["pneumonia-challenge-dataset-mappings*.json"])
    entries = json.loads(path.read_text(encoding="utf-8-sig")) if path else []
    return {
        e["subset_img_id"]: e["img_id"].partition("_")[0].lstrip("0")
        for e in entries
        if e.get("subset_img_id")
    }


SOURCE = Source("rsna", "RSNA Pneumonia, DICOM with boxes", LAYOUT, read, check="exists")
