"""What an `add` or a `replace` brings, checked before anything is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from radalign.search.errors import SearchError
from radalign.search.index import Space, check_vectors
from radalign.search.rows import Row, table_of


@dataclass(frozen=True)
class Batch:
    """Studies to be written: ids, their rows as a table, image and report vectors float32 [N, E]."""

    ids: tuple[str, ...]
    table: pa.Table
    images: np.ndarray
    reports: np.ndarray

    def vectors(self, space: Space) -> np.ndarray:
        """The vectors of one space, zeros where a study has none."""
        return self.images if space == "images" else self.reports

    @classmethod
    def checked(
        cls,
        study_ids: Sequence[str],
        vectors: np.ndarray,
        rows: Sequence[Row] | None,
        report_vectors: np.ndarray | None,
        report_mask: np.ndarray | None,
        width: int,
    ) -> Batch:
        """Check ids, shapes, lengths and finiteness; see `Index.add`.

        Raises:
            SearchError: If anything does not fit.
        """
        ids = tuple(study_ids)
        _check_ids(ids)
        rows = [Row(i) for i in ids] if rows is None else list(rows)
        if [row.study_id for row in rows] != list(ids):
            raise SearchError("The rows must have the ids of the studies, in the same order.")
        images = check_vectors(vectors, width, "image") if ids else np.zeros((0, width), np.float32)
        _check_count(images, ids, "image")
        reports, mask = _reports(report_vectors, report_mask, len(ids), width)
        return cls(ids, table_of(rows, mask.tolist()), images, reports)


def _reports(
    vectors: np.ndarray | None, mask: np.ndarray | None, count: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Report vectors [N, E], zeros where absent, and their mask bool [N]."""
    out = np.zeros((count, width), np.float32)
    if vectors is None:
        return out, np.zeros(count, bool)
    mask = np.ones(count, bool) if mask is None else np.asarray(mask, bool)
    if len(mask) != count or len(vectors) != count:
        raise SearchError(f"{count} studies need {count} report vectors and mask values; leave gaps masked.")
    if mask.any():
        out[mask] = check_vectors(np.asarray(vectors)[mask], width, "report")
    return out, mask


def _check_ids(ids: tuple[str, ...]) -> None:
    empty = [i for i in ids if not isinstance(i, str) or not i]
    if empty:
        raise SearchError(f"A study id must be a text that is not empty; got {empty[0]!r}.")
    twice = [i for i, n in Counter(ids).items() if n > 1]
    if twice:
        raise SearchError(f"Study {twice[0]!r} occurs twice in one batch; give every study once.")


def _check_count(vectors: np.ndarray, ids: tuple[str, ...], what: str) -> None:
    if len(vectors) != len(ids):
        raise SearchError(f"{len(ids)} studies need {len(ids)} {what} vectors; got {len(vectors)}.")
