"""The table of `radalign few-shot` from cells made by hand: every method is compared with the first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from radalign.evaluate.few_shot_cells import Cell, Table
from radalign.evaluate.few_shot_table import few_shot_markdown, few_shot_result

PATIENTS = [f"p{i}" for i in range(8)]


def cell(method, seed, right, patients=PATIENTS):
    """Two classes by turns; `right` are the rights of every part."""
    facts = {
        "list_sha256": "0" * 64, "train_studies": 2, "trainable": 10, "minutes": 0.1,
        "classes": ["a", "b"], "counts": dict.fromkeys(right, 2),
    }  # fmt: skip
    made = {"manifest_sha256": "m", "recipe": {"name": method}, "device": "cpu", "wall_s": 1.0}
    return Cell(
        method, "chest", 16, seed, {part: np.array(rows, float) for part, rows in right.items()},
        {part: np.arange(len(rows)) % 2 for part, rows in right.items()},
        {part: patients[: len(rows)] for part, rows in right.items()}, facts, made,
    )  # fmt: skip


def table(protocol, *methods):
    return Table(methods, (Path("chest.parquet"),), Path("out"), protocol, (16,), (1, 2))


def test_every_method_is_compared_with_the_first():
    rights = {"first": [1, 1, 1, 1, 1, 1, 1, 1], "half": [1, 0] * 4, "none": [0] * 8}
    cells = [cell(m, seed, {"all": rows}) for m, rows in rights.items() for seed in (1, 2)]
    result = few_shot_result(table("few-shot", *rights), cells, resamples=50)
    found = {(g.against, g.metric, g.group): g.value for g in result.gaps}
    assert {g.system for g in result.gaps} == {"first"}
    assert found == {
        ("half", "accuracy", "chest"): 0.5, ("half", "class accuracy", "chest"): 0.5,
        ("none", "accuracy", "chest"): 1.0, ("none", "class accuracy", "chest"): 1.0,
    }  # fmt: skip
    page = few_shot_markdown(result)
    assert "## Differences, paired by patient" in page
    assert "| first − none | K = 16 | accuracy | chest | +100.0 (+100.0 to +100.0) | 0.020 |" in page
    assert "| first | 100.0 ± 0.0 (100.0–100.0) | 100.0 ± 0.0 (100.0–100.0) |" in page


def test_harmonic_means_have_intervals_and_differences():
    rights = {
        "first": {"base": [1, 1, 1, 0], "novel": [1, 1, 0, 0]},
        "other": {"base": [1] * 4, "novel": [0] * 4},
    }
    cells = [cell(m, seed, parts) for m, parts in rights.items() for seed in (1, 2)]
    result = few_shot_result(table("base-to-novel", *rights), cells, resamples=100)
    by = {(m.system, m.metric, m.group): m for m in result.measures}
    hm = by["first", "HM", "chest"]
    assert hm.value == pytest.approx(2 * 0.75 * 0.5 / 1.25)
    assert hm.low < hm.value < hm.high
    assert (by["first", "mean of HM", ""].low, by["first", "HM of means", ""].high) == (hm.low, hm.high)
    assert by["other", "HM", "chest"].value == 0.0
    gap = next(g for g in result.gaps if g.metric == "HM")
    assert gap.value == pytest.approx(hm.value)


def test_methods_that_were_tested_on_other_studies_are_told_and_not_subtracted():
    cells = [cell("a", 1, {"all": [1, 1]}), cell("b", 1, {"all": [1, 0]}, ["p0", "p9"])]
    cells.append(cell("c", 1, {"all": [0, 0]}))
    result = few_shot_result(table("few-shot", "a", "b", "c"), cells, resamples=20)
    value = {m.system: m.value for m in result.measures if (m.metric, m.group) == ("accuracy", "chest")}
    assert value == {"a": 1.0, "b": 0.5, "c": 0.0}
    assert {(g.system, g.against) for g in result.gaps} == {("a", "c")}
    assert "b takes other views than a" in result.notes[0]
    assert result.notes[0] in few_shot_markdown(result)
