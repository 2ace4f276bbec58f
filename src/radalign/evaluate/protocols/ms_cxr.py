"""MS-CXR phrase grounding: 1,162 phrases with boxes on frontal radiographs.

    MS_CXR_Local_Alignment*.csv    dicom_id, category_name, label_text, path, x, y, w, h, image_width,
                                   image_height[, split]
    <path>                         the images, as .jpg, .png or .dcm

Rows with the same image and phrase are one phrase with several boxes. Contrast-to-noise, pointing game and
IoU, per category and over all phrases.

| | paper | strict |
|---|---|---|
| contrast-to-noise | absolute difference of the means | signed: a cold box counts against |
| IoU | mean over thresholds 0.1 to 0.5 of the cosine | one threshold of the 0..1 map, chosen on split `val` |
| phrases | all | those outside of split `val` |

In both modes the map of a phrase is the mean of its words' cosines to a patch: the systems here align patches
with words. BioViL has one embedding for the whole phrase, and its thresholds of 0.1 to 0.5 were chosen for
that, so `paper` is its scoring on another map.

References:
    Boecking et al., BioViL, ECCV 2022; MS-CXR (PhysioNet).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from radalign.data.sources.csv_rows import Row, number, whole
from radalign.evaluate.bootstrap import Resamples
from radalign.evaluate.comparison import Name, Number, compare
from radalign.evaluate.embeddings import Embedder, EvaluationError
from radalign.evaluate.grounding import (
    Box,
    LocalSystem,
    box_mask,
    contrast_to_noise,
    from_zero_to_one,
    mean_overlap,
    overlap,
    phrase_heatmap,
    points_inside,
)
from radalign.evaluate.protocols.protocol import Options, Protocol, listed_rows, need_apart, patient_of
from radalign.evaluate.results import Result
from radalign.evaluate.statistic import Bools, Floats, mean_of
from radalign.study import Manifest, Study, View

TASK = "phrase grounding"
GRID = np.linspace(0.05, 0.95, 19)
NO_TUNING = 0.5  # the threshold where no phrase picks one
SUFFIXES = (".jpg", ".png", ".dcm")
COLUMNS = ("category_name", "label_text", "path", "x", "y", "w", "h", "image_width", "image_height")


@dataclass(frozen=True)
class Phrase:
    """One phrase and its boxes on one image."""

    image: str
    category: str
    text: str
    boxes: tuple[Box, ...]
    width_px: int
    height_px: int
    split: str


@dataclass(frozen=True)
class Heat:
    """A phrase's heatmap with its truth."""

    heat: Floats
    inside: Bools
    valid: Bools


def read(folder: Path) -> list[Phrase]:
    """Read the table; rows of one image and phrase become one phrase.

    Raises:
        EvaluationError: If the table is missing or empty, an image is missing, or a box is none.
    """
    tables = sorted(folder.glob("MS_CXR_Local_Alignment*.csv"))
    if not tables:
        raise EvaluationError(f"{folder} holds no MS_CXR_Local_Alignment*.csv; put it there.")
    rows: dict[tuple[str, str, str], list[tuple[str, Row]]] = {}
    for where, row in listed_rows(tables[-1], COLUMNS):
        rows.setdefault((row["path"], row["category_name"], row["label_text"]), []).append((where, row))
    return [
        Phrase(
            _image(folder, path), category, text, tuple(_box(row, where) for where, row in own),
            *_sides(*own[0]), own[0][1].get("split", ""),
        )
        for (path, category, text), own in rows.items()
    ]  # fmt: skip


def _box(row: Row, where: str) -> Box:
    sides = [number(row[name]) for name in "xywh"]
    x, y, width, height = sides
    if x is None or y is None or width is None or height is None or min(width, height) <= 0:
        cells = ", ".join(f"{name} = {row[name]!r}" for name in "xywh")
        raise EvaluationError(
            f"{where}: {cells} is no box; use the benchmark's own table, or leave the row out."
        )
    return Box(x, y, width, height)


def _sides(where: str, row: Row) -> tuple[int, int]:
    sides = whole(row["image_width"]), whole(row["image_height"])
    if not all(sides):
        cells = f"{row['image_width']!r} x {row['image_height']!r}"
        raise EvaluationError(f"{where}: {cells} is no size of an image; use the benchmark's own table.")
    return sides


def run(systems: Mapping[str, Embedder], folder: Path, options: Options) -> Result:
    """Ground every phrase with every system."""
    phrases = read(folder)
    strict = options.mode == "strict"
    tuning = [p for p in phrases if p.split.startswith("val")] if strict else []
    asked = [p for p in phrases if p not in tuning]
    if not asked:
        raise EvaluationError("Every phrase is in the split `val`; nothing is left to report.")
    need_apart((patient_of(p.image) for p in tuning), (patient_of(p.image) for p in asked), folder)
    numbers: dict[tuple[str, str], dict[Name, Number]] = {}
    thresholds: dict[str, float] = {}
    for name, system in systems.items():
        local = cast("LocalSystem", system)
        _need_whole_images(name, local, asked, folder)
        threshold = _threshold(_heats(local, tuning, folder, options)) if tuning else NO_TUNING
        if strict:
            thresholds[name] = threshold
        values = _values(_heats(local, asked, folder, options), strict, threshold)
        numbers[name, TASK] = _numbers(values, [p.category for p in asked])
    patients = [patient_of(p.image) for p in asked]
    measures, gaps = compare(numbers, Resamples(patients, options.resamples, options.seed))
    facts = {
        "phrases": len(asked), "tuning phrases": len(tuning), "patients": len(set(patients)),
        "thresholds": thresholds,
    }  # fmt: skip
    return Result(PROTOCOL.name, options.mode, measures, gaps, facts, notes=_notes(strict, bool(tuning)))


def _need_whole_images(name: str, system: LocalSystem, phrases: Sequence[Phrase], folder: Path) -> None:
    """Boxes count pixels of the whole image; of the formats, only DICOM says where to cut it."""
    if system.recipe.data.crop_collimation and any(p.image.endswith(".dcm") for p in phrases):
        raise EvaluationError(
            f"{name} cuts DICOM images to their collimated field (data.crop_collimation), which moves the "
            f"boxes; give the images in {folder} as JPEG or PNG."
        )


def _heats(system: LocalSystem, phrases: Sequence[Phrase], folder: Path, options: Options) -> Iterable[Heat]:
    data = system.recipe.data
    shown: Iterable[Any] = options.progress(phrases, "Grounding") if options.progress else phrases
    for phrase in shown:
        study = Study(phrase.image, patient_of(phrase.image), (View(phrase.image, "FRONTAL"),))
        heat = phrase_heatmap(system, study, Manifest([study], folder), phrase.text)
        sides = (phrase.width_px, phrase.height_px, data.size_px)
        yield Heat(heat, *box_mask(phrase.boxes, *sides, data.geometry, data.resize_px))


def _values(heats: Iterable[Heat], strict: bool, threshold: float) -> dict[str, Floats]:
    """Metric to its value per phrase, [N]."""
    rows = []
    for h in heats:
        contrast = contrast_to_noise(h.heat, h.inside, h.valid)
        pointed = float(points_inside(h.heat, h.inside, h.valid))
        if strict:
            hot = from_zero_to_one(h.heat, h.valid) > threshold
            rows.append((contrast, pointed, overlap(hot, h.inside, h.valid)))
        else:
            rows.append((abs(contrast), pointed, mean_overlap(h.heat, h.inside, h.valid)))
    names = ("contrast-to-noise", "share pointing inside", "IoU")
    return dict(zip(names, np.array(rows, dtype=np.float64).T, strict=True))


def _threshold(heats: Iterable[Heat]) -> float:
    """The threshold of the 0..1 map with the best mean IoU."""
    found = [[overlap(from_zero_to_one(h.heat, h.valid) > t, h.inside, h.valid) for t in GRID] for h in heats]
    return float(GRID[int(np.argmax(np.nanmean(np.array(found), axis=0)))])


def _numbers(values: Mapping[str, Floats], categories: Sequence[str]) -> dict[Name, Number]:
    named = np.array(categories)
    kept: Callable[[Floats, str], Floats] = lambda v, c: np.where(named == c, v, np.nan)  # noqa: E731
    found: dict[Name, Number] = {}
    for metric, each in values.items():
        found[metric, ""] = Number(mean_of(each))
        found |= {(metric, c): Number(mean_of(kept(each, c))) for c in sorted(set(categories))}
    return found


def _image(folder: Path, path: str) -> str:
    """The image's path from the folder, whatever format it is kept in."""
    for suffix in SUFFIXES:
        candidate = Path(path).with_suffix(suffix)
        if (folder / candidate).is_file():
            return str(candidate)
    raise EvaluationError(f"The image {path} is not under {folder}; give the folder that holds files/.")


def _notes(strict: bool, tuned: bool) -> tuple[str, ...]:
    if not strict:
        return (
            "Contrast-to-noise is absolute, as published: a box that stays cold scores as well as a hot one.",
        )
    return () if tuned else ("The table has no split `val`; the IoU threshold is 0.5 of the 0..1 map.",)


PROTOCOL = Protocol(
    "ms-cxr",
    "MS-CXR phrase grounding",
    "MS_CXR_Local_Alignment*.csv and the images at the table's paths.",
    run,
    "Absolute contrast-to-noise, IoU averaged over fixed thresholds.",
)
