"""Two challenges on DICOM copies of ChestX-ray14: boxes per row, run-length masks per row."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from radalign.data.importing import ImportSettings, import_source
from radalign.data.sources.source import SourceError, SourceOptions

Dicom = Callable[..., str]
Table = Callable[..., Path]


@pytest.fixture
def rsna(dicom: Dicom, table: Table, tmp_path: Path) -> Path:
    table(
        [
            "patientId,x,y,width,height,Target",
            "u1,,,,,0",
            "u2,264.0,152.0,213.0,379.0,1",
            "u2,562.0,152.0,256.0,453.0,1",
        ],
        "stage_2_train_labels.csv",
    )
    table(
        ["patientId,class", "u1,Normal", "u2,Lung Opacity", "u2,Lung Opacity"],
        "stage_2_detailed_class_info.csv",
    )
    header = {"ViewPosition": "AP", "PatientSex": "F", "PatientAge": "051Y"}
    for name in ("stage_2_train_images/u1", "stage_2_train_images/u2", "stage_2_test_images/u3"):
        dicom(f"{name}.dcm", **header)
    return tmp_path


def test_targets_boxes_and_headers(rsna: Path) -> None:
    manifest, flow = import_source("rsna", rsna)
    assert [(s.id, dict(s.labels)) for s in manifest] == [("u1", {"Pneumonia": 0}), ("u2", {"Pneumonia": 1})]
    assert [box["x_px"] for box in json.loads(manifest["u2"].extra["boxes"])] == [264, 562]
    assert manifest["u1"].extra == {"class": "Normal"}
    assert (manifest["u1"].views[0].position, manifest["u1"].sex) == ("AP", "F")
    assert flow.noted["patient unknown: each image counts as its own patient"].images == 2


def test_the_mapping_tells_the_patients(rsna: Path) -> None:
    mapping = [
        {"subset_img_id": name, "img_id": f"00011000_00{n}.png"} for n, name in enumerate(("u1", "u2"))
    ]
    (rsna / "pneumonia-challenge-dataset-mappings_2018.json").write_text(json.dumps(mapping))
    manifest, flow = import_source("rsna", rsna)
    assert {s.patient_id for s in manifest} == {"11000"}
    assert len({s.split for s in manifest}) == 1
    assert not flow.noted.get("patient unknown: each image counts as its own patient")


def test_the_test_images_have_no_labels(rsna: Path) -> None:
    settings = ImportSettings(options=SourceOptions(part="test"))
    assert [(s.id, dict(s.labels)) for s in import_source("rsna", rsna, settings)[0]] == [("u3", {})]
    with pytest.raises(SourceError, match="no part 'middle'"):
        import_source("rsna", rsna, ImportSettings(options=SourceOptions(part="middle")))


@pytest.mark.parametrize("bytes_left", [0, 200, 400])
def test_a_file_cut_off_in_its_header_is_no_view_without_a_position(rsna: Path, bytes_left: int) -> None:
    path = rsna / "stage_2_train_images" / "u1.dcm"
    path.write_bytes(path.read_bytes()[:bytes_left])
    manifest, flow = import_source("rsna", rsna)
    assert [s.id for s in manifest] == ["u2"]
    assert flow.dropped["header cannot be read"].images == 1


@pytest.mark.parametrize(
    ("name", "header"),
    [("train-rle.csv", "ImageId, EncodedPixels"), ("stage_2_train.csv", "ImageId,EncodedPixels")],
)
def test_masks_of_siim(dicom: Dicom, table: Table, tmp_path: Path, name: str, header: str) -> None:
    table([header, "1.2.3.4, -1", "1.2.3.5, 100 5 200 3", "1.2.3.5,7 2"], name)
    dicom("dicom-images-train/1.2/1.2.3/1.2.3.4.dcm", PatientID="p7", ViewPosition="PA")
    dicom("dicom-images-train/1.2/1.2.3/1.2.3.5.dcm", PatientID="p7")
    manifest, _ = import_source("siim", tmp_path)
    assert [(s.labels["Pneumothorax"], s.patient_id, s.views[0].position) for s in manifest] == [
        (0, "p7", "PA"),
        (1, "p7", ""),
    ]
    assert json.loads(manifest["1.2.3.5"].extra["masks_rle"]) == ["100 5 200 3", "7 2"]


def test_rows_that_repeat_or_contradict_others_are_counted(rsna: Path) -> None:
    table = rsna / "stage_2_train_labels.csv"
    table.write_text(
        table.read_text()
        + "u2,562.0,152.0,256.0,453.0,1\n,1,1,1,1,1\nu1,1,1,1,1,maybe\nu4,,,,,0\nu4,1,1,1,1,1\nu5,,,,,2\n"
    )
    manifest, flow = import_source("rsna", rsna)
    assert [box["x_px"] for box in json.loads(manifest["u2"].extra["boxes"])] == [264, 562]
    assert manifest["u1"].labels == {"Pneumonia": 0}
    assert {reason: found.images for reason, found in flow.dropped.items()} == {
        "row names no image": 1,
        "target is both 0 and 1": 1,
        "no row says 0 or 1": 1,
    }
    assert flow.noted["row is listed twice, counted once"].listed == ["u2"]
    assert flow.noted["target is neither 0 nor 1, row passed over"].listed == ["u1: 'maybe'", "u5: '2'"]


@pytest.mark.parametrize(
    ("mapping", "sentence"),
    [('[{"subset_', "mappings_2018.json is not JSON"), ("{}", "mappings_2018.json is not a list")],
)
def test_a_damaged_mapping_is_named(rsna: Path, mapping: str, sentence: str) -> None:
    (rsna / "pneumonia-challenge-dataset-mappings_2018.json").write_text(mapping)
    with pytest.raises(SourceError, match=sentence):
        import_source("rsna", rsna)


def test_an_entry_of_the_mapping_without_a_patient_is_counted(rsna: Path) -> None:
    (rsna / "pneumonia-challenge-dataset-mappings_2018.json").write_text('[{"subset_img_id": "u1"}, 7]')
    manifest, flow = import_source("rsna", rsna)
    assert manifest["u1"].patient_id == "u1"
    assert len(flow.noted["entry of the mapping names no original image, passed over"].cases) == 2


def test_a_table_of_classes_with_another_header_is_named(rsna: Path) -> None:
    (rsna / "stage_2_detailed_class_info.csv").write_text("patientId,Class\nu1,Normal\n")
    with pytest.raises(SourceError, match=r"class_info\.csv lacks the column class"):
        import_source("rsna", rsna)


def test_siim_rows_that_say_nothing_or_two_things_are_counted(
    dicom: Dicom, table: Table, tmp_path: Path
) -> None:
    rows = ["1.1,-1", "1.1,-1", "1.2,", "1.3,-1", "1.3,5 6", ",7 8", "1.4,5 6", "1.4,5 6"]
    table(["ImageId,EncodedPixels", *rows], "train-rle.csv")
    for name in ("1.1", "1.2", "1.3", "1.4"):
        dicom(f"dicom-images-train/{name}.dcm", PatientID=f"p{name}", PatientAge="51")
    manifest, flow = import_source("siim", tmp_path)
    assert {s.id: dict(s.labels) for s in manifest} == {
        "1.1": {"Pneumothorax": 0},
        "1.4": {"Pneumothorax": 1},
    }
    assert json.loads(manifest["1.4"].extra["masks_rle"]) == ["5 6"]
    assert manifest["1.4"].age_years == 51
    assert {reason: found.images for reason, found in flow.dropped.items()} == {
        "row names no image": 1,
        "has neither a mask nor -1": 1,
        "has a mask and also -1": 1,
    }
    assert flow.noted["row is listed twice, counted once"].listed == ["1.1", "1.4"]


def test_suffixes_may_be_upper_case(rsna: Path) -> None:
    for path in list(rsna.rglob("*.dcm")):
        path.rename(path.with_suffix(".DCM"))
    for part, names in (("train", ["u1.DCM", "u2.DCM"]), ("test", ["u3.DCM"])):
        manifest, _ = import_source("rsna", rsna, ImportSettings(options=SourceOptions(part=part)))
        assert [Path(s.views[0].path).name for s in manifest] == names
