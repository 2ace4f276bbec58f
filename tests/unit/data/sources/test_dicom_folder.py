"""A tree of DICOM files, grouped by what the headers say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from radalign.data.importing import ImportSettings, import_source
from radalign.data.read_slots import read_square
from radalign.data.settings import DataSettings
from radalign.data.sources.source import SourceError, SourceOptions
from radalign.images.geometry import fit_square
from radalign.images.read import read_image

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


@pytest.mark.parametrize(
    ("written", "time"),
    [("1230", "12:30:00"), ("09", "09:00:00"), ("0915", "09:15:00"), ("091503.25", "09:15:03")],
)
def test_a_time_may_leave_out_its_seconds(dicom: Dicom, tmp_path: Path, written: str, time: str) -> None:
    dicom("scans/a.dcm", **ONE | {"StudyTime": written})
    assert import_source("dicom_folder", tmp_path / "scans")[0]["1.2.1"].date == f"2026-01-02T{time}"


@pytest.mark.parametrize(
    ("words", "position"),
    [
        ("CHEST PA AND LAT", ""),  # both images of the study say so
        ("Thorax pa/lat", ""),
        ("CHEST_PA", "PA"),
        ("W033 Chest AP", "AP"),
        ("thorax, lateral.", "LATERAL"),
        ("Chest lateral decubitus", ""),  # lies on the side, seen from the front
        ("Chest LAT DECUB", ""),
        ("Flat panel, map", ""),
    ],
)
def test_a_description_names_one_view_or_none(
    dicom: Dicom, tmp_path: Path, words: str, position: str
) -> None:
    dicom("scans/a.dcm", **ONE, SeriesDescription=words)
    assert import_source("dicom_folder", tmp_path / "scans")[0]["1.2.1"].views[0].position == position


def test_where_the_series_names_two_views_the_processing_may_name_one(dicom: Dicom, tmp_path: Path) -> None:
    words = {"SeriesDescription": "CHEST PA AND LAT", "AcquisitionDeviceProcessingDescription": "CHEST LAT"}
    dicom("scans/a.dcm", **ONE, **words)
    assert import_source("dicom_folder", tmp_path / "scans")[0]["1.2.1"].views[0].position == "LATERAL"


@pytest.mark.parametrize(
    ("code", "position"),
    [
        ("R-10214", "PA"),
        ("272479007", "PA"),
        ("399348003", "AP"),
        ("R-10236", "LL"),
        ("399198007", "RL"),
        ("1", ""),
    ],
)
def test_a_view_code_counts_in_any_language(dicom: Dicom, tmp_path: Path, code: str, position: str) -> None:
    item = Dataset()
    item.CodeValue, item.CodeMeaning = code, "Durchleuchtungsrichtung"
    dicom("scans/a.dcm", **ONE, ViewCodeSequence=[item])
    assert import_source("dicom_folder", tmp_path / "scans")[0]["1.2.1"].views[0].position == position


def test_the_size_in_a_header_does_not_undo_the_shape_of_its_pixels(dicom: Dicom, tmp_path: Path) -> None:
    dicom(
        "scans/a.dcm",
        **ONE,
        PixelSpacing=["0.2", "0.1"],
        PatientOrientation=["F", "L"],
        WindowCenter=6,
        WindowWidth=12,
    )
    manifest, _ = import_source("dicom_folder", tmp_path / "scans")
    settings = DataSettings(size_px=32, geometry="pad")
    square = read_square(manifest["1.2.1"].views[0], manifest, settings)
    whole = fit_square(read_image(tmp_path / "scans" / "a.dcm"), 32, "pad")
    assert (square.any(axis=0).sum(), square.any(axis=1).sum()) == (
        whole.any(axis=0).sum(),
        whole.any(axis=1).sum(),
    )
    assert whole.any(axis=0).sum() == 32  # turned, 3 pixels of 0.2 mm lie beside 4 of 0.1 mm
