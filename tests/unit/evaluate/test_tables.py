"""A page: deviations beside their means, differences by data set, units."""

from __future__ import annotations

import numpy as np
import pytest

from radalign.evaluate.bootstrap import Resamples
from radalign.evaluate.comparison import Number, compare
from radalign.evaluate.plots import _metrics
from radalign.evaluate.results import Gap, Measure, Result
from radalign.evaluate.statistic import mean_of
from radalign.evaluate.tables import gap_table, markdown, task_table


def test_a_deviation_stands_beside_its_mean_in_its_unit():
    result = Result(
        "probe", "strict",
        (Measure("a", "t", "macro accuracy", 0.233, 0.1, 0.4, group="edema"),
         Measure("a", "t", "SD of macro accuracy", 0.063, n=5, group="edema"),
         Measure("a", "t", "mean AUC", 0.8), Measure("a", "t", "SD of mean AUC", 0.02, n=3),
         Measure("b", "t", "mean AUC", 0.7), Measure("b", "t", "SD of mean AUC", 0.0, n=1)),
    )  # fmt: skip
    table = task_table(result, "t")
    assert table.splitlines()[0] == "| system | mean AUC |"
    assert "| a | 0.800 ± 0.020 |" in table
    assert "| b | 0.700 |" in table  # a single draw has no deviation
    page = markdown(result)
    assert "| t | macro accuracy | edema | 0 | 23.3 ± 6.3 (10.0–40.0) |" in page
    assert "SD of" not in page
    assert _metrics(result, "t") == ["mean AUC"]


def test_accuracies_of_base_and_novel_and_their_harmonic_means_are_in_percent():
    names = ("base accuracy", "novel accuracy", "HM", "mean of HM", "HM of means")
    table = task_table(Result("p", "strict", tuple(Measure("a", "t", name, 0.5) for name in names)), "t")
    assert table.splitlines()[2] == "| a |" + " 50.0 |" * 5


def test_differences_name_their_group_where_they_have_one():
    plain = Gap("a", "b", "t", "accuracy", 0.1, 0.0, 0.2, 0.04)
    assert "group" not in gap_table([plain])
    grouped = gap_table([Gap("a", "b", "t", "HM", 0.1, 0.0, 0.2, 0.04, "chest")])
    assert grouped.splitlines()[2] == "| a − b | t | HM | chest | +10.0 (+0.0 to +20.0) | 0.040 |"


@pytest.mark.parametrize(("paired", "expected"), [([""], [("", 0.5)]), (["set"], [("set", 0.25)])])
def test_only_the_groups_that_are_asked_for_are_subtracted(paired, expected):
    rows = {"a": [1.0, 1.0, 1.0, 1.0], "b": [1.0, 0.0, 1.0, 0.0]}
    numbers = {
        (name, "t"): {
            ("accuracy", ""): Number(mean_of(np.array(values))),
            ("accuracy", "set"): Number(mean_of(np.array(values) / 2)),
            ("accuracy", "sex: F"): Number(mean_of(np.array(values))),
        }
        for name, values in rows.items()
    }
    _, gaps = compare(numbers, Resamples(list("wxyz"), 20), paired)
    assert [(g.group, g.value) for g in gaps] == expected
