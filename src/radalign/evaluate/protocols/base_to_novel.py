"""Base-to-novel: 16 shots of the first half of the labels; tested on base and on novel classes.

Each side is tested among its own classes only. On novel classes every method here falls back to the class
sentences, because neither a cache nor a probe knows a class that no shot showed; a system that was trained on
the base classes is tested as it is (`as trained`), its class set replaced. HM = 2 B N / (B + N); over several
data sets both averages are given, because papers mix them: `mean of HM` and `HM of means`.

References:
    Zhou et al., CoCoOp (CVPR 2022); BiomedCoOp (CVPR 2025), which sets an HM of means beside means of HM.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from radalign.evaluate.comparison import Name, Number
from radalign.evaluate.embeddings import Embedder, EvaluationError
from radalign.evaluate.few_shot import METHODS, SEEDS, base_and_novel, harmonic_mean, zero_shot
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
from radalign.evaluate.results import Measure, Result
from radalign.evaluate.statistic import average_of

SHOTS = 16
BASE, NOVEL, HM = "base accuracy", "novel accuracy", "HM"


def run(systems: Mapping[str, Embedder], folder: Path, options: Options) -> Result:
    """Base and novel accuracy and their harmonic mean, for every system, method and data set."""
    sets = find_sets(folder, options.mode == "strict", tuple(systems.values()))
    measures: list[Measure] = []
    for data in sets:
        embedded = {name: EmbeddedSet(system, data, options) for name, system in systems.items()}
        measures += _one_set(embedded, data, options)
    measures += averages(measures)
    prompts = load_prompts(PROMPTS)
    facts: dict[str, Any] = {
        "sets": {d.name: d.sha256 for d in sets},
        "seeds": list(SEEDS),
        "shots": SHOTS,
        "template": prompts.templates["class"][0],
        "resampled": resampled(sets),
    } | prompts.facts
    return Result(PROTOCOL.name, options.mode, tuple(measures), (), facts, notes=set_notes(sets))


def averages(measures: list[Measure]) -> list[Measure]:
    """Means over data sets; for the harmonic mean, the mean of HMs and the HM of means, each by its name."""
    means = over_sets([m for m in measures if m.metric in (BASE, NOVEL)])
    mean_of_hm = over_sets([m for m in measures if m.metric == HM])
    value = {(m.system, m.task, m.metric): m.value for m in means}
    hm_of_means = [
        Measure(m.system, m.task, "HM of means", harmonic_mean(m.value, value[m.system, m.task, NOVEL]))
        for m in means
        if m.metric == BASE
    ]
    renamed = [Measure(m.system, m.task, "mean of HM", m.value, n=m.n) for m in mean_of_hm]
    return [*means, *renamed, *hm_of_means]


def _one_set(embedded: Mapping[str, EmbeddedSet], data: FewShotSet, options: Options) -> list[Measure]:
    base, novel = base_and_novel(data.train.classes.tolist())
    if not novel:
        raise EvaluationError(
            f"{data.name} has one class in its training split; base-to-novel needs at least two (give --task "
            "few-shot, or another data set)."
        )
    measures: list[Measure] = []
    for metric, labels in ((BASE, base), (NOVEL, novel)):
        numbers: dict[tuple[str, str], dict[Name, Number]] = {}
        for name, given in embedded.items():
            for method, classify in METHODS.items():
                learnt = classify if metric == BASE else zero_shot
                each = [given.accuracy(learnt, SHOTS, seed, labels) for seed in SEEDS]
                numbers[name, method] = {(metric, data.name): Number(average_of(each), 1 / len(labels))}
            if given.decides:
                own = Number(given.own_accuracy(labels), 1 / len(labels))
                numbers[name, AS_TRAINED] = {(metric, data.name): own}
        measures += compared(numbers, [], data.test.patients_of(labels), options)[0]
    return measures + harmonic(measures, data.name)


def harmonic(measures: list[Measure], set_name: str) -> list[Measure]:
    """The harmonic mean of base and novel accuracy of every system and method of one data set."""
    value = {(m.system, m.task, m.metric): m.value for m in measures}
    cells = dict.fromkeys((m.system, m.task) for m in measures)
    found = {cell: harmonic_mean(value[*cell, BASE], value[*cell, NOVEL]) for cell in cells}
    return [Measure(*cell, HM, hm, group=set_name) for cell, hm in found.items()]


PROTOCOL = Protocol(
    "base-to-novel",
    "Base-to-novel generalisation",
    "One folder per data set with a split*.json in CoOp's format and the images; or a manifest with labels.",
    run,
    "An image that is both in train and in test counts; no interval.",
)
