"""ALTA's five-column CSV: one row per study, its lateral, and the two views of its prior; `-1` = missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from radalign.data.exclusions import ExclusionFlow
from radalign.data.sources.csv_rows import Row, read_csv
from radalign.data.sources.source import Source, SourceOptions, beside_table
from radalign.study import Report, Study, View

COLUMNS = ("image_path", "auxview_image_path", "last_image_path", "last_auxview_image_path", "report")
LAYOUT = f"a CSV file with the columns {', '.join(COLUMNS)}, where -1 means missing"
_MISSING = frozenset({"", "-1", "-1.0", "nan"})


def is_alta(names: list[str]) -> bool:
    """Whether a header is ALTA's (an unnamed index column may stand before it)."""
    return set(COLUMNS) <= set(names) <= {*COLUMNS, "", "Unnamed: 0"}


def read(path: Path, flow: ExclusionFlow, options: SourceOptions) -> Iterator[Study]:
    """Yield each row's study, after the prior that it names when that was not yielded before.

    The table has no ids: a study is named by its first image, and a patient by the earliest study that its
    studies lead back to. A prior that is itself a row becomes one study, with its own report.
    """
    rows = [row for row in read_csv(path, flow, COLUMNS) if _usable(row, flow)]
    current = {_frontal_or_lateral(row): row for row in rows}
    patient_of = _patients(rows)
    yielded: set[str] = set()
    for row in rows:
        name, prior = _frontal_or_lateral(row), _prior_name(row)
        flow.found(studies=1)
        if name in yielded:
            flow.drop("study is listed twice", studies=1, example=name)
            continue
        yielded.add(name)
        if prior and prior not in current and prior not in yielded:
            yielded.add(prior)
            views = _views(row["last_image_path"], row["last_auxview_image_path"])
            flow.found(images=len(views), studies=1)
            yield Study(prior, patient_of[prior], views, extra={"role": "prior without a report"})
        views = _views(row["image_path"], row["auxview_image_path"])
        flow.found(images=len(views))
        report = Report(text=row["report"])
        yield Study(name, patient_of[name], views, report, prior_study_id=prior)


def _usable(row: Row, flow: ExclusionFlow) -> bool:
    if _frontal_or_lateral(row):
        return True
    flow.reject("row names no image", studies=1, example=row["report"][:80])
    return False


def _frontal_or_lateral(row: Row) -> str:
    return _path(row["image_path"]) or _path(row["auxview_image_path"])


def _prior_name(row: Row) -> str:
    return _path(row["last_image_path"]) or _path(row["last_auxview_image_path"])


def _views(frontal: str, lateral: str) -> tuple[View, ...]:
    pairs = ((_path(frontal), "FRONTAL"), (_path(lateral), "LATERAL"))
    return tuple(View(path, position) for path, position in pairs if path)


def _path(cell: str) -> str:
    return "" if cell.lower() in _MISSING else cell.replace("\\", "/")


def _patients(rows: list[Row]) -> dict[str, str]:
    """Study name to patient: studies linked as priors belong to one patient (union-find)."""
    parent: dict[str, str] = {}

    def top(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for row in rows:
        name, prior = top(_frontal_or_lateral(row)), _prior_name(row)
        if prior:
            parent[top(name)] = top(prior)
    return {name: top(name) for name in list(parent)}


SOURCE = Source(
    "alta",
    "ALTA's five-column CSV of current and prior views",
    LAYOUT,
    read,
    root=beside_table,
    from_file=True,
)
