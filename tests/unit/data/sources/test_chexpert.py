"""CheXpert and CheXpert Plus from trees in their own form."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from radalign.data.importing import ImportSettings, import_source
from radalign.data.sources.source import SourceError, SourceOptions

Image = Callable[..., str]
Table = Callable[..., Path]

HEADER = (
    "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,"
    "Lung Lesion,Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,"
    "Fracture,Support Devices"
)
SMALL = "CheXpert-v1.0-small"
TRAIN = [
    ("train/patient00001/study1/view1_frontal.jpg", "Female,68,Frontal,AP", "1.0,,,,,,,,,0.0,,,,1.0"),
    (
        "train/patient00002/study2/view1_frontal.jpg",
        "Female,87,Frontal,AP",
        ",,-1.0,1.0,,-1.0,-1.0,,-1.0,,-1.0,,1.0,",
    ),
    ("train/patient00002/study1/view1_frontal.jpg", "Female,83,Frontal,PA", ",,,1.0,,,-1.0,,,,,,1.0,"),
    ("train/patient00002/study1/view2_lateral.jpg", "Female,83,Lateral,", ",,,1.0,,,-1.0,,,,,,1.0,"),
]


@pytest.fixture
def chexpert(image: Image, table: Table, tmp_path: Path) -> Path:
    table([HEADER, *(f"{SMALL}/{p},{who},{labels}" for p, who, labels in TRAIN)], f"{SMALL}/train.csv")
    valid = "valid/patient64541/study1/view1_frontal.jpg"
    table([HEADER, f"{SMALL}/{valid},Unknown,0,Frontal,LL,{','.join(['0.0'] * 14)}"], f"{SMALL}/valid.csv")
    for path in (*(p for p, *_ in TRAIN), valid):
        image(f"{SMALL}/{path}")
    return tmp_path / SMALL


@pytest.mark.parametrize("given", ["itself", "parent"])
def test_studies_labels_splits_and_priors(chexpert: Path, given: str) -> None:
    manifest, _ = import_source("chexpert", chexpert if given == "itself" else chexpert.parent)
    assert [s.id for s in manifest] == [
        "patient00001/study1",
        "patient00002/study2",
        "patient00002/study1",
        "patient64541/study1",
    ]
    second = manifest["patient00002/study2"]
    assert second.prior_study_id == "patient00002/study1"
    assert second.labels["Fracture"] == 1
    assert second.labels["Atelectasis"] == -1
    assert "Support Devices" not in second.labels
    assert [v.position for v in manifest["patient00002/study1"].views] == ["PA", "LATERAL"]
    assert [s.split for s in manifest] == ["train", "train", "train", "validate"]
    assert (second.sex, second.age_years) == ("F", 87)
    assert manifest["patient64541/study1"].sex == ""
    assert manifest["patient64541/study1"].views[0].position == "FRONTAL"  # "Frontal", "LL"
    assert all(manifest.image_path(v).is_file() for s in manifest for v in s.views)


def test_a_foreign_path_is_counted_and_a_foreign_folder_refused(chexpert: Path, tmp_path: Path) -> None:
    with (chexpert / "train.csv").open("a") as file:
        file.write("some/where.jpg,Male,1,Frontal,AP" + "," * 14 + "\n")
    _, flow = import_source("chexpert", chexpert)
    assert flow.dropped["path is not CheXpert's"].examples == ["some/where.jpg"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=r"none of train\.csv"):
        import_source("chexpert", tmp_path / "empty")


def test_the_test_labels_have_no_column_of_positions(chexpert: Path, image: Image, table: Table) -> None:
    views = [f"test/patient64741/study1/{name}.jpg" for name in ("view1_frontal", "view2_lateral")]
    names = HEADER.split(",")[5:]
    rows = [f"{path},{','.join(['0.0'] * len(names))}" for path in views]
    table([",".join(["Path", *names]), *rows], f"{SMALL}/test_labels.csv")
    for path in views:
        image(f"{SMALL}/{path}")
    study = import_source("chexpert", chexpert)[0]["patient64741/study1"]
    assert study.split == "test"
    assert [v.position for v in study.views] == ["FRONTAL", "LATERAL"]


PLUS = (
    "path_to_image,path_to_dcm,frontal_lateral,ap_pa,deid_patient_id,patient_report_date_order,report,"
    "section_narrative,section_clinical_history,section_history,section_comparison,section_technique,"
    "section_procedure_comments,section_findings,section_impression,section_end_of_impression,section_summary,"
    "section_accession_number,age,sex,race,ethnicity,interpreter_needed,insurance_type,recent_bmi,deceased,split"
)


def plus_row(patient: str, study: int, order: int, findings: str, impression: str, report: str) -> str:
    path = f"train/{patient}/study{study}/view1_frontal"
    sections = f',,"dyspnea",,none,,,"{findings}","{impression}",,,'
    return f'{path}.jpg,{path}.dcm,Frontal,AP,{patient},{order},"{report}"{sections},61.0,Male,,,,,,No,train'


@pytest.fixture
def plus(image: Image, table: Table, tmp_path: Path) -> Path:
    rows = [
        plus_row("patient42142", 5, 1, "", "1. Clear.\n\n2. No effusion.", "NARRATIVE: ..."),
        plus_row("patient42142", 2, 2, "Edema.", "Worse.", "x"),
        plus_row("patient00009", 1, 1, "", "", "FINDINGS: Stable.\n\nIMPRESSION: Same."),
    ]
    table([PLUS, *rows], "df_chexpert_plus_240401.csv")
    for patient, study in (("patient42142", 5), ("patient42142", 2), ("patient00009", 1)):
        image(f"PNG/train/{patient}/study{study}/view1_frontal.png")
    labels = {"path_to_image": "train/patient42142/study2/view1_frontal.jpg", "Edema": 1.0, "Fracture": None}
    (tmp_path / "impression_fixed.json").write_text(json.dumps(labels) + "\n")
    return tmp_path


def test_reports_of_chexpert_plus(plus: Path) -> None:
    manifest, _ = import_source("chexpert_plus", plus)
    assert manifest["patient42142/study5"].report.impression == "1. Clear. 2. No effusion."
    assert manifest["patient42142/study5"].report.indication == "dyspnea"
    assert manifest["patient00009/study1"].report.body == "Stable. Same."
    assert manifest["patient42142/study2"].labels == {"Edema": 1}
    # The order of the reports decides, not the number of the study.
    assert manifest["patient42142/study2"].prior_study_id == "patient42142/study5"
    assert manifest["patient42142/study2"].views[0].path == "PNG/train/patient42142/study2/view1_frontal.png"
    assert (manifest["patient42142/study2"].age_years, manifest["patient42142/study2"].split) == (61, "train")


def test_labels_of_chexpert_plus_can_be_left_out(plus: Path) -> None:
    settings = ImportSettings(options=SourceOptions(labels="none"))
    assert all(not s.labels for s in import_source("chexpert_plus", plus, settings)[0])


@pytest.mark.parametrize(
    ("labels", "line", "sentence"),
    [
        ("bogus", "", "no labels 'bogus'; choose one of impression"),
        ("findings", "", "no findings_fixed.json"),
        ("", '{"path_to_image": "a", "Ede', r"impression_fixed\.json line 1 is not JSON"),
        ("", "[]", r"impression_fixed\.json line 1 is not a JSON object"),
    ],
)
def test_labels_that_cannot_be_read_are_told(table: Table, labels: str, line: str, sentence: str) -> None:
    path = table(["path_to_image,report"], "df_chexpert_plus_240401.csv")
    if line:
        table([line], "chexbert_labels/impression_fixed.json")
    settings = ImportSettings(options=SourceOptions(labels=labels))
    with pytest.raises(SourceError, match=sentence):
        import_source("chexpert_plus", path.parent, settings)


def test_a_label_row_without_an_image_is_counted(image: Image, table: Table) -> None:
    name = image("train/patient1/study1/view1_frontal.jpg")
    path = table(["path_to_image,report", f"{name},Clear."], "df_chexpert_plus_240401.csv")
    table(['{"Edema": 1.0}', json.dumps({"path_to_image": name, "Edema": 0.0})], "impression_fixed.json")
    manifest, flow = import_source("chexpert_plus", path.parent)
    assert manifest["patient1/study1"].labels == {"Edema": 0}
    assert len(flow.noted["label row names no image, passed over"].cases) == 1


def test_a_table_is_not_the_folder(chexpert: Path) -> None:
    with pytest.raises(SourceError, match=r"train\.csv is a file; give its folder, .*CheXpert-v1.0-small: "):
        import_source("chexpert", chexpert / "train.csv")


@pytest.mark.parametrize(
    ("name", "place"), [("test.csv", "test"), ("test_labels.csv", "test"), ("valid.csv", "valid")]
)
def test_one_table_alone_is_enough(image: Image, table: Table, name: str, place: str) -> None:
    path = image(f"{place}/patient00001/study1/view1_frontal.jpg")
    home = table([HEADER, f"{path},Male,1,Frontal,AP,{','.join(['0.0'] * 14)}"], name).parent
    assert len(import_source("chexpert", home)[0]) == 1


def test_a_history_under_the_other_heading_is_the_indication(
    image: Image, table: Table, tmp_path: Path
) -> None:
    row = plus_row("patient00009", 1, 1, "", "Same.", "x").replace(',,"dyspnea",,', ',,,"72 years, cough",')
    table([PLUS, row], "df_chexpert_plus_240401.csv")
    image("PNG/train/patient00009/study1/view1_frontal.png")
    report = import_source("chexpert_plus", tmp_path)[0]["patient00009/study1"].report
    assert (report.indication, report.impression) == ("72 years, cough", "Same.")
