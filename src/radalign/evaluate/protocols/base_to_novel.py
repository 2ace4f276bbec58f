"""Base-to-novel: 16 shots of the first half of the labels; tested on base and on novel classes.

The halves are of all classes of the data set, in its order. Each side is tested among its own classes only.
On novel classes every method here falls back to the class sentences, because neither a cache nor a probe
knows a class that no shot showed; a system that was trained on the base classes is tested as it is (`as
trained`), its class set replaced. HM = 2 B N / (B + N), its interval by the test patients of both sides at
once; over several data sets both averages are given, because papers mix them: `mean of HM` and `HM of means`,
without interval.

References:
    Zhou et al., CoCoOp (CVPR 2022); BiomedCoOp (CVPR 2025), which sets an HM of means beside means of HM.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from radalign.evaluate.comparison import Cell, Name, Number, side_by_side
from radalign.evaluate.embeddings import Embedder, EvaluationError
from radalign.evaluate.few_shot import (
    METHODS,
    SEEDS,
    base_and_novel,
    harmonic_mean,
    need_two_sides,
    zero_shot,
)
from radalign.evaluate.prompt_sets import load_prompts
from radalign.evaluate.protocols.few_shot import compared, over_sets, resampled, set_notes
from radalign.evaluate.protocols.few_shot_data import (
    AS_TRAINED,
    PROMPTS,
    EmbeddedSet,
    FewShotSet,
    find_sets,
)
from radalign.evaluate.protocols.protocol import Options, Protocol
from radalign.evaluate.results import Gap, Measure, Result
from radalign.evaluate.statistic import Floats, Statistic, average_of, ratio

SHOTS = 16
BASE, NOVEL, HM = "base accuracy", "novel accuracy", "HM"
Side = tuple[dict[Cell, Statistic], Sequence[str]]


def run(systems: Mapping[str, Embedder], folder: Path, options: Options) -> Result:
    """Base and novel accuracy and their harmonic mean, for every system, method and data set."""
    sets = find_sets(folder, options.mode == "strict", tuple(systems.values()))
    for data in sets:
        _need_two_sides(data)
    measures: list[Measure] = []
    gaps: list[Gap] = []
    for data in sets:
        embedded = {name: EmbeddedSet(system, data, options) for name, system in systems.items()}
        found, differences = _one_set(embedded, data, options)
        measures += found
        gaps += differences
    measures += averages(measures)
    prompts = load_prompts(PROMPTS)
    facts: dict[str, Any] = {
        "sets": {d.name: d.sha256 for d in sets},
        "seeds": list(SEEDS),
        "shots": SHOTS,
        "template": prompts.templates["class"][0],
        "resampled": resampled(sets),
    } | prompts.facts
    return Result(PROTOCOL.name, options.mode, tuple(measures), tuple(gaps), facts, notes=set_notes(sets))


def averages(measures: list[Measure]) -> list[Measure]:
    """Means over data sets; for the harmonic mean, the mean of HMs and the HM of means, each by its name."""
    means = over_sets([m for m in measures if m.metric in (BASE, NOVEL)])
    mean_of_hm = over_sets([m for m in measures if m.metric == HM])
    value = {(m.system, m.task, m.metric): m.value for m in means}
    renamed = [replace(m, metric="mean of HM") for m in mean_of_hm]
    if len({m.group for m in measures}) == 1:  # then both averages are that set's HM, interval included
        return [*means, *renamed, *(replace(m, metric="HM of means") for m in mean_of_hm)]
    hm_of_means = [
        Measure(m.system, m.task, "HM of means", harmonic_mean(m.value, value[m.system, m.task, NOVEL]))
        for m in means
        if m.metric == BASE
    ]
    return [*means, *renamed, *hm_of_means]


def _need_two_sides(data: FewShotSet) -> None:
    """Refuse a data set without a question on one side, or without shots of a base class."""
    need_two_sides(data.name, len(data.class_names))
    base, novel = base_and_novel(range(len(data.class_names)))
    without = [data.class_names[label] for label in base if data.class_names[label] in data.without_shots]
    if without:
        raise EvaluationError(
            f"{data.name}: no training image shows {', '.join(without)}, of the base classes; train and test "
            "with classes that the training split shows (data.labels), or split anew."
        )
    for side, labels in (("base", base), ("novel", novel)):
        if not data.test.patients_of(labels):
            raise EvaluationError(
                f"{data.name}: no test image shows one of the {side} classes "
                f"({', '.join(data.class_names[label] for label in labels)}); split anew, or use another set."
            )


def _one_set(
    embedded: Mapping[str, EmbeddedSet], data: FewShotSet, options: Options
) -> tuple[list[Measure], list[Gap]]:
    measures: list[Measure] = []
    gaps: list[Gap] = []
    sides: list[Side] = []
    for metric, labels in zip((BASE, NOVEL), base_and_novel(range(len(data.class_names))), strict=True):
        numbers: dict[tuple[str, str], dict[Name, Number]] = {}
        for name, given in embedded.items():
            for method, classify in METHODS.items():
                learnt = classify if metric == BASE else zero_shot
                each = [given.accuracy(learnt, SHOTS, seed, labels) for seed in SEEDS]
                numbers[name, method] = {(metric, data.name): Number(average_of(each), 1 / len(labels))}
            if given.decides:
                own = Number(given.own_accuracy(labels), 1 / len(labels))
                numbers[name, AS_TRAINED] = {(metric, data.name): own}
        patients = data.test.patients_of(labels)
        found, differences = compared(numbers, [], patients, options)
        measures += found
        gaps += differences
        sides.append(({cell: own[metric, data.name].statistic for cell, own in numbers.items()}, patients))
    means, differences = harmonic(sides, data.name, options)
    return [*measures, *means], [*gaps, *differences]


def harmonic(sides: Sequence[Side], set_name: str, options: Options) -> tuple[list[Measure], tuple[Gap, ...]]:
    """The harmonic mean of base and novel accuracy of every system and method of one data set.

    Args:
        sides: Base and novel accuracy by system and task, each with the patients of its test images.
        set_name: Of the data set.
        options: As of `compared`.
    """
    together, patients = side_by_side(sides)
    numbers: dict[Cell, dict[Name, Number]] = {
        cell: {(HM, set_name): Number(_harmonic_of(base, novel))} for cell, (base, novel) in together.items()
    }
    return compared(numbers, [], patients, options)


def _harmonic_of(base: Statistic, novel: Statistic) -> Statistic:
    def mean(weights: Floats) -> Floats:
        b, n = base.of(weights), novel.of(weights)
        return np.where(b + n == 0, 0.0, ratio(2 * b * n, b + n))  # NaN where a side was not drawn

    return Statistic(base.items, mean, base.known + novel.known)


PROTOCOL = Protocol(
    "base-to-novel",
    "Base-to-novel generalisation",
    "One folder per data set with a split*.json in CoOp's format and the images; or a manifest with labels.",
    run,
    "An image that is both in train and in test counts; no interval.",
)
