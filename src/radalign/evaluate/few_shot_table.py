"""Cells to a result: K x method with mean and SD over seeds; base to novel with both harmonic means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radalign.data.provenance import peak_memory_bytes, provenance
from radalign.evaluate.comparison import Name, Number
from radalign.evaluate.few_shot_cells import BASE_TO_NOVEL, Cell, Table
from radalign.evaluate.plots import COLOURS
from radalign.evaluate.protocols.base_to_novel import BASE, NOVEL, Side, averages, harmonic
from radalign.evaluate.protocols.few_shot import compared, over_sets
from radalign.evaluate.protocols.protocol import Options
from radalign.evaluate.provenance import sha256_of
from radalign.evaluate.results import DEVIATION, Gap, Measure, Result
from radalign.evaluate.statistic import Statistic, average_of, mean_of, over
from radalign.evaluate.tables import deviations, gap_table, grid, number, written

METRIC = {"all": "accuracy", "base": BASE, "novel": NOVEL}


def few_shot_result(table: Table, cells: Sequence[Cell], resamples: int = 1000, seed: int = 0) -> Result:
    """Mean over seeds with an interval over the tests' patients, SD over seeds, means over data sets.

    Every method is compared with the first one that was tested on the same studies; a note names the others.

    Args:
        table: What was asked for.
        cells: All of its cells.
        resamples: Bootstrap resamples of the test studies' patients.
        seed: Of the bootstrap.
    """
    options = Options(resamples=resamples, seed=seed)
    measures: list[Measure] = []
    gaps: list[Gap] = []
    notes: list[str] = []
    alike = _tested_alike(cells)
    for own in alike:
        name = own[0].data
        first = next(group[0] for group in alike if group[0].data == name)
        if first is not own[0]:
            notes.append(
                f"{name}: {own[0].method} takes other views than {first.method} and was tested on other "
                "studies, so the two are not subtracted; the same data.slots would make them comparable."
            )
        sides: list[Side] = []
        for part in own[0].right:
            found, differences, side = _of_part(own, name, part, options)
            measures += found
            gaps += differences
            sides.append(side)
        if table.protocol == BASE_TO_NOVEL:
            found, differences = harmonic(sides, name, options)
            measures += found
            gaps += differences
    means = averages(measures) if table.protocol == BASE_TO_NOVEL else over_sets(measures)
    facts: dict[str, Any] = {
        "shots": list(table.shots),
        "seeds": list(table.seeds),
        "cells": [_facts(c) for c in cells],
        "resampled": "patients",
    }
    made = provenance() | {"seeds": {"bootstrap": seed}} | _made(table, cells)
    return Result(table.protocol, "strict", (*measures, *means), tuple(gaps), facts, made, tuple(notes))


def _tested_alike(cells: Sequence[Cell]) -> list[list[Cell]]:
    """The cells of every data set, those apart that were tested on other studies."""
    found: dict[Any, list[Cell]] = {}
    for cell in cells:
        tested = tuple((part, tuple(cell.patients[part])) for part in cell.right)
        found.setdefault((cell.data, tested), []).append(cell)
    return list(found.values())


def _made(table: Table, cells: Sequence[Cell]) -> dict[str, Any]:
    """What was trained on what, where and for how long; the recipe of a method is that of its first cell."""
    manifests = {c.data: str(c.made["manifest_sha256"]) for c in cells}
    hashes = list(manifests.values())
    recipes = {c.method: {"recipe": dict(c.made["recipe"])} for c in reversed(cells)}
    return {
        "manifest_sha256": hashes[0] if len(hashes) == 1 else sha256_of("\n".join(hashes)),
        "manifests_sha256": manifests,
        "systems": dict(reversed(recipes.items())),
        "device": ", ".join(sorted({str(c.made["device"]) for c in cells})),
        "wall_time_s": {"train": round(sum(float(c.made["wall_s"]) for c in cells), 3)},
        "peak_memory_bytes": peak_memory_bytes(),
        "table": asdict(table) | {"data": [str(p) for p in table.data], "out": str(table.out)},
    }


def _of_part(
    cells: Sequence[Cell], name: str, part: str, options: Options
) -> tuple[list[Measure], tuple[Gap, ...], Side]:
    """Measures, differences, and the accuracies with the patients that they are of."""
    numbers: dict[tuple[str, str], dict[Name, Number]] = {}
    spread: list[Measure] = []
    classes = _classes_of(cells[0], part)
    for method, shots in dict.fromkeys((cell.method, cell.shots) for cell in cells):
        own = [c for c in cells if (c.method, c.shots) == (method, shots)]
        each = {
            METRIC[part]: [mean_of(c.right[part]) for c in own],
            METRIC[part].replace("accuracy", "class accuracy"): [
                class_accuracy(c.right[part], c.truth[part]) for c in own
            ],
        }
        task = f"K = {shots}"
        numbers[method, task] = {(m, name): Number(average_of(s), 1 / classes) for m, s in each.items()}
        for metric, found in each.items() if len(own) > 1 else ():
            deviation = float(np.std([s.value for s in found], ddof=1))
            spread.append(Measure(method, task, f"{DEVIATION}{metric}", deviation, n=len(own), group=name))
    patients = cells[0].patients[part]
    side = {cell: found[METRIC[part], name].statistic for cell, found in numbers.items()}, patients
    return *compared(numbers, spread, patients, options), side


def class_accuracy(right: NDArray[np.float64], truth: NDArray[np.int64]) -> Statistic:
    """The mean over classes of the share of right decisions: always saying the commonest class gains nothing.

    >>> class_accuracy(np.array([1.0, 1.0, 1.0, 0.0]), np.array([0, 0, 0, 1])).value
    0.5
    """
    rows = [np.flatnonzero(truth == c) for c in np.unique(truth)]
    return average_of([over(r, mean_of(right[r]), len(right)) for r in rows])


def _classes_of(cell: Cell, part: str) -> int:
    counts: dict[str, int] = dict(cell.facts["counts"])
    return counts[part]


def _facts(cell: Cell) -> dict[str, Any]:
    return {"method": cell.method, "data": cell.data, "shots": cell.shots, "seed": cell.seed, **cell.facts}


def few_shot_markdown(result: Result) -> str:
    """The page: a table per data set (and of means), methods as rows, K as columns; then what was drawn."""
    sets = list(dict.fromkeys(m.group for m in result.measures if m.group))
    parts = [f"# {result.protocol}", "", _how(result), ""]
    for name in [*sets, *([""] if len(sets) > 1 else [])]:
        parts += [f"## {name or 'Mean over the data sets'}", "", _table(result, name), ""]
    parts += [line for note in result.notes for line in (note, "")]
    if result.gaps:
        parts += ["## Differences, paired by patient", "", gap_table(result.gaps), ""]
    rows = [
        [c["data"], c["method"], str(c["shots"]), str(c["seed"]), str(c["train_studies"]),
         f"{c['trainable']:,}", f"{c['minutes']:.1f}", c["list_sha256"][:16]]
        for c in result.settings["cells"]
    ]  # fmt: skip
    head = ["data", "method", "K", "seed", "studies", "trainable", "minutes", "SHA-256 of the list"]
    return "\n".join([*parts, "## What was drawn and trained", "", grid(head, rows), ""])


def _how(result: Result) -> str:
    seeds = ", ".join(map(str, result.settings["seeds"]))
    return (
        "Top-1 accuracy in percent on the whole test split, and class accuracy (the mean over classes; where "
        f"one class is common, only this tells a method from always naming it): mean ± SD over seeds {seeds} "
        "(each draws other studies), in brackets the 95 % interval of the mean (test patients are "
        "resampled). Validation "
        "studies (at most 4 per class) pick the epoch and every setting; test studies pick nothing."
    )


def _table(result: Result, name: str) -> str:
    rows = [m for m in result.measures if m.group == name and not m.metric.startswith(DEVIATION)]
    spread = deviations(result.measures)
    metrics = list(dict.fromkeys(m.metric for m in rows))
    columns = [(task, metric) for task in dict.fromkeys(m.task for m in rows) for metric in metrics]
    cell = {(m.system, m.task, m.metric): m for m in rows}
    lines = []
    for method in dict.fromkeys(m.system for m in rows):
        keys = [(method, *column) for column in columns]
        lines.append([method, *(number(cell[k], spread.get(cell[k].key)) for k in keys)])
    chance = {(m.task, m.metric): m.chance for m in rows if m.chance is not None}
    lines.append(["chance", *(written(c[1], chance[c]) if c in chance else "" for c in columns)])
    return grid(["method", *(t if metrics == ["accuracy"] else f"{m}, {t}" for t, m in columns)], lines)


def write_few_shot(result: Result, folder: Path) -> list[Path]:
    """Write `result.json`, `table.md` and, with several K, `curves.png`."""
    files = [folder / f"{result.protocol}.json", folder / f"{result.protocol}.md"]
    result.write(files[0])
    files[1].write_text(few_shot_markdown(result), encoding="utf-8")
    if len(result.settings["shots"]) > 1 and result.protocol != BASE_TO_NOVEL:
        files.append(_curves(result, folder / f"{result.protocol}.png"))
    return files


def _curves(result: Result, path: Path) -> Path:
    from matplotlib.figure import Figure

    sets = list(dict.fromkeys(m.group for m in result.measures if m.group))
    figure = Figure(figsize=(4.6 * len(sets), 3.6), dpi=120, layout="constrained")
    for axes, name in zip(figure.subplots(1, len(sets), squeeze=False)[0], sets, strict=True):
        rows = [m for m in result.measures if m.group == name]
        for method, colour in zip(result.systems, COLOURS * 9, strict=False):
            points = {m.task: m for m in rows if m.system == method and m.metric == "accuracy"}
            spread = {
                m.task: m.value for m in rows if (m.system, m.metric) == (method, f"{DEVIATION}accuracy")
            }
            shots = [int(task.removeprefix("K = ")) for task in points]
            values, errors = (
                [100 * m.value for m in points.values()],
                [100 * spread.get(t, 0.0) for t in points],
            )
            axes.errorbar(shots, values, errors, fmt="o-", color=colour, label=method, capsize=3)
        axes.axhline(100 * (rows[0].chance or 0.0), color="grey", linestyle=":")
        axes.set(title=name, xlabel="studies per class", ylabel="accuracy, %", xscale="log")
        axes.set_xticks(result.settings["shots"], [str(k) for k in result.settings["shots"]])
        axes.legend(fontsize=8)
    figure.savefig(path)
    return path
