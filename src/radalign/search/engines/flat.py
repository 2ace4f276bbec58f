"""The flat, exact engine: segments of Arrow rows and memory-mapped vectors, named by one state file.

add, replace   new segment ── fsync ──┐
delete         bits in the state ─────┼─> new state ── fsync ── rename ── fsync: acknowledged
compact        one merged segment ────┘   then files that no state names are removed

A crash at any moment leaves the last acknowledged state. An added segment swallows the smaller ones before
it, so that there are never more than about log2(N) of them.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from radalign.search.engines.batch import Batch
from radalign.search.engines.durable import fsync_folder, refusals_as_sentences, writer_lock
from radalign.search.engines.merge import merged_spaces, merged_table, merged_vectors, swallowed_by
from radalign.search.engines.segments import Segment, check_hash, damaged, write_segment
from radalign.search.engines.snapshot import Snapshot
from radalign.search.engines.state import STATE_FILE, SegmentState, State, read_state, write_state
from radalign.search.errors import IndexDamaged, SearchError
from radalign.search.filters import Filter
from radalign.search.index import SPACES, Hit, Index, MadeBy, Space, check_vectors
from radalign.search.rows import Row

_LOCK, _SEGMENTS = "lock", "segments"
_DTYPES = ("float32", "float16")


class FlatIndex(Index):
    """An exact index in files; open it with `Index.open`, make it with `Index.create`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._turn = threading.RLock()
        self._depth = 0
        self._state = State(MadeBy("", 0), "float32")
        self._snapshot = Snapshot((), 0)
        self.reload()

    @classmethod
    def start(cls, folder: Path, made_by: MadeBy, dtype: str) -> FlatIndex:
        """Make an empty index; see `Index.create`."""
        if made_by.width < 1 or not made_by.identity or dtype not in _DTYPES:
            raise SearchError(
                "An index needs the identity of a system, a positive width and a dtype of "
                f"{' or '.join(_DTYPES)}; got {made_by.identity!r}, {made_by.width} and {dtype!r}."
            )
        with refusals_as_sentences(folder):
            folder.mkdir(parents=True, exist_ok=True)
            _need_free(folder)
            with writer_lock(folder / _LOCK):
                _need_free(folder)
                (folder / _SEGMENTS).mkdir(exist_ok=True)
                write_state(folder, State(made_by, dtype))
                fsync_folder(folder.parent)
        return cls(folder)

    # -- reading ----------------------------------------

    @property
    def made_by(self) -> MadeBy:  # type: ignore[override]
        """Which system the index belongs to."""
        return self._state.made_by

    def __len__(self) -> int:
        return int(self._snapshot.live.sum())

    def __contains__(self, study_id: object) -> bool:
        return bool(study_id in self._snapshot.positions)

    @property
    def report_count(self) -> int:
        """How many studies have a report vector."""
        return int(self._snapshot.has_report.sum())

    def table(self) -> pa.Table:
        """All rows as an Arrow table of N rows."""
        return self._snapshot.live_table

    def vector(self, study_id: str, space: Space = "images") -> np.ndarray:
        """The stored vector [E] of a study, float32."""
        snapshot = self._snapshot
        position = snapshot.position(study_id)
        if not snapshot.candidates(space)[position]:
            raise SearchError(f"Study {study_id!r} has no vector in {space!r}; search with its image vector.")
        found: np.ndarray = snapshot.stack(space).take(np.array([position]))[0]
        return found.astype(np.float32)

    def search(
        self, vectors: np.ndarray, k: int = 10, where: Filter | None = None, space: Space = "images"
    ) -> list[list[Hit]]:
        """The `k` nearest studies of every query, exactly; see `Index.search`."""
        if k < 1:
            raise SearchError(f"A search gives back at least 1 study; {k} were asked for.")
        queries = check_vectors(vectors, self.made_by.width, "query")
        return self._snapshot.search(queries, k, where, _known_space(space))

    def scores(self, vectors: np.ndarray, space: Space = "images") -> np.ndarray:
        """All scores, float64 [Q, N] in the order of `table`, NaN where a study has no such vector."""
        snapshot = self._snapshot
        queries = check_vectors(vectors, self.made_by.width, "query")
        live = np.flatnonzero(snapshot.live)
        has = snapshot.candidates(_known_space(space))[live]
        stack = snapshot.stack(space)
        return np.stack([np.where(has, stack.exact(query, live), np.nan) for query in queries])

    def reload(self) -> None:
        """Look at the disk again, to see what other processes have acknowledged since."""
        with self._turn:
            for _ in range(10):
                state = read_state(self.folder)
                try:
                    return self._adopt(state)
                except FileNotFoundError as error:
                    missing = error
                    if read_state(self.folder) == state:
                        break
            raise damaged(Path(missing.filename), "is missing") from missing

    def verify(self) -> int:
        """Read and check every byte; see `Index.verify`."""
        with self.writing():
            for segment in self._state.segments:
                self._check_segment(segment)
            if len(self._snapshot.positions) != len(self):
                raise IndexDamaged(
                    f"{self.folder} holds a study twice; build it again with `radalign index`."
                )
            stamps = (f for s in self._state.segments for f in s.files.values())
            return sum(stamp.size_bytes for stamp in stamps)

    # -- writing ----------------------------------------

    def add(
        self,
        study_ids: Sequence[str],
        vectors: np.ndarray,
        rows: Sequence[Row] | None = None,
        *,
        report_vectors: np.ndarray | None = None,
        report_mask: np.ndarray | None = None,
        identity: str | None = None,
    ) -> None:
        """Add new studies; see `Index.add`."""
        batch = self._batch(study_ids, vectors, rows, report_vectors, report_mask, identity)
        with self.writing():
            there = [i for i in batch.ids if i in self]
            if there:
                raise SearchError(f"The index holds study {there[0]!r} already; use `replace` to change it.")
            self._append(batch, self._state.segments)

    def replace(
        self,
        study_ids: Sequence[str],
        vectors: np.ndarray,
        rows: Sequence[Row] | None = None,
        *,
        report_vectors: np.ndarray | None = None,
        report_mask: np.ndarray | None = None,
        identity: str | None = None,
    ) -> int:
        """Add studies, or replace those that the index holds already; see `Index.replace`."""
        batch = self._batch(study_ids, vectors, rows, report_vectors, report_mask, identity)
        with self.writing():
            there = [i for i in batch.ids if i in self]
            self._append(batch, self._without(there))
            return len(there)

    def delete(self, study_ids: Sequence[str]) -> None:
        """Delete studies; see `Index.delete`."""
        with self.writing():
            for study_id in study_ids:
                self._snapshot.position(study_id)
            if study_ids:
                self._publish(tuple(s for s in self._without(study_ids) if s.live.any()))

    def compact(self) -> None:
        """Rewrite the files without what was deleted or replaced."""
        with self.writing():
            segments = self._state.segments
            if len(segments) > 1 or any(s.dead for s in segments):
                self._publish((self._write(self._open_segments(segments), None),))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the right to write over several changes; see `Index.writing`."""
        with self._turn, refusals_as_sentences(self.folder):
            if self._depth:
                yield
                return
            with writer_lock(self.folder / _LOCK):
                self._depth += 1
                try:
                    self.reload()
                    yield
                finally:
                    self._depth -= 1

    def _batch(
        self,
        study_ids: Sequence[str],
        vectors: np.ndarray,
        rows: Sequence[Row] | None,
        report_vectors: np.ndarray | None,
        report_mask: np.ndarray | None,
        identity: str | None,
    ) -> Batch:
        if identity is not None:
            self.require(identity)
        return Batch.checked(study_ids, vectors, rows, report_vectors, report_mask, self.made_by.width)

    def _append(self, batch: Batch, segments: Sequence[SegmentState]) -> None:
        """Publish the batch as a segment, together with the smaller segments before it."""
        if batch.ids:
            kept, taken = swallowed_by(segments, len(batch.ids))
            self._publish((*kept, self._write(self._open_segments(taken), batch)))

    def _write(self, segments: Sequence[Segment], batch: Batch | None) -> SegmentState:
        """Write the live rows of some segments, then the batch, as one new segment."""
        for segment in segments:
            self._check_segment(segment.state)
        table, width = merged_table(segments, batch), self.made_by.width
        blocks = {space: merged_vectors(segments, batch, space, width) for space in merged_spaces(table)}
        folder = self.folder / _SEGMENTS / f"{self._state.sequence + 1:08d}"
        return write_segment(folder, table, blocks, width, self._state.dtype)

    def _publish(self, segments: tuple[SegmentState, ...]) -> None:
        """Make these segments the state; what no state names is removed, also after a failure."""
        state = replace(self._state, sequence=self._state.sequence + 1, segments=segments)
        try:
            write_state(self.folder, state)
        except BaseException:
            self._remove_unnamed({s.name for s in (*read_state(self.folder).segments, *self._state.segments)})
            raise
        self._adopt(state)
        self._remove_unnamed({s.name for s in segments})

    def _remove_unnamed(self, names: set[str]) -> None:
        for folder in (self.folder / _SEGMENTS).iterdir():
            if folder.name not in names:
                shutil.rmtree(folder, ignore_errors=True)

    def _adopt(self, state: State) -> None:
        if state == self._state:
            return
        snapshot = Snapshot(self._open_segments(state.segments, state), state.made_by.width)
        self._state, self._snapshot = state, snapshot

    def _open_segments(self, states: Sequence[SegmentState], of: State | None = None) -> list[Segment]:
        """Open segments; those that this snapshot has open already are not checked again."""
        of = of or self._state
        known = {s.state.name: s for s in self._snapshot.segments}
        opened = []
        for state in states:
            segment = known.get(state.name)
            if segment is None or segment.state.files != state.files:
                folder = self.folder / _SEGMENTS / state.name
                segment = Segment.open(folder, state, of.made_by.width, of.dtype)
            opened.append(replace(segment, state=state))
        return opened

    def _without(self, study_ids: Sequence[str]) -> tuple[SegmentState, ...]:
        """The segments of the state with some studies dead."""
        positions = np.sort([self._snapshot.positions[i] for i in study_ids]).astype(np.int64)
        starts = self._snapshot.starts
        cuts = np.searchsorted(positions, starts)
        changed = []
        for i, segment in enumerate(self._state.segments):
            own = positions[cuts[i] : cuts[i + 1]] - starts[i]
            changed.append(segment.without(own) if len(own) else segment)
        return tuple(changed)

    def _check_segment(self, segment: SegmentState) -> None:
        folder = self.folder / _SEGMENTS / segment.name
        for name, stamp in segment.files.items():
            if not (folder / name).is_file():
                raise damaged(folder / name, "is missing")
            check_hash(folder / name, stamp)


def _known_space(space: Space) -> Space:
    if space not in SPACES:
        raise SearchError(f"There is no space {space!r}; search in {' or '.join(SPACES)}.")
    return space


def _need_free(folder: Path) -> None:
    if (folder / STATE_FILE).exists():
        raise SearchError(f"There is an index at {folder} already; open it, or choose another folder.")
    foreign = [p.name for p in folder.iterdir() if p.name not in {_LOCK, _SEGMENTS, STATE_FILE + ".partial"}]
    if foreign:
        raise SearchError(
            f"{folder} holds other files ({sorted(foreign)[0]}); choose an empty folder for the index."
        )
