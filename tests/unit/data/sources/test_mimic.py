"""MIMIC-CXR-JPG and MIMIC-CXR from a tree in PhysioNet's own form."""

from __future__ import annotations

import gzip
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from radalign.data.importing import NOT_DECODED, ImportSettings, import_source
from radalign.data.own_split import FILLED
from radalign.data.sources.source import SourceError, SourceOptions

Image = Callable[..., str]
Table = Callable[..., Path]

METADATA = (
    "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,StudyDate,StudyTime,"
    "ProcedureCodeSequence_CodeMeaning,ViewCodeSequence_CodeMeaning,PatientOrientationCodeSequence_CodeMeaning"
)
LABELS = (
    "subject_id,study_id,Atelectasis,Cardiomegaly,Consolidation,Edema,Enlarged Cardiomediastinum,Fracture,"
    "Lung Lesion,Lung Opacity,No Finding,Pleural Effusion,Pleural Other,Pneumonia,Pneumothorax,"
    "Support Devices"
)
REPORT = "\n".join(
    [
        "                                 FINAL REPORT",
        " EXAMINATION:  CHEST (PA AND LAT)",
        " ",
        " INDICATION:  ___F with cough",
        " ",
        " COMPARISON:  None.",
        " ",
        " FINDINGS: ",
        " ",
        " Small left effusion.  {more}",
        " ",
        " IMPRESSION: ",
        " ",
        " Effusion.",
    ]
)
# (dicom, subject, study, ViewPosition, date, time, view code)
IMAGES = [
    ("aa01", "10000032", "50000001", "PA", "21800506", "213014.531", "postero-anterior"),
    ("aa02", "10000032", "50000001", "LATERAL", "21800506", "213014.531", "lateral"),
    ("bb01", "10000032", "50000002", "AP", "21800626", "165500.312", "antero-posterior"),
    ("cc01", "10000032", "50000003", "", "21800506", "80556.875", "postero-anterior"),
    ("dd01", "19999999", "50000004", "LL", "21890101", "93000", "left lateral"),
]


def path_of(dicom: str, subject: str, study: str, suffix: str) -> str:
    return f"files/p{subject[:2]}/p{subject}/s{study}/{dicom}.{suffix}"


@pytest.fixture
def mimic(image: Image, table: Table, tmp_path: Path) -> Path:
    rows = [
        f"{d},{p},{s},CHEST (PA AND LAT),{view},3056,2544,{date},{time},CHEST (PA AND LAT),{code},Erect"
        for d, p, s, view, date, time, code in IMAGES
    ]
    table([METADATA, *rows], "mimic-cxr-2.0.0-metadata.csv.gz")
    splits = [f"{d},{s},{p},{'train' if p == '10000032' else 'validate'}" for d, p, s, *_ in IMAGES]
    table(["dicom_id,study_id,subject_id,split", *splits], "mimic-cxr-2.0.0-split.csv.gz")
    table([LABELS, "10000032,50000001,,1.0,,-1.0,,,,,,1.0,,,0.0,"], "mimic-cxr-2.0.0-chexpert.csv.gz")
    table([LABELS, "10000032,50000001,,0.0,,,,,,,,,,,,"], "mimic-cxr-2.0.0-negbio.csv.gz")
    for d, p, s, *_ in IMAGES:
        image(path_of(d, p, s, "jpg"))
    with zipfile.ZipFile(tmp_path / "mimic-cxr-reports.zip", "w") as archive:
        for p, s in dict.fromkeys((p, s) for _, p, s, *_ in IMAGES):
            if s != "50000004":
                archive.writestr(f"files/p{p[:2]}/p{p}/s{s}.txt", REPORT.format(more=s))
    return tmp_path


def test_studies_reports_labels_splits_and_priors(mimic: Path) -> None:
    manifest, flow = import_source("mimic", mimic)
    study = manifest["50000001"]
    assert study.patient_id == "10000032"
    assert [(v.id, v.position, v.original_width_px, v.original_height_px) for v in study.views] == [
        ("aa01", "PA", 2544, 3056),
        ("aa02", "LATERAL", 2544, 3056),
    ]
    assert manifest.image_path(study.views[0]).is_file()
    assert study.report.findings == "Small left effusion. 50000001"
    assert study.report.impression == "Effusion."
    assert study.report.indication == "___F with cough"
    assert study.labels == {"Cardiomegaly": 1, "Edema": -1, "Pleural Effusion": 1, "Pneumothorax": 0}
    assert study.split == "train"
    assert study.date == "2180-05-06T21:30:14"
    # Study 3 was made in the morning of the day of study 1; its position comes from the view code.
    assert manifest["50000003"].views[0].position == "PA"
    priors = {s.id: s.prior_study_id for s in manifest}
    assert priors == {"50000001": "50000003", "50000002": "50000001", "50000003": ""}
    assert "report file is missing" not in flow.noted  # said of studies that are kept
    kept = import_source("mimic", mimic, ImportSettings(reports="keep"))[1]
    assert kept.noted["report file is missing"].listed == ["s50000004.txt"]
    assert flow.dropped["report says nothing of the images"].studies == 1


def test_the_labeller_can_be_chosen(mimic: Path) -> None:
    def labels(which: str) -> dict[str, int]:
        settings = ImportSettings(options=SourceOptions(labels=which))
        return dict(import_source("mimic", mimic, settings)[0]["50000001"].labels)

    assert labels("negbio") == {"Cardiomegaly": 0}
    assert labels("none") == {}
    with pytest.raises(SourceError, match="no labeller 'gpt'"):
        labels("gpt")


def test_reports_may_be_a_tree_beside_dicom_images(
    mimic: Path, dicom: Callable[..., str], tmp_path: Path
) -> None:
    with zipfile.ZipFile(mimic / "mimic-cxr-reports.zip") as archive:
        archive.extractall(mimic)
    (mimic / "mimic-cxr-reports.zip").unlink()
    for d, p, s, *_ in IMAGES:
        (mimic / path_of(d, p, s, "jpg")).unlink()
        dicom(path_of(d, p, s, "dcm"))
    manifest, _ = import_source("mimic", mimic)
    assert manifest["50000002"].views[0].path.endswith("s50000002/bb01.dcm")
    assert manifest["50000002"].report.impression == "Effusion."


def test_reports_and_images_may_be_elsewhere(mimic: Path, tmp_path: Path) -> None:
    (mimic / "apart").mkdir()
    (mimic / "mimic-cxr-reports.zip").rename(mimic / "apart" / "mimic-cxr-reports.zip")
    (mimic / "files").rename(mimic / "apart" / "files")
    options = SourceOptions(images=mimic / "apart", reports=mimic / "apart")
    manifest, _ = import_source("mimic", mimic, ImportSettings(options=options))
    assert len(manifest) == 3
    with pytest.raises(SourceError, match="neither a folder of reports nor a zip"):
        import_source("mimic", mimic, ImportSettings(options=SourceOptions(reports=mimic / "no.zip")))


def test_missing_images_are_counted_without_decoding_any(mimic: Path) -> None:
    (mimic / path_of("aa02", "10000032", "50000001", "jpg")).unlink()
    (mimic / path_of("aa01", "10000032", "50000001", "jpg")).write_bytes(b"\xff\xd8\xff not decoded")
    manifest, flow = import_source("mimic", mimic)
    assert len(manifest["50000001"].views) == 1
    assert flow.noted[NOT_DECODED].images == flow.images_kept
    assert flow.dropped["image file is missing"].images == 1


def test_without_its_metadata_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"metadata is not in .*mimic-cxr-\*metadata"):
        import_source("mimic", tmp_path)


def edit(path: Path, old: str, new: str) -> None:
    text = gzip.decompress(path.read_bytes()).decode()
    assert old in text
    path.write_bytes(gzip.compress(text.replace(old, new).encode()))


def test_rows_that_repeat_or_contradict_others_are_turned_away(mimic: Path) -> None:
    metadata = mimic / "mimic-cxr-2.0.0-metadata.csv.gz"
    rows = gzip.decompress(metadata.read_bytes()).decode().splitlines()
    stranger = rows[1].replace("aa01,10000032", "aa09,10000033")
    blank = [",10000033,50000009" + ",x" * 9, "a,,50000009" + ",x" * 9, "a,10000033," + ",x" * 9]
    metadata.write_bytes(gzip.compress("\n".join([*rows, rows[1], stranger, *blank]).encode()))
    manifest, flow = import_source("mimic", mimic)
    assert [view.id for view in manifest["50000001"].views] == ["aa01", "aa02"]
    assert {reason: found.images for reason, found in flow.dropped.items()} == {
        "image is listed twice": 1,
        "study id is used by two patients": 1,
        "row lacks an image, study or patient id": 3,
        "report says nothing of the images": 1,
    }


def test_a_study_without_a_split_takes_its_patients(mimic: Path) -> None:
    edit(mimic / "mimic-cxr-2.0.0-split.csv.gz", "bb01,50000002,10000032,train", "bb01,50000002,10000032,")
    manifest, flow = import_source("mimic", mimic)
    assert manifest["50000002"].split == "train"
    assert flow.noted[FILLED].listed == ["50000002"]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (
            "bb01,50000002,10000032,train",
            "1 studies or patients in two parts: patient 10000032: train and test",
        ),
        ("aa02,50000001,10000032,train", "study 50000001: train and test"),
    ],
)
def test_a_patient_in_two_splits_needs_a_decision(mimic: Path, row: str, sentence: str) -> None:
    edit(mimic / "mimic-cxr-2.0.0-split.csv.gz", row, row.replace("train", "test"))
    with pytest.raises(SourceError, match=f"{sentence}.*--split 70/10/20"):
        import_source("mimic", mimic)
    assert len(import_source("mimic", mimic, ImportSettings(split="70/10/20"))[0]) == 3


def test_a_damaged_report_is_counted(mimic: Path) -> None:
    archive = mimic / "mimic-cxr-reports.zip"
    archive.write_bytes(archive.read_bytes().replace(b"Small left", b"Smell left", 1))
    _, flow = import_source("mimic", mimic, ImportSettings(reports="keep"))
    assert flow.noted["report file cannot be read"].studies == 1


def test_a_ragged_row_of_labels_is_counted(mimic: Path) -> None:
    edit(mimic / "mimic-cxr-2.0.0-chexpert.csv.gz", "0.0,", "0.0,,,9")
    assert import_source("mimic", mimic)[1].noted[
        "row has more cells than the header, passed over"
    ].listed == ["mimic-cxr-2.0.0-chexpert.csv.gz line 2"]


def test_labels_that_were_asked_for_must_be_there(mimic: Path) -> None:
    (mimic / "mimic-cxr-2.0.0-negbio.csv.gz").unlink()
    with pytest.raises(SourceError, match=r"no labels mimic-cxr-\*negbio"):
        import_source("mimic", mimic, ImportSettings(options=SourceOptions(labels="negbio")))


@pytest.mark.parametrize("suffix", ["JPG", "png"])
def test_the_suffix_of_the_images_is_that_of_the_files(mimic: Path, suffix: str) -> None:
    """Also when the studies that the table begins with are not there."""
    shutil.rmtree(mimic / "files" / "p10")
    image = mimic / path_of("dd01", "19999999", "50000004", "jpg")
    image.rename(image.with_suffix(f".{suffix}"))
    manifest, _ = import_source("mimic", mimic, ImportSettings(reports="keep"))
    assert [view.path for study in manifest for view in study.views] == [
        path_of("dd01", "19999999", "50000004", suffix)
    ]


def test_a_folder_too_high_is_told(mimic: Path, tmp_path: Path) -> None:
    inner = tmp_path / "2.0.0"
    names = [path for path in mimic.iterdir() if path != inner]
    inner.mkdir()
    for path in names:
        path.rename(inner / path.name)
    with pytest.raises(SourceError, match=r"too high.*2\.0\.0; give that folder"):
        import_source("mimic", tmp_path)


def test_the_dicom_set_needs_no_metadata(mimic: Path, dicom: Callable[..., str], table: Table) -> None:
    (mimic / "mimic-cxr-2.0.0-metadata.csv.gz").unlink()
    shutil.rmtree(mimic / "files")
    rows = [f"{p},{s},{d},{path_of(d, p, s, 'dcm')}" for d, p, s, *_ in IMAGES]
    table(["subject_id,study_id,dicom_id,path", *rows], "cxr-record-list.csv.gz")
    for d, p, s, view, date, time, _ in IMAGES:
        dicom(path_of(d, p, s, "dcm"), ViewPosition=view, StudyDate=date, StudyTime=time.zfill(10))
    broken = mimic / path_of("aa02", "10000032", "50000001", "dcm")
    broken.write_bytes(broken.read_bytes()[:200])
    manifest, flow = import_source("mimic", mimic)
    study = manifest["50000001"]
    assert [(v.id, v.position, v.original_width_px) for v in study.views] == [("aa01", "PA", 4)]
    assert (study.date, study.prior_study_id) == ("2180-05-06T21:30:14", "50000003")
    assert flow.dropped["header cannot be read"].images == 1


def test_a_damaged_zip_of_reports_is_named(mimic: Path) -> None:
    archive = mimic / "mimic-cxr-reports.zip"
    data = bytearray(archive.read_bytes())
    at = data.rindex(b"PK\x01\x02")  # an entry of the table of contents
    data[at : at + 4] = b"rubb"
    archive.write_bytes(data)
    with pytest.raises(SourceError, match=r"mimic-cxr-reports\.zip is a damaged zip .*; fetch it again\.$"):
        import_source("mimic", mimic)
