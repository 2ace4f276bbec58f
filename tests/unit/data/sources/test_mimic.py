"""MIMIC-CXR-JPG and MIMIC-CXR from a tree in PhysioNet's own form."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from radalign.data.importing import NOT_DECODED, ImportSettings, import_source
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
