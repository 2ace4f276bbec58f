"""Subgroups of studies (sex, age band, view, device) and how far each one's numbers stand from the rest's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radalign.evaluate.comparison import Name, Number
from radalign.evaluate.statistic import Statistic, average_of
from radalign.study import Study

KINDS = ("sex", "age", "view", "device")
AGE_EDGES_YEARS = (18, 40, 60, 80)
DEVICE_KEYS = ("device", "manufacturer", "Manufacturer", "ManufacturerModelName")
LEAST_STUDIES = 10


def age_band(age_years: float | None) -> str:
    """The band an age falls in, "" when unknown; an age below zero, as some tables have it, or NaN is none.

    >>> age_band(5), age_band(40), age_band(93.0), age_band(None), age_band(-1.0)
    ('0-17', '40-59', '80+', '', '')
    """
    if age_years is None or not age_years >= 0:
        return ""
    edges = (0, *AGE_EDGES_YEARS)
    at = max(i for i, edge in enumerate(edges) if age_years >= edge)
    return f"{edges[at]}-{edges[at + 1] - 1}" if at + 1 < len(edges) else f"{edges[at]}+"


def view_group(study: Study) -> str:
    """Which views a study has: the frontal's position, with `+ lateral` where there is one.

    >>> from radalign.study import View
    >>> view_group(Study("s", "p", (View("a", "AP"), View("b", "LL"))))
    'AP + lateral'
    """
    frontal = [] if study.frontal is None else [study.frontal.position.replace("FRONTAL", "frontal")]
    return " + ".join(frontal + (["lateral"] if study.lateral else []))


def study_groups(studies: Iterable[Study]) -> dict[str, tuple[str, ...]]:
    """Every kind of subgroup with every study's value; kinds with fewer than two values are left out."""
    listed = list(studies)
    kinds = {
        "sex": tuple(s.sex for s in listed),
        "age": tuple(age_band(s.age_years) for s in listed),
        "view": tuple(view_group(s) for s in listed),
        "device": tuple(next((s.extra[k] for k in DEVICE_KEYS if s.extra.get(k)), "") for s in listed),
    }
    return {kind: values for kind, values in kinds.items() if len(set(values) - {""}) > 1}


@dataclass(frozen=True)
class Subgroup:
    """One group and those it is compared with: the studies whose value of the same kind is another one.

    Args:
        name: `kind: value`.
        inside: Bool, [N].
        outside: Bool, [N]; a study with an unknown value is in neither.
    """

    name: str
    inside: NDArray[np.bool_]
    outside: NDArray[np.bool_]


def subgroups(groups: Mapping[str, Sequence[str]], least: int = LEAST_STUDIES) -> list[Subgroup]:
    """Every group of at least `least` studies.

    >>> [(g.name, g.outside.tolist()) for g in subgroups({"sex": ("F", "M", "F", "")}, least=2)]
    [('sex: F', [False, True, False, False])]
    """
    found = []
    for kind, values in groups.items():
        known = np.array([v != "" for v in values])
        for value in sorted(set(values) - {""}):
            inside = np.array([v == value for v in values])
            if inside.sum() >= least:
                found.append(Subgroup(f"{kind}: {value}", inside, known & ~inside))
    return found


def subgroup_numbers(
    metric: str, parts_of: Callable[[NDArray[np.bool_]], list[Statistic]], groups: Sequence[Subgroup],
    least: int = LEAST_STUDIES,
) -> dict[Name, Number]:  # fmt: skip
    """A metric in every subgroup and its gap to the other studies (`gap of R@10`), intervals like any other.

    The gap of a mean over findings is the mean of the findings' gaps, over those that are defined on both
    sides: two means over different findings would differ though no finding does.

    Args:
        metric: Its name.
        parts_of: What the metric is the mean of (its findings; itself alone) over a subset, each as a
            statistic of all N items; as many for every subset.
        groups: From `subgroups`.
        least: No gap to fewer studies than this.
    """
    found: dict[Name, Number] = {}
    for group in groups:
        inside = parts_of(group.inside)
        found[metric, group.name] = Number(average_of(inside))
        if group.outside.sum() >= least:
            gaps = [_minus(*pair) for pair in zip(inside, parts_of(group.outside), strict=True)]
            found[f"gap of {metric}", group.name] = Number(average_of(gaps))
    return found


def _minus(first: Statistic, second: Statistic) -> Statistic:
    return Statistic(first.items, lambda weights: first.of(weights) - second.of(weights), first.known)
