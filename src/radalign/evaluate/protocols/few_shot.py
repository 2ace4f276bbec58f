"""Few-shot classification with 1, 2, 4, 8 and 16 images per class, on a system's frozen embeddings.

    <set>/split*.json    {"train": [[path, label, class name], ...], "val": ..., "test": ...}
    <set>/**             the images, paths from the split file's folder or from one folder below it
    or <set>.parquet     a manifest with labels and a split

A system that was trained on classes is also tested as it is (`as trained`). `radalign few-shot` trains one
per number of shots and seed.

K per class to learn, min(K, 4) per class to pick a method's settings, top-1 accuracy on the whole test split,
mean over seeds 1 to 3, which draw other shots.

| | paper | strict |
|---|---|---|
| an image in train and test | counts | is taken out of train |
| reported | mean and SD over seeds | also an interval over patients, or images without any |

References:
    Zhou et al., CoOp (IJCV 2022); BiomedCoOp (CVPR 2025).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from radalign.evaluate.bootstrap import Resamples
from radalign.evaluate.comparison import Name, Number, compare
from radalign.evaluate.embeddings import Embedder
from radalign.evaluate.few_shot import METHODS, SEEDS, SHOTS
from radalign.evaluate.prompt_sets import load_prompts
from radalign.evaluate.protocols.few_shot_data import (
    AS_TRAINED,
    PROMPTS,
    EmbeddedSet,
    FewShotSet,
    find_sets,
)
from radalign.evaluate.protocols.protocol import Options, Protocol
from radalign.evaluate.results import DEVIATION, Gap, Measure, Result
from radalign.evaluate.statistic import average_of


def run(systems: Mapping[str, Embedder], folder: Path, options: Options) -> Result:
    """Every method and number of shots, for every system and data set."""
    sets = find_sets(folder, options.mode == "strict", tuple(systems.values()))
    measures: list[Measure] = []
    gaps: list[Gap] = []
    for data in sets:
        embedded = {name: EmbeddedSet(system, data, options) for name, system in systems.items()}
        found, differences = _one_set(embedded, data, options)
        measures += found
        gaps += differences
    measures += over_sets(measures)
    notes = (*set_notes(sets), *_shotless_notes(sets))
    prompts = load_prompts(PROMPTS)
    facts: dict[str, Any] = {
        "sets": {d.name: d.sha256 for d in sets},
        "seeds": list(SEEDS),
        "template": prompts.templates["class"][0],
        "resampled": resampled(sets),
    } | prompts.facts
    return Result(PROTOCOL.name, options.mode, tuple(measures), tuple(gaps), facts, notes=notes)


def set_notes(sets: list[FewShotSet]) -> tuple[str, ...]:
    """A sentence per data set with overlapping images or studies left out."""
    leaks = [f"{d.name}: {d.leaked} training images are also test images." for d in sets if d.leaked]
    unseen = [
        f"{d.name}: {d.unseen} studies left out, because no image of theirs fits a slot of every system."
        for d in sets
        if d.unseen
    ]
    return (*leaks, *unseen)


def _shotless_notes(sets: list[FewShotSet]) -> tuple[str, ...]:
    without = {d.name: ", ".join(d.without_shots) for d in sets if d.without_shots}
    return tuple(
        f"{d}: no training image shows {names}; prototypes never name it." for d, names in without.items()
    )


def resampled(sets: list[FewShotSet]) -> str:
    """What the intervals resample: `patients` where the data name them, else `images`.

    A split file names patients only where its paths do; several sets may differ.
    """
    return " or ".join(sorted({"patients" if d.knows_patients else "images" for d in sets}, reverse=True))


def over_sets(measures: list[Measure]) -> list[Measure]:
    """The mean of every per-set number over the data sets; one set keeps its interval and its deviation.

    Several have no interval, because few data sets are no sample of data sets, and no deviation over seeds.
    """
    values: dict[tuple[str, str, str], list[Measure]] = {}
    several = len({m.group for m in measures}) > 1
    for m in measures:
        if not (several and m.metric.startswith(DEVIATION)):
            values.setdefault((m.system, m.task, m.metric), []).append(m)
    return [
        replace(rows[0], group="")
        if len(rows) == 1
        else Measure(
            *key, float(np.mean([m.value for m in rows])), n=sum(m.n for m in rows), chance=_chance(rows)
        )
        for key, rows in values.items()
    ]


def _chance(rows: list[Measure]) -> float | None:
    known = [m.chance for m in rows if m.chance is not None]
    return float(np.mean(known)) if len(known) == len(rows) else None


def _one_set(
    embedded: Mapping[str, EmbeddedSet], data: FewShotSet, options: Options
) -> tuple[list[Measure], tuple[Gap, ...]]:
    labels = list(range(len(data.class_names)))
    numbers: dict[tuple[str, str], dict[Name, Number]] = {}
    spread: list[Measure] = []
    for name, given in embedded.items():
        for method, classify in METHODS.items():
            for shots in SHOTS if method != "zero-shot" else (0,):
                each = [
                    given.accuracy(classify, shots, seed, labels) for seed in (SEEDS if shots else SEEDS[:1])
                ]
                task = f"{method}, K = {shots}"
                numbers[name, task] = {("accuracy", data.name): Number(average_of(each), 1 / len(labels))}
                if len(each) > 1:
                    deviation = float(np.std([s.value for s in each], ddof=1))
                    spread.append(
                        Measure(name, task, f"{DEVIATION}accuracy", deviation, n=len(each), group=data.name)
                    )
        if given.decides:
            own = Number(given.own_accuracy(labels), 1 / len(labels))
            numbers[name, AS_TRAINED] = {("accuracy", data.name): own}
    return compared(numbers, spread, data.test.patients, options)


def compared(
    numbers: dict[tuple[str, str], dict[Name, Number]],
    spread: list[Measure],
    patients: Sequence[str],
    options: Options,
) -> tuple[list[Measure], tuple[Gap, ...]]:
    """Measures and gaps over the patients of the test images; paper mode drops the intervals.

    Args:
        numbers: By system and task; every group is paired, because here it is the data set.
        spread: Measures without interval, which are put behind.
        patients: One per test image; the image itself where no patient is known.
        options: Mode, resamples and seed.
    """
    sets = {group for found in numbers.values() for _, group in found}
    measures, gaps = compare(numbers, Resamples(patients, options.resamples, options.seed), sets)
    if options.mode == "paper":
        measures, gaps = tuple(replace(m, low=None, high=None) for m in measures), ()
    return [*measures, *spread], gaps


PROTOCOL = Protocol(
    "few-shot",
    "Few-shot classification",
    "One folder per data set with a split*.json in CoOp's format and the images; or a manifest with labels.",
    run,
    "An image that is both in train and in test counts; no interval.",
)
