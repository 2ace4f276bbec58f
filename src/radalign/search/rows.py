"""What an index knows about a study beside its vectors, so that filters and thumbnails need no manifest.

Study + Manifest ──row_of──> Row <──> one row of an Arrow table
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from radalign.study import FRONTAL_POSITIONS, Manifest, Study

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Row:
    """One study of an index.

    Args:
        study_id: Unique within the index.
        patient_id: Whose study it is.
        positions: One DICOM ViewPosition per image, "" where unknown.
        image_paths: One path per image, relative to `root`.
        root: Folder that the image paths start from.
        present: Labels that are present.
        absent: Labels that are known to be absent.
        unsure: Labels that the report leaves open.
        sex: `F`, `M` or "".
        age_years: None if unknown.
        date: ISO date, "" if unknown.
        time_offset_days: Days since a per-patient origin, None if unknown.
        split: `train`, `validate`, `test` or "".
        source: Where the study comes from.
        report: The report's body.
        content_sha256: Hash of everything that decided the vectors; an unchanged study is not embedded again.

    >>> Row("s1", positions=("LL", "PA"), image_paths=("l.png", "f.png"), root="/data").thumbnail
    PosixPath('/data/f.png')
    """

    study_id: str
    patient_id: str = ""
    positions: tuple[str, ...] = ()
    image_paths: tuple[str, ...] = ()
    root: str = ""
    present: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()
    sex: str = ""
    age_years: float | None = None
    date: str = ""
    time_offset_days: float | None = None
    split: str = ""
    source: str = ""
    report: str = ""
    content_sha256: str = ""

    @property
    def thumbnail(self) -> Path | None:
        """The image to show: the first frontal one, else the first, else None."""
        pairs = list(zip(self.positions, self.image_paths, strict=True))
        frontal = (path for position, path in pairs if position in FRONTAL_POSITIONS)
        chosen = next(frontal, pairs[0][1] if pairs else None)
        return None if chosen is None else Path(self.root) / chosen

    def to_dict(self) -> dict[str, Any]:
        """The row as plain values, for JSON."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in vars(self).items()}


def row_of(study: Study, manifest: Manifest, content_sha256: str = "") -> Row:
    """The row of a manifest's study."""
    by_value = {value: sorted(n for n, v in study.labels.items() if v == value) for value in (1, 0, -1)}
    return Row(
        study_id=study.id,
        patient_id=study.patient_id,
        positions=tuple(view.position for view in study.views),
        image_paths=tuple(view.path for view in study.views),
        root=str(manifest.root.absolute()),
        present=tuple(by_value[1]),
        absent=tuple(by_value[0]),
        unsure=tuple(by_value[-1]),
        sex=study.sex,
        age_years=study.age_years,
        date=study.date,
        time_offset_days=study.time_offset_days,
        split=study.split,
        source=study.source,
        report=study.report.body,
        content_sha256=content_sha256,
    )


def row_schema() -> pa.Schema:
    """The Arrow schema of rows; `has_report` says whether the study has a report vector."""
    import pyarrow as pa

    kinds = {"tuple[str, ...]": pa.list_(pa.string()), "float | None": pa.float64(), "str": pa.string()}
    own = [(f.name, kinds[str(f.type)]) for f in fields(Row)]
    return pa.schema([*own, ("has_report", pa.bool_())])


def table_of(rows: Sequence[Row], has_report: Sequence[bool]) -> pa.Table:
    """Rows as an Arrow table with the schema of `row_schema`."""
    import pyarrow as pa

    columns: dict[str, list[Any]] = {f.name: [getattr(row, f.name) for row in rows] for f in fields(Row)}
    return pa.table(columns | {"has_report": [bool(has) for has in has_report]}, row_schema())


def rows_of(table: pa.Table) -> list[Row]:
    """Arrow rows as dataclasses."""
    return [_row(record) for record in table.drop_columns(["has_report"]).to_pylist()]


def rows_at(table: pa.Table, positions: np.ndarray) -> list[Row]:
    """Some rows of a table, in the order of `positions`; touches only the chunks that hold them."""
    import pyarrow as pa

    batches = table.to_batches()
    starts = np.cumsum([0, *(batch.num_rows for batch in batches)])
    found: dict[int, Row] = {}
    which = np.searchsorted(starts, positions, side="right") - 1
    for i in np.unique(which).tolist():
        here = positions[which == i]
        piece = batches[i].take(pa.array(here - starts[i]))
        found |= zip(here.tolist(), rows_of(pa.Table.from_batches([piece])), strict=True)
    return [found[p] for p in positions.tolist()]


def _row(record: dict[str, Any]) -> Row:
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in record.items()}
    return Row(**values)
