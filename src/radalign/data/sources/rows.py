"""From one row per image to studies: most public tables are written that way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from radalign.data.exclusions import ExclusionFlow
from radalign.data.own_split import one_split
from radalign.study import Report, Study, View


@dataclass(slots=True)
class ImageRow:
    """One image and what its table row says about its study.

    Args:
        view: The image.
        study_id: Rows of one study share it.
        patient_id: The patient.
        report: The study's report; rows of one study should agree.
        labels: Label to 1, 0 or -1; rows of one study are joined, present before unsure before absent.
        extra: Source-specific cells, kept verbatim.
        left_out: Reason and example when the source itself says not to use the image.
    """

    view: View
    study_id: str
    patient_id: str
    report: Report = field(default_factory=Report)
    labels: Mapping[str, int] = field(default_factory=dict)
    split: str = ""
    date: str = ""
    time_offset_days: float | None = None
    sex: str = ""
    age_years: float | None = None
    source: str = ""
    licence: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, str] | None = None


def studies_from_rows(rows: Iterable[ImageRow], flow: ExclusionFlow) -> Iterator[Study]:
    """Group rows by study, in order of first appearance; counts everything found and every row turned away.

    A row is turned away when its source says so, when its image was listed before, or when its study belongs
    to another patient. Where rows of one study disagree about the report, the first non-empty one is kept and
    the study is noted.
    """
    groups: dict[str, list[ImageRow]] = {}
    seen: set[str] = set()
    for row in rows:
        group = groups.setdefault(row.study_id, [])
        if reason := row.left_out or _fault(row, group, seen):
            flow.reject(reason[0], images=1, example=reason[1])
        else:
            flow.found(images=1)
            seen.add(row.view.path)
            group.append(row)
    for name, group in groups.items():
        if group:
            flow.found(studies=1)
            yield _study(group, flow)
        else:
            flow.reject("study has no usable image", studies=1, example=name)


def _fault(row: ImageRow, group: list[ImageRow], seen: set[str]) -> tuple[str, str] | None:
    if row.view.path in seen:
        return "image is listed twice", row.view.path
    if group and group[0].patient_id != row.patient_id:
        what = f"{row.view.path}: study {row.study_id} of {group[0].patient_id}, not {row.patient_id}"
        return "study id is used by two patients", what
    return None


def _study(rows: list[ImageRow], flow: ExclusionFlow) -> Study:
    first = rows[0]
    return Study(
        id=first.study_id,
        patient_id=first.patient_id,
        views=tuple(row.view for row in rows),
        report=_report(rows, flow),
        labels=_labels(rows),
        split=one_split((row.split for row in rows), first.study_id, flow),
        time_offset_days=next((r.time_offset_days for r in rows if r.time_offset_days is not None), None),
        date=_first(row.date for row in rows),
        sex=_first(row.sex for row in rows),
        age_years=next((r.age_years for r in rows if r.age_years is not None), None),
        source=_first(row.source for row in rows),
        licence=_first(row.licence for row in rows),
        extra=_extra(rows),
    )


def _report(rows: list[ImageRow], flow: ExclusionFlow) -> Report:
    different = list(dict.fromkeys(row.report for row in rows if row.report != Report()))
    if len(different) > 1:
        reason, name = "images of one study had different reports, first kept", rows[0].study_id
        flow.note(reason, studies=1, example=name, of=name)
    return different[0] if different else Report()


def _labels(rows: list[ImageRow]) -> dict[str, int]:
    """Present beats unsure beats absent; a list of one is the common case and is not copied twice.

    >>> rows = [ImageRow(View(p), "s", "p", labels=v) for p, v in (("a", {"X": 0, "Y": -1}), ("b", {"X": 1}))]
    >>> _labels(rows)
    {'X': 1, 'Y': -1}
    """
    joined = dict(rows[0].labels)
    for row in rows[1:]:
        for name, value in row.labels.items():
            joined[name] = max(joined.get(name, value), value, key=(0, -1, 1).index)
    return joined


def _extra(rows: list[ImageRow]) -> dict[str, str]:
    """Cells as they are; where the images of a study differ, all of them in view order, between bars."""
    extra = {}
    for name in dict.fromkeys(name for row in rows for name in row.extra):
        cells = [row.extra.get(name, "") for row in rows]
        value = cells[0] if len(set(cells)) == 1 else " | ".join(cells)
        if value:
            extra[name] = value
    return extra


def _first(values: Iterable[str]) -> str:
    return next((value for value in values if value), "")
