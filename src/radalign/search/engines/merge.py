"""Several segments and a batch as one: the rows that count, in order, without holding all vectors at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from radalign.search.engines.batch import Batch
from radalign.search.engines.segments import Segment, blocks_of
from radalign.search.engines.state import SegmentState
from radalign.search.index import SPACES, Space


def merged_table(segments: Sequence[Segment], batch: Batch | None) -> pa.Table:
    """The live rows of some segments, then the batch's."""
    return pa.concat_tables([*(s.live_table for s in segments), *([batch.table] if batch else [])])


def merged_spaces(table: pa.Table) -> list[Space]:
    """The spaces that a table's rows have vectors in."""
    return list(SPACES) if pc.any(table.column("has_report")).as_py() else ["images"]


def merged_vectors(
    segments: Sequence[Segment], batch: Batch | None, space: Space, width: int
) -> Iterator[np.ndarray]:
    """The vectors of `merged_table`'s rows, in blocks [n_i, E]; zeros where a row has none."""
    for segment in segments:
        yield from blocks_of(segment.space(space, width), np.flatnonzero(segment.state.live))
    if batch is not None:
        yield from blocks_of(batch.vectors(space))


def swallowed_by(
    segments: Sequence[SegmentState], rows: int
) -> tuple[list[SegmentState], list[SegmentState]]:
    """Split segments into those that stay and those that a new one of `rows` rows takes in.

    A new segment takes in every last segment that is no larger than what it has by then, so the sizes of the
    segments at least double from the last to the first.
    """
    kept = [s for s in segments if s.live.any()]
    taken: list[SegmentState] = []
    while kept and int(kept[-1].live.sum()) <= rows:
        taken.insert(0, kept.pop())
        rows += int(taken[0].live.sum())
    return kept, taken
