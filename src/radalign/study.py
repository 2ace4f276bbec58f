"""The nouns: a study has views and a report; a manifest is a set of studies in one Parquet file.

    View (one image) ─┐
    Report (sections) ─┼─> Study ──> Manifest <──> one Parquet file, one row per study
    Finding (truth)   ─┘

Everything above this floor speaks in these words. Nothing here imports torch or reads pixels.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radalign.positions import FRONTAL_POSITIONS as FRONTAL_POSITIONS
from radalign.positions import LATERAL_POSITIONS as LATERAL_POSITIONS
from radalign.positions import parse_position as parse_position

if TYPE_CHECKING:
    import pyarrow as pa

SPLITS = ("train", "validate", "test")
SCHEMA_VERSION = 1
_ROW_GROUP = 8_192


class ManifestError(ValueError):
    """A manifest cannot be read or breaks one of its own rules; the message says what to do."""


@dataclass(frozen=True)
class View:
    """One image of a study.

    Args:
        path: Image file; absolute, or relative to the manifest's `root`.
        position: A DICOM ViewPosition (`PA`, `AP`, `LL`, `RL`), `FRONTAL` or `LATERAL`, or "" for unknown;
            other spellings that `parse_position` knows are brought to these.
        id: The image's own id (SOP Instance UID where there is one).
        original_width_px: Width before the source resized it, 0 if unknown; restores a squashed aspect ratio.
        original_height_px: Height before the source resized it, 0 if unknown.

    Raises:
        ManifestError: If the position is none of these.

    >>> View("a.png", "pa").position, View("b.png", "LL").is_lateral, View("c.png").is_frontal
    ('PA', True, False)
    """

    path: str
    position: str = ""
    id: str = ""
    original_width_px: int = 0
    original_height_px: int = 0

    def __post_init__(self) -> None:
        position = parse_position(self.position)
        if self.position.strip() and not position:
            # A position that nothing knows would later be reported as a study without a view.
            raise ManifestError(
                f"The view {self.path} has the unknown position {self.position!r}; use one of "
                f'{", ".join(sorted(FRONTAL_POSITIONS | LATERAL_POSITIONS))}, or "" when it is not known.'
            )
        object.__setattr__(self, "position", position)

    @property
    def is_frontal(self) -> bool:
        """Whether the position is a frontal one."""
        return self.position in FRONTAL_POSITIONS

    @property
    def is_lateral(self) -> bool:
        """Whether the position is a lateral one."""
        return self.position in LATERAL_POSITIONS


@dataclass(frozen=True)
class Report:
    """A report as sections; `text` keeps the whole when the source gives no sections.

    >>> Report(findings="Clear lungs.", impression="Normal.").body
    'Clear lungs. Normal.'
    >>> Report(text="Small effusion.").body
    'Small effusion.'
    """

    text: str = ""
    findings: str = ""
    impression: str = ""
    indication: str = ""
    comparison: str = ""

    @property
    def body(self) -> str:
        """What describes the images: findings and impression, or the whole text when there are no sections.

        >>> Report(text="INDICATION: Cough.", indication="Cough.").body
        ''
        """
        sections = [s.strip() for s in (self.findings, self.impression) if s.strip()]
        if sections or self.indication.strip() or self.comparison.strip():
            return " ".join(sections)
        return self.text.strip()


@dataclass(frozen=True)
class Finding:
    """One finding of a simulated study, as it was placed in the volume: the exact truth.

    Args:
        name: The finding (`Effusion`, `Pneumothorax`, ...).
        side: `left`, `right`, `both` or "" where a side makes no sense.
        location: Zone or lobe, as the grammar names it.
        severity: `small`, `moderate`, `large` (or "").
        size_mm: Largest extent in millimetres, 0 where a size makes no sense.
        change: Against the prior: `new`, `better`, `worse`, `stable`, `resolved`, or "" without a prior.
    """

    name: str
    side: str = ""
    location: str = ""
    severity: str = ""
    size_mm: float = 0.0
    change: str = ""


@dataclass(frozen=True)
class Study:
    """One imaging examination of one patient at one time.

    Args:
        id: Unique within a manifest.
        patient_id: The patient; a split never shares one.
        views: The images, in the source's order.
        report: The report's sections.
        labels: Label to 1 (present), 0 (absent) or -1 (unsure); a label not named is unknown.
        split: `train`, `validate`, `test` or "" when not split.
        prior_study_id: The same patient's latest earlier study, "" if none.
        time_offset_days: Days since a per-patient origin, None if unknown.
        date: ISO date or date and time, "" if unknown.
        sex: `F`, `M` or "".
        age_years: None if unknown.
        source: Where the study comes from.
        licence: The licence the source states.
        truth: What a simulator placed; empty for real studies.
        extra: Source-specific columns, kept verbatim.

    >>> s = Study("s1", "p1", (View("f.png", "PA"), View("l.png", "LL")), labels={"Edema": 1, "Nodule": 0})
    >>> s.frontal.path, s.lateral.path, s.positives
    ('f.png', 'l.png', ('Edema',))
    """

    id: str
    patient_id: str
    views: tuple[View, ...] = ()
    report: Report = field(default_factory=Report)
    labels: Mapping[str, int] = field(default_factory=dict)
    split: str = ""
    prior_study_id: str = ""
    time_offset_days: float | None = None
    date: str = ""
    sex: str = ""
    age_years: float | None = None
    source: str = ""
    licence: str = ""
    truth: tuple[Finding, ...] = ()
    extra: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "views", tuple(self.views))
        object.__setattr__(self, "truth", tuple(self.truth))

    @property
    def frontal(self) -> View | None:
        """The first frontal view, or None."""
        return next((v for v in self.views if v.is_frontal), None)

    @property
    def lateral(self) -> View | None:
        """The first lateral view, or None."""
        return next((v for v in self.views if v.is_lateral), None)

    @property
    def positives(self) -> tuple[str, ...]:
        """The labels that are present, sorted."""
        return tuple(sorted(name for name, value in self.labels.items() if value == 1))


@dataclass(frozen=True)
class Manifest:
    """A set of studies; read from and written to one Parquet file.

    Args:
        studies: Rows, ids unique.
        root: Folder that relative view paths start from.

    Raises:
        ManifestError: If two studies share an id, or a patient is in two splits.

    >>> m = Manifest([Study("a", "p", split="train"), Study("b", "q", split="test")])
    >>> len(m), [s.id for s in m.where(split="test")], m["a"].patient_id
    (2, ['b'], 'p')
    """

    studies: tuple[Study, ...]
    root: Path = Path()

    def __init__(self, studies: Iterable[Study], root: str | Path = ".") -> None:
        object.__setattr__(self, "studies", tuple(studies))
        object.__setattr__(self, "root", Path(root))
        object.__setattr__(self, "_by_id", {s.id: s for s in self.studies})
        _check(self.studies, self._by_id)

    _by_id: dict[str, Study] = field(init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.studies)

    def __iter__(self) -> Iterator[Study]:
        return iter(self.studies)

    def __getitem__(self, study_id: str) -> Study:
        return self._by_id[study_id]

    def __contains__(self, study_id: object) -> bool:
        return study_id in self._by_id

    def image_path(self, view: View) -> Path:
        """Absolute path of a view's image."""
        return (self.root / view.path).absolute()

    def prior(self, study: Study) -> Study | None:
        """The study's prior if it has one and this manifest holds it."""
        return self._by_id.get(study.prior_study_id) if study.prior_study_id else None

    def where(self, split: str | None = None, ids: Iterable[str] | None = None) -> Manifest:
        """The studies of one split and/or with the given ids, in this manifest's order."""
        keep = None if ids is None else set(ids)
        chosen = (s for s in self.studies if split is None or s.split == split)
        return Manifest((s for s in chosen if keep is None or s.id in keep), self.root)

    def with_studies(self, studies: Iterable[Study]) -> Manifest:
        """The same root with other studies."""
        return Manifest(studies, self.root)

    def sha256(self) -> str:
        """A hash of the content (not of the file's bytes), recorded with every result."""
        rows = (json.dumps(_to_row(s), sort_keys=True, ensure_ascii=False) for s in self.studies)
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()

    def write(self, path: str | Path) -> None:
        """Write one Parquet file, atomically; a root inside its folder is stored relative, so it can move."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        meta = {
            "radalign.schema": str(SCHEMA_VERSION),
            "radalign.root": _portable_root(self.root, path.parent),
        }
        schema = parquet_schema().with_metadata(meta)
        partial = path.with_name(path.name + ".partial")
        try:
            with pq.ParquetWriter(partial, schema, compression="zstd") as writer:
                for start in range(0, max(len(self.studies), 1), _ROW_GROUP):
                    rows = [_to_row(s) for s in self.studies[start : start + _ROW_GROUP]]
                    writer.write_table(pa.Table.from_pylist(rows, schema=schema))
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def read(cls, path: str | Path) -> Manifest:
        """Read a manifest that `write` (or anything with the same columns) made.

        Raises:
            ManifestError: If the file is missing, is not Parquet, lacks a needed column or has an unknown
                one.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = Path(path)
        if not path.is_file():
            raise ManifestError(
                f"There is no manifest at {path}; make one with `radalign data import` or `simulate`."
            )
        try:
            table = pq.read_table(path)
        except (pa.ArrowInvalid, OSError) as error:
            raise ManifestError(
                f"{path} is not a readable Parquet file ({error}); import the data again."
            ) from error
        _check_columns(path, table.column_names)
        meta = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
        root = path.parent / meta.get("radalign.root", ".")
        rows = (row for batch in table.to_batches(_ROW_GROUP) for row in batch.to_pylist())
        return cls((_from_row(row) for row in rows), root)


def parquet_schema() -> pa.Schema:
    """The one schema of every source: one row per study, views and truth nested."""
    import pyarrow as pa

    text, whole, real = pa.string(), pa.int32(), pa.float64()
    view = pa.struct([("path", text), ("position", text), ("id", text),
                      ("original_width_px", whole), ("original_height_px", whole)])  # fmt: skip
    report = pa.struct(
        [(name, text) for name in ("text", "findings", "impression", "indication", "comparison")]
    )
    finding = pa.struct([("name", text), ("side", text), ("location", text), ("severity", text),
                         ("size_mm", real), ("change", text)])  # fmt: skip
    return pa.schema([
        ("id", text), ("patient_id", text), ("views", pa.list_(view)), ("report", report),
        ("labels", pa.map_(text, pa.int8())), ("split", text), ("prior_study_id", text),
        ("time_offset_days", real), ("date", text), ("sex", text), ("age_years", real),
        ("source", text), ("licence", text), ("truth", pa.list_(finding)), ("extra", pa.map_(text, text)),
    ])  # fmt: skip


def _to_row(study: Study) -> dict[str, Any]:
    row = {f: getattr(study, f) for f in Study.__dataclass_fields__}
    return row | {
        "views": [vars(v) for v in study.views],
        "report": vars(study.report),
        "labels": sorted(study.labels.items()),
        "truth": [vars(f) for f in study.truth],
        "extra": sorted(study.extra.items()),
    }


def _from_row(row: dict[str, Any]) -> Study:
    known = {k: v for k, v in row.items() if v is not None}
    return Study(**known | {
        "views": tuple(View(**_present(v)) for v in known.get("views", ())),
        "report": Report(**_present(known.get("report", {}))),
        "labels": dict(known.get("labels", ())),
        "truth": tuple(Finding(**_present(f)) for f in known.get("truth", ())),
        "extra": dict(known.get("extra", ())),
    })  # fmt: skip


def _present(row: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in row.items() if v is not None}


def _portable_root(root: Path, folder: Path) -> str:
    root, folder = root.absolute(), folder.absolute()
    return str(root.relative_to(folder)) if root.is_relative_to(folder) else str(root)


def _check_columns(path: Path, names: list[str]) -> None:
    unknown = sorted(set(names) - set(Study.__dataclass_fields__))
    if unknown:
        raise ManifestError(
            f"{path} has unknown columns {', '.join(unknown)}; "
            "keep source-specific values in the map column `extra`."
        )
    missing = sorted({"id", "patient_id", "views"} - set(names))
    if missing:
        raise ManifestError(
            f"{path} lacks the columns {', '.join(missing)}; import it with `radalign data import table`."
        )


def _check(studies: tuple[Study, ...], by_id: Mapping[str, Study]) -> None:
    if len(by_id) != len(studies):
        seen: set[str] = set()
        twice = next(s.id for s in studies if s.id in seen or seen.add(s.id))  # type: ignore[func-returns-value]
        raise ManifestError(f"Study id {twice!r} occurs twice; ids must be unique within a manifest.")
    split_of: dict[str, str] = {}
    for study in studies:
        if split_of.setdefault(study.patient_id, study.split) != study.split:
            raise ManifestError(
                f"Patient {study.patient_id!r} is in the splits {split_of[study.patient_id]!r} and "
                f"{study.split!r}; "
                "split by patient with `radalign data split`."
            )


def with_split(studies: Iterable[Study], split_of_patient: Mapping[str, str]) -> list[Study]:
    """Copies of the studies whose split is their patient's."""
    return [replace(s, split=split_of_patient.get(s.patient_id, "")) for s in studies]
