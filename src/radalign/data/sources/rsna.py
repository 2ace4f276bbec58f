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
from radalign.data.sources.csv_rows import number, read_csv, read_text, row_once
from radalign.data.sources.dicom_header import read_facts
from radalign.data.sources.files import find_file, images_by_name, need_file
from radalign.data.sources.source import Source, SourceError, SourceOptions
from radalign.study import Study, View

LAYOUT = "a folder with stage_2_train_labels.csv and stage_2_train_images/"
Box = dict[str, float | None]
PARTS = ("train", "test", "all")


def read(folder: Path, flow: ExclusionFlow, options: SourceOptions) -> Iterator[Study]:
    """Yield one study per image: `Pneumonia` is the challenge's target, boxes are kept in `extra`.

    Args:
        folder: The challenge's folder.
        flow: Counts images without known patients, and rows that repeat or contradict others.
        options: `part` is `train` (default), `test` (images without labels) or `all`; `images` is where the
            two image folders are.

    Raises:
        SourceError: If the labels are missing or the part is unknown.
    """
    part = options.part or "train"
    if part not in PARTS:
        raise SourceError(f"RSNA has no part {part!r}; choose one of {', '.join(PARTS)}.")
    root = options.images or folder
    patients = _patients(folder, flow)
    if part in ("train", "all"):
        yield from _train(folder, root, patients, flow)
    if part in ("test", "all"):
        place = "stage_2_test_images"
        for name, path in sorted(images_by_name(root, flow, place).items()):
            yield from _study(name, path, root, patients, flow, {}, {})


def _train(folder: Path, root: Path, patients: dict[str, str], flow: ExclusionFlow) -> Iterator[Study]:
    table = need_file(folder, ["stage_2_train_labels.csv"], "The challenge's label table")
    classes = _classes(folder, flow)
    boxes: dict[str, list[Box]] = {}
    targets: dict[str, set[str]] = {}
    seen: set[tuple[str, ...]] = set()
    for row in read_csv(table, flow, ["patientId", "x", "y", "width", "height", "Target"]):
        name, target = row["patientId"], row["Target"].removesuffix(".0")
        if not name:
            flow.reject("row names no image", images=1, example=", ".join(row.values()))
        elif target not in ("0", "1"):
            flow.note("target is neither 0 nor 1, row passed over", example=f"{name}: {row['Target']!r}")
            targets.setdefault(name, set())
        elif row_once(row, seen, name, flow):
            targets.setdefault(name, set()).add(target)
            if target == "1":
                box = {f"{side}_px": number(row[side]) for side in ("x", "y", "width", "height")}
                boxes.setdefault(name, []).append(box)
    place = "stage_2_train_images"
    files = images_by_name(root, flow, place)
    for name, told in targets.items():
        if len(told) != 1:
            reason = "target is both 0 and 1" if told else "no row says 0 or 1"
            flow.reject(reason, images=1, studies=1, example=name)
            continue
        found = boxes.get(name, [])
        extra = {"class": classes.get(name, ""), "boxes": json.dumps(found) if found else ""}
        labels = {"Pneumonia": int("1" in told)}
        path = files.get(name, f"{place}/{name}.dcm")
        yield from _study(name, path, root, patients, flow, labels, extra)


def _study(
    name: str,
    path: str,
    root: Path,
    patients: dict[str, str],
    flow: ExclusionFlow,
    labels: dict[str, int],
    extra: dict[str, str],
) -> Iterator[Study]:
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


def _classes(folder: Path, flow: ExclusionFlow) -> dict[str, str]:
    path = find_file(folder, ["stage_2_detailed_class_info.csv"])
    rows = read_csv(path, flow, ["patientId", "class"], side=True) if path else ()
    return {row["patientId"]: row["class"] for row in rows}


def _patients(folder: Path, flow: ExclusionFlow) -> dict[str, str]:
    """Image to the ChestX-ray14 patient, the first part of the original file name `00011000_000.png`."""
    path = find_file(folder, ["pneumonia-challenge-dataset-mappings*.json"])
    if path is None:
        return {}
    try:
        entries = json.loads(read_text(path))
    except ValueError as error:
        raise SourceError(f"{path} is not JSON ({error}); fetch the file again.") from error
    if not isinstance(entries, list):
        raise SourceError(f"{path} is not a list of images; fetch the file again.")
    patients = {}
    for entry in entries:
        names = entry if isinstance(entry, dict) else {}
        image, original = names.get("subset_img_id"), str(names.get("img_id") or "")
        if image and original:
            patients[image] = original.partition("_")[0].lstrip("0")
        elif image or not original:
            flow.note("entry of the mapping names no original image, passed over", example=str(entry))
    return patients


SOURCE = Source("rsna", "RSNA Pneumonia, DICOM with boxes", LAYOUT, read, check="exists", takes=("part",))
