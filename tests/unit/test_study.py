"""The nouns: what they derive, what they refuse, and the Parquet round trip."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radalign.study import Finding, Manifest, ManifestError, Report, Study, View, parse_position, with_split

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VIEWS = st.builds(View, TEXT, st.sampled_from(["PA", "AP", "LL", "LATERAL", ""]), TEXT, st.integers(0, 9000))
FINDINGS = st.builds(Finding, TEXT, TEXT, TEXT, TEXT, st.floats(0, 300), TEXT)
STUDIES = st.builds(
    Study,
    id=TEXT,
    patient_id=TEXT,
    views=st.lists(VIEWS, max_size=3),
    report=st.builds(Report, TEXT, TEXT, TEXT, TEXT, TEXT),
    labels=st.dictionaries(TEXT, st.sampled_from([-1, 0, 1]), max_size=3),
    prior_study_id=TEXT,
    time_offset_days=st.none() | st.floats(-1e5, 1e5),
    date=TEXT,
    sex=st.sampled_from(["F", "M", ""]),
    age_years=st.none() | st.floats(0, 120),
    truth=st.lists(FINDINGS, max_size=2),
    extra=st.dictionaries(TEXT, TEXT, max_size=3),
)


@settings(max_examples=40)
@given(st.lists(STUDIES, max_size=4, unique_by=lambda s: s.id))
def test_a_manifest_survives_its_file(tmp_path_factory: pytest.TempPathFactory, studies: list[Study]) -> None:
    path = tmp_path_factory.mktemp("m") / "manifest.parquet"
    manifest = Manifest(studies, path.parent)
    manifest.write(path)
    again = Manifest.read(path)
    assert again.studies == manifest.studies
    assert again.sha256() == manifest.sha256()


@pytest.mark.parametrize(
    ("text", "position"),
    [("PA", "PA"), ("ap supine", "AP"), ("L", "LATERAL"), ("left  lateral", "LL"), ("frontal", "FRONTAL"),
     ("antero-posterior", "AP"), ("AP_SUPINE", "AP"), ("oblique", ""), ("", "")],
)  # fmt: skip
def test_positions_are_named_as_dicom_names_them(text: str, position: str) -> None:
    assert parse_position(text) == position


def test_the_body_is_findings_and_impression_and_never_the_indication() -> None:
    assert Report(text="whole", findings="F.", impression="I.").body == "F. I."
    assert Report(text="whole", impression=" I. ").body == "I."
    assert Report(text=" whole ").body == "whole"
    assert Report(text="INDICATION: Cough", indication="Cough").body == ""


def test_the_root_is_portable_when_inside_and_absolute_when_outside(tmp_path: Path) -> None:
    study = Study("s", "p", (View("a.png"),))
    (tmp_path / "set").mkdir()
    Manifest([study], tmp_path / "set" / "images").write(tmp_path / "set" / "m.parquet")
    (tmp_path / "set").rename(tmp_path / "moved")
    moved = Manifest.read(tmp_path / "moved" / "m.parquet")
    assert moved.image_path(study.views[0]) == tmp_path / "moved" / "images" / "a.png"

    Manifest([study], tmp_path / "elsewhere").write(tmp_path / "moved" / "n.parquet")
    assert (
        Manifest.read(tmp_path / "moved" / "n.parquet").image_path(study.views[0])
        == tmp_path / "elsewhere" / "a.png"
    )


def test_a_patient_in_two_splits_is_refused() -> None:
    with pytest.raises(ManifestError, match="Patient 'p' is in the splits 'train' and 'test'"):
        Manifest([Study("a", "p", split="train"), Study("b", "p", split="test")])


def test_a_repeated_id_is_refused() -> None:
    with pytest.raises(ManifestError, match="'a' occurs twice"):
        Manifest([Study("a", "p"), Study("a", "q")])


def test_unknown_and_missing_columns_are_named(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    pq.write_table(pa.table({"id": ["a"], "patient_id": ["p"], "views": [[]], "smoker": ["yes"]}), path)
    with pytest.raises(ManifestError, match="unknown columns smoker"):
        Manifest.read(path)
    pq.write_table(pa.table({"id": ["a"]}), path)
    with pytest.raises(ManifestError, match="lacks the columns patient_id, views"):
        Manifest.read(path)


def test_a_missing_and_a_broken_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="There is no manifest"):
        Manifest.read(tmp_path / "m.parquet")
    (tmp_path / "m.parquet").write_text("hello")
    with pytest.raises(ManifestError, match="not a readable Parquet file"):
        Manifest.read(tmp_path / "m.parquet")


def test_a_failed_write_leaves_the_old_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.parquet"
    Manifest([Study("old", "p")], tmp_path).write(path)

    def full_disk(*args: object, **kwargs: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(pq, "write_table", full_disk)
    monkeypatch.setattr(pq, "ParquetWriter", full_disk)
    with pytest.raises(OSError, match="No space"):
        Manifest([Study("new", "p")], tmp_path).write(path)
    assert [s.id for s in Manifest.read(path)] == ["old"]
    assert list(tmp_path.iterdir()) == [path]


def test_where_keeps_order_and_prior_looks_inside_the_manifest() -> None:
    studies = [Study("c", "p"), Study("a", "p", prior_study_id="c"), Study("b", "q", prior_study_id="gone")]
    manifest = Manifest(studies)
    assert [s.id for s in manifest.where(ids={"b", "c"})] == ["c", "b"]
    assert manifest.prior(manifest["a"]) == manifest["c"]
    assert manifest.prior(manifest["b"]) is None
    assert "a" in manifest
    assert "z" not in manifest


def test_with_split_leaves_unknown_patients_without() -> None:
    split = with_split([Study("a", "p"), Study("b", "q", split="test")], {"p": "train"})
    assert [s.split for s in split] == ["train", ""]


@pytest.mark.parametrize(
    ("given", "position"), [("pa", "PA"), ("ll", "LL"), ("Frontal", "FRONTAL"), ("", "")]
)
def test_a_view_brings_its_position_to_one_spelling(given: str, position: str) -> None:
    assert View("a.png", given).position == position


def test_a_view_refuses_a_position_that_is_none() -> None:
    with pytest.raises(
        ManifestError, match="unknown position 'XX'; use one of AP, FRONTAL, LATERAL, LL, PA, RL"
    ):
        View("a.png", "XX")
