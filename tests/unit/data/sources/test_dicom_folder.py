"""A tree of DICOM files, grouped by what the headers say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from radalign.data.importing import ImportSettings, import_source
from radalign.data.sources.source import SourceError, SourceOptions

Dicom = Callable[..., str]
ONE = {
    "StudyInstanceUID": "1.2.1",
    "PatientID": "p1",
    "AccessionNumber": "A1",
    "StudyDate": "20260102",
    "StudyTime": "091500",
}
TWO = ONE | {
    "StudyInstanceUID": "1.2.2",
    "AccessionNumber": "A2",
    "StudyDate": "20260105",
    "PatientAge": "006M",
}


@pytest.fixture
def tree(dicom: Dicom, tmp_path: Path) -> Path:
    dicom("scans/x/IM0001", **ONE, ViewPosition="PA", SOPInstanceUID="1.9.1")
    dicom("scans/y/z/2.dcm", **ONE, SeriesDescription="CHEST LAT", SOPInstanceUID="1.9.2")
    dicom("scans/y/copy.dcm", **ONE, SOPInstanceUID="1.9.2")
    dicom("scans/3.dcm", **TWO, ViewPosition="AP", PatientSex="F")
    dicom("scans/4.dcm", **TWO | {"Modality": "CT"})
    dicom("scans/5.dcm", **TWO, PresentationIntentType="FOR PROCESSING")
    dicom("scans/6.dcm", StudyInstanceUID="1.2.3", StudyDate="20261345", PatientID="")
    (tmp_path / "scans" / "7.dcm").write_bytes(bytes(128) + b"DICM" + b"\x02\x00rubbish")
    (tmp_path / "scans" / "notes").write_text("not DICOM")
    return tmp_path / "scans"


def test_files_are_grouped_and_everything_else_counted(tree: Path) -> None:
    manifest, flow = import_source("dicom_folder", tree)
    assert [s.id for s in manifest] == ["1.2.2", "1.2.3", "1.2.1"]
    first = manifest["1.2.1"]
    assert [(v.path, v.position, v.id) for v in first.views] == [
        ("x/IM0001", "PA", "1.9.1"),
        ("y/copy.dcm", "", "1.9.2"),
    ]
    assert first.date == "2026-01-02T09:15:00"
    assert manifest["1.2.2"].prior_study_id == "1.2.1"
    assert (manifest["1.2.2"].age_years, manifest["1.2.2"].sex) == (0.5, "F")
    assert manifest["1.2.3"].patient_id == "1.2.3"
    assert {name: r.images for name, r in flow.dropped.items()} == {
        "modality CT is not a radiograph": 1,
        "raw image (for processing)": 1,
        "header cannot be read": 1,
        "same image twice (SOP Instance UID)": 1,
    }
    assert flow.noted["date cannot be read, kept without"].images == 1
    assert flow.noted["header names no patient: the study counts as its own"].images == 1


def test_reports_are_found_by_accession_number(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "A2.txt").write_text("FINDINGS: Clear.\nIMPRESSION: Normal.")
    options = SourceOptions(reports=tmp_path / "reports")
    manifest, _ = import_source("dicom_folder", tree, ImportSettings(options=options))
    assert manifest["1.2.2"].report.body == "Clear. Normal."
    assert "1.2.1" in manifest  # kept as the prior of a study with a report
    assert "1.2.3" not in manifest


def test_any_modality_on_request(tree: Path) -> None:
    settings = ImportSettings(options=SourceOptions(part="any"))
    assert len(import_source("dicom_folder", tree, settings)[0]["1.2.2"].views) == 2


def test_a_file_is_not_a_folder(tree: Path) -> None:
    with pytest.raises(SourceError, match="is a file; give its folder"):
        import_source("dicom_folder", tree / "3.dcm")


@pytest.mark.parametrize(
    "name", ["CR.1.2.840.113619.2.5", "CR.1.2.840.1", "IMG0001.img", "DX-1", "a.IMA", "1.2.3", "X.DCM"]
)
def test_archives_name_files_as_they_like(dicom: Dicom, tmp_path: Path, name: str) -> None:
    dicom(f"scans/{name}", **ONE, ViewPosition="PA")
    assert [v.path for v in import_source("dicom_folder", tmp_path / "scans")[0]["1.2.1"].views] == [name]


def test_a_suffix_that_lies_and_empty_files_are_counted(tree: Path) -> None:
    for name in ("8.dcm", "9.DICOM"):
        (tree / name).write_bytes(b"<html>not found</html>")
    for name in ("10.dcm", "IM0011", ".hidden", "notes.txt"):
        (tree / name).write_bytes(b"")
    _, flow = import_source("dicom_folder", tree)
    assert flow.dropped["file is not DICOM"].images == 3
    assert flow.dropped["file is empty"].images == 1


def test_a_cut_off_copy_does_not_stand_for_the_good_one(dicom: Dicom, tmp_path: Path) -> None:
    good = tmp_path / dicom("scans/b.dcm", **ONE, ViewPosition="PA", SOPInstanceUID="1.9.1")
    (tmp_path / "scans" / "a.dcm").write_bytes(good.read_bytes()[:-12])
    (tmp_path / "scans" / "c.dcm").write_bytes(good.read_bytes())
    manifest, flow = import_source("dicom_folder", tmp_path / "scans")
    assert [v.path for v in manifest["1.2.1"].views] == ["b.dcm"]
    assert flow.dropped["same image twice (SOP Instance UID)"].images == 2


def test_a_bad_time_does_not_take_the_day_with_it(dicom: Dicom, tmp_path: Path) -> None:
    dicom("scans/a.dcm", **ONE | {"StudyTime": "250000"})
    manifest, flow = import_source("dicom_folder", tmp_path / "scans")
    assert manifest["1.2.1"].date == "2026-01-02"
    assert flow.noted["time cannot be read, day kept"].images == 1


@pytest.mark.parametrize(
    ("written", "years"), [("051Y", 51), ("51", 51), ("7", 7), ("51Y", 51), ("412Y", None), ("old", None)]
)
def test_ages_as_the_standard_and_the_challenges_write_them(
    dicom: Dicom, tmp_path: Path, written: str, years: float | None
) -> None:
    dicom("scans/a.dcm", **ONE, PatientAge=written)
    assert import_source("dicom_folder", tmp_path / "scans")[0]["1.2.1"].age_years == years
