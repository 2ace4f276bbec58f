"""MS-CXR and MS-CXR-T: tables that point into MIMIC-CXR-JPG."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from radalign.data.importing import ImportSettings, import_source
from radalign.data.sources.mscxr_t import FINDINGS
from radalign.data.sources.source import SourceOptions

Image = Callable[..., str]
Table = Callable[..., Path]


def test_phrases_with_boxes(image: Image, table: Table, tmp_path: Path) -> None:
    path = "files/p10/p10000032/s50414267/02aa-bd.jpg"
    image(f"mimic/{path}")
    table(
        [
            "dicom_id,category_name,label_text,path,x,y,w,h,image_width,image_height,split",
            f'02aa-bd,Pleural Effusion,"Small effusion, left.",{path},10,20,30,40,2544,3056,train',
            f"02aa-bd,Pleural Effusion,Blunted angle,{path},1,2,3,4,2544,3056,train",
            "x,Edema,Oedema,somewhere.jpg,1,2,3,4,1,1,test",
        ],
        "MS_CXR_Local_Alignment_v1.1.0.csv",
    )
    manifest, flow = import_source(
        "mscxr", tmp_path, ImportSettings(options=SourceOptions(images=tmp_path / "mimic"))
    )
    (study,) = manifest
    assert (study.patient_id, study.labels) == ("10000032", {"Pleural Effusion": 1})
    assert study.split == "train"
    assert study.report.body == "Small effusion, left. Blunted angle."
    phrases = json.loads(study.extra["phrases"])
    assert [p["x_px"] for p in phrases] == [10, 1]
    assert (study.views[0].original_width_px, study.views[0].is_frontal) == (2544, True)
    assert flow.dropped["path is not MIMIC-CXR's"].images == 1


PROGRESSIONS = ",".join(f"{f}_progression" for f in FINDINGS)


@pytest.fixture
def pairs(image: Image, table: Table, tmp_path: Path) -> Path:
    def name(study: int) -> str:
        return f"p10/p10000032/s5000000{study}/{study}a-b"

    for study in (1, 2, 3):
        image(f"mimic/files/{name(study)}.jpg")
    table(
        [
            f"dicom_id,previous_dicom_id,subject_id,study_id,previous_study_id,{PROGRESSIONS}",
            f"{name(2)},{name(1)},10000032,50000002,50000001,,worsening,stable,,",
            f"{name(3)},{name(2)},10000032,50000003,50000002,improving,,,,",
            f"{name(3)},{name(1)},10000032,50000003,50000001,stable,,,,",
            "odd,pair,1,2,3,,,,,",
        ],
        "MS_CXR_T_temporal_image_classification_v1.0.0.csv",
    )
    return tmp_path


def test_pairs_become_studies_with_priors_and_changes(pairs: Path) -> None:
    options = SourceOptions(images=pairs / "mimic")
    manifest, flow = import_source("mscxr_t", pairs, ImportSettings(options=options))
    assert {s.id: s.prior_study_id for s in manifest} == {
        "50000001": "",
        "50000002": "50000001",
        "50000003": "50000002",
    }
    assert manifest["50000002"].extra == {
        "edema_progression": "worsening",
        "pleural_effusion_progression": "stable",
    }
    assert manifest["50000001"].extra == {}
    assert {s.split for s in manifest} == {"test"}
    assert flow.noted["study is in two pairs, the first kept"].studies == 1
    assert flow.dropped["image id is not MIMIC-CXR's"].images == 1


def test_reports_of_mimic_can_be_joined(pairs: Path, table: Table) -> None:
    table(["FINDINGS: Stable effusion."], "reports/files/p10/p10000032/s50000002.txt")
    options = SourceOptions(images=pairs / "mimic", reports=pairs / "reports")
    manifest, _ = import_source("mscxr_t", pairs, ImportSettings(options=options, reports="keep"))
    assert manifest["50000002"].report.findings == "Stable effusion."


def test_a_phrase_that_is_listed_twice_counts_once(image: Image, table: Table, tmp_path: Path) -> None:
    path = "files/p10/p10000032/s50414267/02aa-bd.jpg"
    row = f"Edema,mild oedema,{path},10,20,30,40"
    table(["category_name,label_text,path,x,y,w,h", row, row], "MS_CXR_Local_Alignment_v1.1.0.csv")
    image(path)
    manifest, flow = import_source("mscxr", tmp_path)
    assert len(json.loads(manifest.studies[0].extra["phrases"])) == 1
    assert manifest.studies[0].split == "test"  # v1.0.0 has no split column
    assert len(flow.noted["row is listed twice, counted once"].cases) == 1


@pytest.mark.parametrize("told", ["", "mimic", "mimic/mimic-cxr-reports.zip"])
def test_reports_are_found_where_the_images_are_or_where_told(pairs: Path, told: str) -> None:
    with zipfile.ZipFile(pairs / "mimic" / "mimic-cxr-reports.zip", "w") as archive:
        archive.writestr("files/p10/p10000032/s50000002.txt", "FINDINGS: Worse.")
    options = SourceOptions(images=pairs / "mimic", reports=pairs / told if told else None)
    manifest, _ = import_source("mscxr_t", pairs, ImportSettings(reports="keep", options=options))
    assert manifest["50000002"].report.findings == "Worse."
