"""ChestX-ray14 with its broken headers: commas inside column names, ages with letters."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from radalign.data.importing import import_source
from radalign.data.sources.source import SourceError

Image = Callable[..., str]
Table = Callable[..., Path]
HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient {who},View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)


@pytest.mark.parametrize(
    ("name", "who"), [("Data_Entry_2017.csv", "Gender"), ("Data_Entry_2017_v2020.csv", "Sex")]
)
def test_findings_splits_boxes_and_priors(
    image: Image, table: Table, tmp_path: Path, name: str, who: str
) -> None:
    table(
        [
            HEADER.format(who=who),
            "00000001_000.png,Cardiomegaly,0,1,058Y,M,PA,2682,2749,0.143,0.143,",
            "00000001_001.png,Cardiomegaly|Emphysema,1,1,58,M,AP,2894,2729,0.143,0.143,",
            "00000002_000.png,No Finding,0,2,412Y,F,PA,2500,2048,0.171,0.171,",
        ],
        name,
        end="\r\n",
    )
    table(
        [
            "Image Index,Finding Label,Bbox [x,y,w,h],,,",
            "00000001_001.png,Cardiomegaly,225.0,547.0,86.7,79.1,,,",
        ],
        "BBox_List_2017.csv",
    )
    table(["00000001_000.png", "00000001_001.png"], "train_val_list.txt")
    table(["00000002_000.png"], "test_list.txt")
    for path in (
        "images_001/images/00000001_000",
        "images_001/images/00000001_001",
        "images_002/images/00000002_000",
    ):
        image(f"{path}.png")
    manifest, _ = import_source("nih", tmp_path)
    study = manifest["00000001_001"]
    assert study.views[0].path == "images_001/images/00000001_001.png"
    assert (study.views[0].original_width_px, study.views[0].original_height_px) == (2894, 2729)
    assert study.positives == ("Cardiomegaly", "Emphysema")
    assert study.labels["Hernia"] == 0
    assert (study.patient_id, study.prior_study_id, study.split) == ("1", "00000001_000", "train")
    assert json.loads(study.extra["boxes"])[0]["x_px"] == 225
    assert (manifest["00000001_000"].age_years, manifest["00000002_000"].age_years) == (58, None)
    assert (manifest["00000002_000"].split, manifest["00000002_000"].sex) == ("test", "F")


@pytest.mark.data
def test_the_real_images_in_the_distributors_form(real_data: Path, table: Table, tmp_path: Path) -> None:
    import csv

    folder = real_data / "nih_cxr14_small"
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    entries = [
        f"{r['study_id']}.png,{r['labels'].replace(';', '|')},{r['followup_index']},{r['patient_id'][1:]},"
        f"{r['age']},{r['sex']},{r['view']},{r['orig_width']},{r['orig_height']},0.1,0.1,"
        for r in rows
    ]
    table([HEADER.format(who="Gender"), *entries], "Data_Entry_2017_v2020.csv")
    (tmp_path / "images").symlink_to(folder / "images")
    manifest, flow = import_source("nih", tmp_path)
    assert (flow.images_kept, flow.patients_kept) == (79, 75)
    assert sum(bool(s.prior_study_id) for s in manifest) == 4


@pytest.fixture
def one_image(image: Image, table: Table, tmp_path: Path) -> Path:
    table([HEADER.format(who="Sex"), "00000001_000.png,Mass,0,1,58,M,AP,2,2,1,1,"], "Data_Entry_2017.csv")
    image("images/00000001_000.png")
    return tmp_path


def test_boxes_with_more_commas_than_their_header_are_read(one_image: Path, table: Table) -> None:
    box = "00000001_000.png,Infiltrate,225.0,547.0,86.7,79.1,,,"
    table(["Image Index,Finding Label,Bbox [x,y,w,h]", box], "BBox_List_2017.csv")
    (study,) = import_source("nih", one_image)[0]
    assert json.loads(study.extra["boxes"])[0]["label"] == "Infiltration"


def test_boxes_with_another_header_are_refused(one_image: Path, table: Table) -> None:
    table(["Image Index,Finding Label,x,y,w,h"], "BBox_List_2017.csv")
    with pytest.raises(SourceError, match=r"BBox_List_2017\.csv lacks the column"):
        import_source("nih", one_image)


def test_lists_in_another_encoding_are_read(one_image: Path, table: Table) -> None:
    table(["00000001_000.png"], "test_list.txt", "utf-16")
    assert import_source("nih", one_image)[0].studies[0].split == "test"


def test_a_patient_in_both_lists_needs_a_decision(one_image: Path, image: Image, table: Table) -> None:
    rows = [f"00000001_00{n}.png,Mass,{n},1,58,M,AP,2,2,1,1," for n in range(2)]
    table([HEADER.format(who="Sex"), *rows], "Data_Entry_2017.csv")
    image("images/00000001_001.png")
    table(["00000001_000.png"], "test_list.txt")
    table(["00000001_001.png"], "train_val_list.txt")
    with pytest.raises(SourceError, match=r"patient 1: test and train.*--split 70/10/20"):
        import_source("nih", one_image)
