"""The contract of every index: rows and vectors in, the nearest studies out.

    create / open ─> add, replace, delete ─> search(vectors, k, where) ─> hits
                     each is on disk when it returns, or has not happened

Scores are cosines within one system and one index; those of different systems must not be compared, so a hit
also carries its rank and the percentile of its score.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from radalign.search.errors import OtherSystem, SearchError
from radalign.search.filters import Filter
from radalign.search.rows import Row

if TYPE_CHECKING:
    import pyarrow as pa

Space = Literal["images", "reports"]
SPACES: tuple[Space, ...] = ("images", "reports")
_NORM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class MadeBy:
    """Which system an index belongs to.

    Args:
        identity: The system's SHA-256 (`System.identity`).
        width: E, the width of its vectors.
        name: Its recipe's name, for people.
        folder: Where it was loaded from, so that a search finds it again; "" if nowhere.

    >>> str(MadeBy("0123456789abcdef", 128, "clinvla"))
    'clinvla (0123456789ab, 128 wide)'
    """

    identity: str
    width: int
    name: str = ""
    folder: str = ""

    def __str__(self) -> str:
        return f"{self.name or 'unnamed'} ({self.identity[:12]}, {self.width} wide)"


@dataclass(frozen=True)
class Hit:
    """One answer.

    Args:
        study_id: Which study.
        rank: 1 for the best of this search.
        score: Cosine with the query (of a fused search: the fused score).
        percentile: Percent of the index's other studies that score lower, whatever the filter; what was asked
            with (`Filter.exclude_studies`) does not count.
        row: What the index knows about the study.
    """

    study_id: str
    rank: int
    score: float
    percentile: float
    row: Row

    def to_dict(self) -> dict[str, Any]:
        """The hit as plain values, for JSON."""
        own = {k: getattr(self, k) for k in ("study_id", "rank", "score", "percentile")}
        return own | self.row.to_dict()


class Index(ABC):
    """Embedded studies of one system; `Index.create` and `Index.open` choose the engine.

    Ties are broken by study id, so that an answer depends on what is in the index and not on its history.
    """

    folder: Path
    made_by: MadeBy

    @staticmethod
    def create(
        folder: str | Path,
        system_identity: str,
        width: int,
        *,
        name: str = "",
        system_folder: str = "",
        dtype: str = "float32",
    ) -> Index:
        """Make an empty index in a new or empty folder.

        Args:
            folder: Where it goes.
            system_identity: SHA-256 of the system whose vectors it will hold.
            width: E, the width of the vectors.
            name: The system's name, for people.
            system_folder: Where the system can be loaded from.
            dtype: `float32`, or `float16` to halve the disk space at about three decimal digits.

        Raises:
            SearchError: If the folder holds an index or anything else, or an argument is wrong.
        """
        from radalign.search.engines.flat import FlatIndex

        return FlatIndex.start(Path(folder), MadeBy(system_identity, width, name, system_folder), dtype)

    @staticmethod
    def open(folder: str | Path) -> Index:
        """Open an index; its state checksum, file sizes, headers and rows are checked.

        Raises:
            SearchError: If there is no index.
            IndexDamaged: If a file is missing, cut short or altered.
        """
        from radalign.search.engines.flat import FlatIndex

        return FlatIndex(Path(folder))

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __contains__(self, study_id: object) -> bool: ...

    @property
    @abstractmethod
    def report_count(self) -> int:
        """How many studies have a report vector."""

    @abstractmethod
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
        """Add new studies; on disk when this returns.

        Args:
            study_ids: N ids that the index does not hold.
            vectors: Image embeddings [N, E], L2-normalised.
            rows: N rows with the same ids; bare rows when left out.
            report_vectors: Report embeddings [N, E], L2-normalised where `report_mask`.
            report_mask: bool [N], which studies have a report; all when left out.
            identity: The identity of the system that made the vectors, checked when given.

        Raises:
            SearchError: If an id is there already or occurs twice, or a shape, type or length is wrong.
            OtherSystem: If another system made the vectors.
            IndexBusy: If another process is writing.
            StorageError: If the disk refuses; nothing has changed then.
        """

    @abstractmethod
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
        """Add studies, or replace those that the index holds already; as `add` otherwise.

        Returns:
            How many were replaced.
        """

    @abstractmethod
    def delete(self, study_ids: Sequence[str]) -> None:
        """Delete studies; on disk when this returns.

        Raises:
            SearchError: If an id is not in the index; then nothing is deleted.
        """

    @abstractmethod
    def search(
        self, vectors: np.ndarray, k: int = 10, where: Filter | None = None, space: Space = "images"
    ) -> list[list[Hit]]:
        """The `k` nearest studies of every query, exactly.

        Args:
            vectors: Queries [Q, E] (or one [E]), L2-normalised.
            k: Hits per query; fewer only if fewer studies pass the filter.
            where: Which studies may answer.
            space: Compare with the studies' `images` or with their `reports`.

        Returns:
            One list of hits per query, best first.
        """

    @abstractmethod
    def scores(self, vectors: np.ndarray, space: Space = "images") -> np.ndarray:
        """All scores, float64 [Q, N] in the order of `table`, NaN where a study has no such vector."""

    @abstractmethod
    def table(self) -> pa.Table:
        """All rows as an Arrow table of N rows."""

    @abstractmethod
    def vector(self, study_id: str, space: Space = "images") -> np.ndarray:
        """The stored vector [E] of a study.

        Raises:
            SearchError: If the index does not hold it; close ids are suggested.
        """

    @abstractmethod
    def compact(self) -> None:
        """Rewrite the files without what was deleted or replaced."""

    @abstractmethod
    def verify(self) -> int:
        """Read and check every byte.

        Returns:
            The number of bytes checked.

        Raises:
            IndexDamaged: If a checksum differs.
        """

    @abstractmethod
    def writing(self) -> AbstractContextManager[None]:
        """Hold the right to write over several changes, so that no other process comes between.

        Raises:
            IndexBusy: If another process is writing.
        """

    @abstractmethod
    def reload(self) -> None:
        """Look at the disk again, to see what other processes have acknowledged since."""

    def require(self, identity: str, name: str = "") -> None:
        """Refuse vectors of any system but the index's own.

        Raises:
            OtherSystem: Naming both.
        """
        if identity != self.made_by.identity:
            raise OtherSystem(
                f"The index {self.folder} was made by the system {self.made_by}; these vectors come from "
                f"{name or 'another system'} ({identity[:12]}). Scores of different systems cannot be "
                "compared: use that system, or build a new index with `radalign index`."
            )


def check_vectors(vectors: np.ndarray, width: int, what: str) -> np.ndarray:
    """Vectors as float32 [N, E]; anything that is not finite and L2-normalised is refused.

    Raises:
        OtherSystem: If the width differs from the index's.
        SearchError: If the shape is wrong or a vector is not finite or not of length 1.

    >>> check_vectors(np.array([0.6, 0.8]), 2, "query").shape
    (1, 2)
    """
    array = np.atleast_2d(np.asarray(vectors, np.float32))
    if array.ndim != 2:
        raise SearchError(f"The {what} vectors must be [N, {width}]; got {list(np.shape(vectors))}.")
    if array.shape[1] != width:
        raise OtherSystem(
            f"The {what} vectors are {array.shape[1]} wide and the index {width}; another system made them. "
            "Use the system that made the index, or build a new index with `radalign index`."
        )
    length = np.linalg.norm(array, axis=1)
    wrong = np.flatnonzero(~(np.abs(length - 1) <= _NORM_TOLERANCE))  # also catches NaN
    if len(wrong):
        raise SearchError(
            f"The {what} vector {wrong[0]} has length {length[wrong[0]]:.4g} instead of 1; "
            "divide vectors by their length. A system that gives such vectors was never trained."
        )
    return array
