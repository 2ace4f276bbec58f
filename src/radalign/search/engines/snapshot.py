"""What a reader sees: the segments of one state as one table and one stack of vectors; it never changes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa

from radalign.search.engines.exact import Stack, nearest
from radalign.search.engines.segments import Segment
from radalign.search.filters import Filter, unknown_name
from radalign.search.index import Hit, Space
from radalign.search.rows import row_schema, rows_at

_FILTERS_REMEMBERED = 8


class Snapshot:
    """One state of a flat index, open for reading.

    Args:
        segments: In the state's order.
        width: E.
    """

    def __init__(self, segments: Sequence[Segment], width: int) -> None:
        self.segments, self.width = tuple(segments), width
        self._masks: dict[Filter, np.ndarray] = {}
        self.table = pa.concat_tables([row_schema().empty_table(), *(s.table for s in segments)])
        self.live = np.concatenate([np.zeros(0, bool), *(s.state.live for s in segments)])

    @cached_property
    def live_table(self) -> pa.Table:
        """The rows that count."""
        return self.table.filter(pa.array(self.live))

    @cached_property
    def positions(self) -> dict[str, int]:
        """Study id to position, live rows only."""
        alive = np.flatnonzero(self.live).tolist()
        return dict(zip(self.live_table.column("study_id").to_pylist(), alive, strict=True))

    @cached_property
    def has_report(self) -> np.ndarray:
        """Which rows count and have a report vector: bool [N]."""
        return np.asarray(self.live & self.table.column("has_report").to_numpy())

    @cached_property
    def starts(self) -> np.ndarray:
        """First position of every segment, and the end."""
        return np.cumsum([0, *(s.state.rows for s in self.segments)])

    def position(self, study_id: str) -> int:
        """Where a study is.

        Raises:
            SearchError: If it is not in the index; close ids are suggested.
        """
        if study_id not in self.positions:
            raise unknown_name("study", study_id, list(self.positions))
        return self.positions[study_id]

    def stack(self, space: Space) -> Stack:
        """The vectors of one space; zeros where there are none."""
        return Stack([s.space(space, self.width) for s in self.segments], self.width)

    def candidates(self, space: Space) -> np.ndarray:
        """Which rows count in a space: bool [N]."""
        return self.live if space == "images" else self.has_report

    def search(self, queries: np.ndarray, k: int, where: Filter | None, space: Space) -> list[list[Hit]]:
        """The k best of every query [Q, E], with their rows."""
        live = self.candidates(space)
        if where is not None:
            live = live & where.counted(self.table)
        allowed = live if where is None or where.is_empty else live & self.allowed(where)
        others = max(int(live.sum()) - 1, 1)
        answers = []
        for best in nearest(self.stack(space), queries, k, live, allowed, self.names):
            rows = rows_at(self.table, best.positions)
            percentiles = [100.0 * b / others if live.sum() > 1 else 100.0 for b in best.below]
            found = zip(rows, best.scores.tolist(), percentiles, strict=True)
            answers.append([Hit(r.study_id, i, s, p, r) for i, (r, s, p) in enumerate(found, start=1)])
        return answers

    def allowed(self, where: Filter) -> np.ndarray:
        """Which rows pass a filter: bool [N]; the last few filters are remembered."""
        mask = self._masks.get(where)
        if mask is None:
            mask = where.resolve(self.live_table).allowed(self.table)
            self._masks = dict([*list(self._masks.items())[-_FILTERS_REMEMBERED + 1 :], (where, mask)])
        return mask

    def names(self, positions: np.ndarray) -> list[str]:
        """Study ids at some positions."""
        ids: list[str] = self.table.column("study_id").take(pa.array(positions)).to_pylist()
        return ids
