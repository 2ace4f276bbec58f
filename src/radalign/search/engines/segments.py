"""A segment: rows and vectors that were added together, in files that never change once named by the state.

segments/00000007/  rows.arrow     Arrow IPC, one row per study
                    images.npy     [n, E], memory-mapped
                    reports.npy    [n, E], only if some study has a report; zeros where one has none
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa

from radalign.search.engines.durable import FileStamp, fsync_folder, hash_file, write_file
from radalign.search.engines.state import SegmentState
from radalign.search.errors import IndexDamaged
from radalign.search.index import SPACES, Space
from radalign.search.rows import row_schema

_BLOCK_ROWS = 65_536


@dataclass(frozen=True)
class Segment:
    """An open segment: its rows in memory, its vectors mapped."""

    state: SegmentState
    table: pa.Table
    vectors: dict[Space, np.ndarray]

    @classmethod
    def open(cls, folder: Path, state: SegmentState, width: int, dtype: str) -> Segment:
        """Check sizes, headers and the rows' checksum, and map the vectors.

        Raises:
            FileNotFoundError: If a file is gone (a compaction in another process removes files).
            IndexDamaged: If a file is cut short or altered.
        """
        for name, stamp in state.files.items():
            if (folder / name).stat().st_size != stamp.size_bytes:
                raise damaged(folder / name, "has the wrong size")
        check_hash(folder / "rows.arrow", state.files["rows.arrow"])
        table = _read_rows(folder / "rows.arrow", state.rows)
        spaces: list[Space] = [s for s in SPACES if f"{s}.npy" in state.files]
        vectors = {s: _map_vectors(folder / f"{s}.npy", (state.rows, width), dtype) for s in spaces}
        return cls(state, table, vectors)

    def space(self, space: Space, width: int) -> np.ndarray:
        """The vectors of one space [n, E]; zeros, taking no memory, where the segment has none."""
        nothing = np.broadcast_to(np.zeros((1, width), np.float32), (self.state.rows, width))
        return self.vectors.get(space, nothing)

    @property
    def live_table(self) -> pa.Table:
        """The rows that count, as a table."""
        return self.table.filter(pa.array(self.state.live))


def write_segment(
    folder: Path, table: pa.Table, vectors: Mapping[Space, Iterable[np.ndarray]], width: int, dtype: str
) -> SegmentState:
    """Write a new segment and fsync everything in it; on failure nothing of it is left.

    Args:
        folder: Its new folder; leftovers of an interrupted write are removed.
        table: The rows.
        vectors: Per space, blocks [n_i, E] that add up to the rows.
        width: E.
        dtype: How the vectors are stored.
    """
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True)
        files = {"rows.arrow": write_file(folder / "rows.arrow", [memoryview(_arrow_bytes(table))])}
        for space, blocks in vectors.items():
            chunks = _npy_chunks(blocks, (table.num_rows, width), dtype)
            files[f"{space}.npy"] = write_file(folder / f"{space}.npy", chunks)
        fsync_folder(folder)
        fsync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return SegmentState(folder.name, table.num_rows, files)


def check_hash(path: Path, stamp: FileStamp) -> None:
    """Read a whole file and compare its hash.

    Raises:
        IndexDamaged: If it differs.
    """
    if hash_file(path) != stamp.sha256:
        raise damaged(path, "is altered (its checksum differs)")


def damaged(path: Path, how: str) -> IndexDamaged:
    """The error for a file that is not as the state says."""
    return IndexDamaged(
        f"{path} {how}; restore the index from a backup or build it again with `radalign index`."
    )


def blocks_of(vectors: np.ndarray, rows: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """Vectors [N, E] (or the chosen rows of them) in blocks, so that a copy never holds them all."""
    count = len(vectors) if rows is None else len(rows)
    for start in range(0, count, _BLOCK_ROWS):
        part = slice(start, start + _BLOCK_ROWS)
        yield vectors[part] if rows is None else vectors[rows[part]]


def _arrow_bytes(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=_BLOCK_ROWS)
    return sink.getvalue()


def _read_rows(path: Path, rows: int) -> pa.Table:
    try:
        with pa.memory_map(str(path)) as source:
            table = pa.ipc.open_file(source).read_all()
    except pa.ArrowInvalid as error:
        raise damaged(path, f"is not an Arrow file ({error})") from error
    if table.num_rows != rows or table.schema != row_schema():
        raise damaged(path, "does not hold the rows it should")
    return table


def _npy_chunks(
    blocks: Iterable[np.ndarray], shape: tuple[int, int], dtype: str
) -> Iterator[memoryview | bytes]:
    header = BytesIO()
    kind = np.dtype(dtype).newbyteorder("<")
    description = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, description)
    yield header.getvalue()
    for block in blocks:
        yield np.ascontiguousarray(block, kind).data.cast("B")  # [n_i, E] row by row


def _map_vectors(path: Path, shape: tuple[int, int], dtype: str) -> np.ndarray:
    try:
        vectors: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise damaged(path, f"is not an array file ({error})") from error
    if vectors.shape != shape or vectors.dtype != np.dtype(dtype):
        raise damaged(path, f"is {vectors.dtype} {list(vectors.shape)} instead of {dtype} {list(shape)}")
    return vectors
