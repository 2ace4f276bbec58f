"""Which studies may answer: a filter over rows, applied before the best are chosen, never after.

Filter ── resolve (spelling against what the index holds) ── allowed(table) ──> bool [N]
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from radalign.search.errors import SearchError
from radalign.study import FRONTAL_POSITIONS, LATERAL_POSITIONS, parse_position

if TYPE_CHECKING:
    import pyarrow as pa

_GROUPS = {"FRONTAL": FRONTAL_POSITIONS, "LATERAL": LATERAL_POSITIONS}


@dataclass(frozen=True)
class Filter:
    """Conditions that a study must all meet; an empty filter lets every study pass.

    Args:
        views: Positions that the study must all have; `FRONTAL` and `LATERAL` stand for any of their kind.
        labels: Labels that must all be present.
        not_labels: Labels of which none may be present or unsure; not mentioned counts as absent.
        sexes: One of these.
        min_age_years: At least this old; a study of unknown age does not pass an age limit.
        max_age_years: At most this old.
        sources: One of these.
        splits: One of these.
        exclude_studies: Study ids that must not answer, nor count in percentiles (what was asked with).
        exclude_patients: Patients whose studies must not answer.

    Raises:
        SearchError: If an age limit is not a number; no study would pass it.

    >>> Filter(labels=("Edema",)).is_empty, Filter().is_empty
    (False, True)
    """

    views: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    not_labels: tuple[str, ...] = ()
    sexes: tuple[str, ...] = ()
    min_age_years: float | None = None
    max_age_years: float | None = None
    sources: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    exclude_studies: tuple[str, ...] = ()
    exclude_patients: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, limit in (("lowest", self.min_age_years), ("highest", self.max_age_years)):
            if limit is not None and math.isnan(limit):
                raise SearchError(f"The {name} age is not a number; give years, for example 40.")

    @property
    def is_empty(self) -> bool:
        """Whether every study passes."""
        return self == Filter()

    def resolve(self, table: pa.Table) -> Filter:
        """The same filter in the index's own spelling.

        Raises:
            SearchError: If a name occurs nowhere in the index; the sentence suggests close names.
        """
        return replace(
            self,
            views=tuple(_position(v) for v in self.views),
            labels=_known("label", self.labels, table, "present", "absent", "unsure"),
            not_labels=_known("label", self.not_labels, table, "present", "absent", "unsure"),
            sexes=_known("sex", self.sexes, table, "sex"),
            sources=_known("source", self.sources, table, "source"),
            splits=_known("split", self.splits, table, "split"),
        )

    def allowed(self, table: pa.Table) -> np.ndarray:
        """Which rows pass: bool [N]; names are taken as they are, so `resolve` first."""
        masks = [np.zeros(0, bool), *(self._allowed(batch) for batch in table.to_batches())]
        return np.asarray(np.concatenate(masks), bool)

    def counted(self, table: pa.Table) -> np.ndarray:
        """Which rows count in percentiles: all but `exclude_studies`; bool [N]."""
        if not self.exclude_studies:
            return np.ones(table.num_rows, bool)
        return ~_is_in(table.column("study_id"), self.exclude_studies)

    def _allowed(self, batch: pa.RecordBatch) -> np.ndarray:
        mask = np.ones(batch.num_rows, bool)
        for view in self.views:
            mask &= _any_listed(batch.column("positions"), _GROUPS.get(view, {view}))
        for label in self.labels:
            mask &= _any_listed(batch.column("present"), {label})
        for label in self.not_labels:
            mask &= ~_any_listed(batch.column("present"), {label})
            mask &= ~_any_listed(batch.column("unsure"), {label})
        for name, values in (("sex", self.sexes), ("source", self.sources), ("split", self.splits)):
            if values:
                mask &= _is_in(batch.column(name), values)
        for name, values in (("study_id", self.exclude_studies), ("patient_id", self.exclude_patients)):
            if values:
                mask &= ~_is_in(batch.column(name), values)
        return np.asarray(mask & self._of_age(batch))

    def _of_age(self, batch: pa.RecordBatch) -> np.ndarray:
        if self.min_age_years is None and self.max_age_years is None:
            return np.ones(batch.num_rows, bool)
        age = np.asarray(batch.column("age_years").to_numpy(zero_copy_only=False), float)
        low = -np.inf if self.min_age_years is None else self.min_age_years
        high = np.inf if self.max_age_years is None else self.max_age_years
        return np.asarray((age >= low) & (age <= high))  # unknown is NaN, which is neither


def _is_in(column: pa.Array | pa.ChunkedArray, values: Iterable[str]) -> np.ndarray:
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pc.is_in(column, value_set=pa.array(list(values), pa.string()))
    return np.array(found, bool)


def _any_listed(column: pa.Array, values: Iterable[str]) -> np.ndarray:
    """Rows whose list holds any of the values: bool [N]."""
    import pyarrow.compute as pc

    mask = np.zeros(len(column), bool)
    hits = _is_in(pc.list_flatten(column), values)
    mask[pc.list_parent_indices(column).to_numpy(zero_copy_only=False)[hits]] = True
    return mask


def _position(text: str) -> str:
    position = parse_position(text)
    if not position:
        known = ["PA", "AP", "FRONTAL", "LL", "RL", "LATERAL"]
        raise SearchError(f"There is no view {text!r}; use one of {', '.join(known)}.")
    return position


def _known(kind: str, asked: Sequence[str], table: pa.Table, *columns: str) -> tuple[str, ...]:
    if not asked:
        return ()
    held = vocabulary(table, *columns)
    return tuple(closest_name(kind, name, held) for name in asked)


def vocabulary(table: pa.Table, *columns: str) -> list[str]:
    """The different values of some text or list-of-text columns, sorted, without ""."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values: set[str] = set()
    for name in columns:
        column = table.column(name)
        flat = pc.list_flatten(column) if pa.types.is_list(column.type) else column
        values.update(pc.unique(flat).to_pylist())
    return sorted(values - {"", None})


def closest_name(kind: str, name: str, held: Sequence[str]) -> str:
    """The name as the index spells it, whatever its case.

    Raises:
        SearchError: If the index does not hold it; close names are suggested.

    >>> closest_name("label", "edema", ["Edema", "Nodule"])
    'Edema'
    """
    by_lower = {other.lower(): other for other in reversed(held)}
    if name in held:
        return name
    if name.lower() in by_lower:
        return by_lower[name.lower()]
    raise unknown_name(kind, name, held)


def unknown_name(kind: str, name: str, held: Sequence[str]) -> SearchError:
    """The error for a name that an index does not hold, with the closest names that it does.

    >>> str(unknown_name("label", "edma", ["Edema", "Nodule"]))
    "The index holds no label 'edma'; did you mean 'Edema'?"
    """
    by_lower = {other.lower(): other for other in reversed(held)}
    near = difflib.get_close_matches(name.lower(), list(by_lower), n=3, cutoff=0.6)
    if near:
        advice = f"did you mean {' or '.join(repr(by_lower[n]) for n in near)}?"
    elif held:
        shown = ", ".join(held[:12]) + (", ..." if len(held) > 12 else "")
        advice = f"it holds {shown}; use one of these."
    else:
        advice = "it holds none at all; leave this filter out."
    return SearchError(f"The index holds no {kind} {name!r}; {advice}")
