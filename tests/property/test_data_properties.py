"""What holds for any data: no patient in two parts, no image lost uncounted, no text changed."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from radalign.data.importing import ImportSettings, import_source
from radalign.data.sources.source import SourceError
from radalign.data.split import split_studies
from radalign.study import Manifest, Study

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=8)
IMAGES = ("good.png", "other.png", "broken.png", "gone.png", "-1", "")


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 99)), max_size=40), st.integers(0, 9))
def test_a_split_never_shares_a_patient(rows: list[tuple[int, int]], seed: int) -> None:
    studies = [Study(f"s{n}", f"p{patient}-{more % 3}") for n, (patient, more) in enumerate(rows)]
    done = Manifest(split_studies(studies, (50, 20, 30), seed))  # refuses a shared patient
    parts = [{s.patient_id for s in done.where(split=name)} for name in ("train", "validate", "test")]
    assert sum(map(len, parts)) == len({s.patient_id for s in studies})
    assert all(s.split for s in done)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("images")
    for name in ("good.png", "other.png"):
        Image.new("L", (2, 2)).save(path / name)
    (path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n....")
    return path


@settings(max_examples=30)
@given(rows=st.lists(st.tuples(st.sampled_from(IMAGES), WORDS, WORDS, WORDS, WORDS), min_size=1, max_size=8))
def test_every_row_of_a_table_is_kept_or_counted(folder: Path, rows: list[tuple[str, ...]]) -> None:
    path = folder / "table.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("image", "study_id", "patient_id", "report", "date"), *rows])
    if not {"good.png", "other.png"} & {row[0] for row in rows}:
        with pytest.raises(SourceError, match="can be used"):
            import_source("table", path)
        return
    manifest, flow = import_source("table", path, ImportSettings(reports="keep"))
    assert flow.images_found == len(rows)
    assert flow.images_found - sum(r.images for r in flow.dropped.values()) == flow.images_kept
    assert flow.images_kept == sum(len(s.views) for s in manifest)
    assert {v.path for s in manifest for v in s.views} <= {"good.png", "other.png"}


def said(cell: str) -> str:
    """What a cell of text says: programs write nan, null or n/a for nothing."""
    return "" if cell.strip().lower() in ("nan", "null", "n/a") else cell.strip()


@settings(max_examples=20)
@given(studies=st.lists(st.tuples(WORDS, WORDS, WORDS), min_size=1, max_size=5))
@example(studies=[("", "NAN", "n/a"), ("null", "none", "nan")])
def test_a_table_round_trip_keeps_the_text(folder: Path, studies: list[tuple[str, str, str]]) -> None:
    path = folder / "round.csv"
    rows = []
    for number, texts in enumerate(studies):
        Image.new("L", (1, 1)).save(folder / f"{number}.png")
        rows.append((f"{number}.png", f"s{number}", f"p{number}", *texts))
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows(
            [("image", "study_id", "patient_id", "findings", "impression", "note"), *rows]
        )
    manifest, _ = import_source("table", path, ImportSettings(reports="keep"))
    for study, (findings, impression, note) in zip(manifest, studies, strict=True):
        assert (study.report.findings, study.report.impression) == (said(findings), said(impression))
        assert study.extra.get("note", "") == note.strip()
