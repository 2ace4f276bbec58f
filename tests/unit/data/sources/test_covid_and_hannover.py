"""Two collections of COVID-19 radiographs, in the form of their repositories, made up and real."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from radalign.data.importing import ImportSettings, import_source
from radalign.data.sources.source import SourceError

Image = Callable[..., str]
Table = Callable[..., Path]
COVID = (
    "patientid,offset,sex,age,finding,RT_PCR_positive,survival,intubated,intubation_present,went_icu,in_icu,"
    "needed_supplemental_O2,extubated,temperature,pO2_saturation,leukocyte_count,neutrophil_count,"
    "lymphocyte_count,view,modality,date,location,folder,filename,doi,url,license,clinical_notes,other_notes,"
)


def covid_row(
    patient: str, offset: str, finding: str, view: str, modality: str, name: str, licence: str
) -> str:
    return (
        f"{patient},{offset},M,65.0,{finding},Y,Y,,,,,,,,,,,,{view},{modality},2020,Hospital,images,{name},"
        f'10.1/x,https://example.org/1,{licence},"Case note, one.",Credit to someone.,'
    )


def test_radiographs_are_read_and_slices_are_counted(image: Image, table: Table, tmp_path: Path) -> None:
    table(
        [
            COVID,
            covid_row("2", "0", "Pneumonia/Viral/COVID-19", "PA", "X-ray", "a.jpg", "CC BY"),
            covid_row("2", "5", "Pneumonia/Viral/COVID-19", "AP Supine", "X-ray", "b.jpg", ""),
            covid_row("2", "later", "No Finding", "L", "X-ray", "c.jpg", "CC BY"),
            covid_row("3", "0", "todo", "Axial", "CT", "d.jpg", "CC BY"),
        ],
        "metadata.csv",
    )
    for name in "abcd":
        image(f"images/{name}.jpg")
    manifest, flow = import_source("covid", tmp_path)
    assert [s.id for s in manifest] == ["p2_d0", "p2_d5", "p2_dNA"]
    assert manifest["p2_d5"].prior_study_id == "p2_d0"
    assert manifest["p2_d5"].views[0].position == "AP"
    assert manifest["p2_d0"].labels == {"Pneumonia": 1, "Viral": 1, "COVID-19": 1}
    assert manifest["p2_dNA"].labels == {"No Finding": 1}
    assert manifest["p2_d0"].report.text == "Case note, one.\nCredit to someone."
    assert manifest["p2_d0"].extra["rt_pcr_positive"] == "Y"
    assert flow.dropped["not a radiograph (CT)"].images == 1
    assert flow.noted["offset is not a number, kept without"].images == 1
    assert flow.noted["image without a stated licence"].images == 1


def test_the_first_form_of_the_metadata_is_read_too(image: Image, table: Table, tmp_path: Path) -> None:
    image("images/a.jpg")
    table(
        [
            "Patientid,offset,sex,age,finding,survival,view,date,location,filename,doi, url,license,notes",
            '7,3,F,29,"COVID-19, ARDS",Y,PA,"January 22, 2020",,a.jpg,,https://example.org,,A note.',
        ],
        "metadata.csv",
    )
    manifest, _ = import_source("covid", tmp_path)
    assert manifest["p7_d3"].labels == {"COVID-19": 1, "ARDS": 1}
    assert manifest["p7_d3"].extra["url"] == "https://example.org"


HANNOVER = (
    "patient_id,image_id,sex,age,size,weight,admission_offset,icu_admission_offset,icu_release_offset,death_offset,"
    "modality,projection,crp_offset,crp_val"
)


def test_offsets_of_hannover_count_from_admission(image: Image, table: Table, tmp_path: Path) -> None:
    rows = [
        "p1,i1,m,,,,0,0.0,4.0,,CR,ap,0.0,5.0",
        "p1,i2,m,,,,-5,-5.0,-1.0,,CR,pa,0.0,-inf",
        "p2,i3,f,,,,3,,,,DX,pa,,",
    ]
    table([HANNOVER, *rows], "data.csv")
    for name in ("i1", "i2", "i3"):
        image(f"png/{name}.png")
    manifest, _ = import_source("hannover", tmp_path)
    assert [(s.time_offset_days, s.prior_study_id, s.sex) for s in manifest] == [
        (0, "", "M"),
        (5, "i1", "M"),
        (-3, "", "F"),
    ]
    assert [s.views[0].position for s in manifest] == ["AP", "PA", "PA"]
    assert manifest["i2"].extra["crp_val"] == "-inf"


@pytest.mark.data
def test_the_real_hannover_images_in_the_repositorys_form(
    real_data: Path, table: Table, tmp_path: Path
) -> None:
    folder = real_data / "hannover_covid19"
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    lines = [
        f"{r['patient_id']},{r['study_id']},{r['sex']},,,,{-int(r['time_offset_days'])},,,,{r['modality']},{r['view'].lower()},,"
        for r in rows
    ]
    table([HANNOVER, *lines], "data.csv")
    (tmp_path / "png").mkdir()
    for r in rows:
        (tmp_path / "png" / Path(r["image_path"]).name).symlink_to(folder / r["image_path"])
    manifest, flow = import_source("hannover", tmp_path, ImportSettings(check="exists"))
    assert (flow.images_kept, flow.patients_kept) == (186, 53)
    assert len({s.patient_id for s in manifest if s.prior_study_id}) == 27


@pytest.mark.data
def test_the_real_covid_images_in_the_repositorys_form(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "covid19_image_data"
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with (tmp_path / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COVID.split(","))
        for r in rows:
            known = {
                "patientid": r["patient_id"][1:],
                "offset": r["time_offset_days"],
                "sex": r["sex"],
                "age": r["age"],
                "finding": r["labels"].replace(";", ", "),
                "view": r["view"],
                "modality": "X-ray",
                "folder": "images",
                "filename": Path(r["image_path"]).name,
                "license": r["licence"],
                "clinical_notes": r["text"],
            }
            writer.writerow([known.get(name, "") for name in COVID.split(",")])
    (tmp_path / "images").symlink_to(folder / "images")
    manifest, flow = import_source("covid", tmp_path, ImportSettings(check="exists"))
    studies = {(r["patient_id"], r["time_offset_days"]) for r in rows}
    assert (flow.images_found, flow.studies_found) == (255, len(studies))
    assert flow.patients_kept >= 120
    assert sum(s.labels.get("COVID-19") == 1 for s in manifest) > 80


def test_images_of_unknown_patients_are_strangers(image: Image, table: Table, tmp_path: Path) -> None:
    rows = [covid_row("", "", "Pneumonia", "PA", "X-ray", name, "CC BY") for name in ("a.jpg", "b.jpg", "")]
    table([COVID, *rows], "metadata.csv")
    for name in "ab":
        image(f"images/{name}.jpg")
    manifest, flow = import_source("covid", tmp_path)
    assert [(s.patient_id, len(s.views)) for s in manifest] == [("p_a.jpg", 1), ("p_b.jpg", 1)]
    assert flow.noted["patient unknown: each image counts as its own patient"].images == 2
    assert flow.dropped["row names no image"].images == 1


def test_metadata_without_file_names_is_refused(table: Table, tmp_path: Path) -> None:
    table([COVID.replace("filename", "file_name"), "2"], "metadata.csv")
    with pytest.raises(SourceError, match=r"metadata\.csv lacks the column filename"):
        import_source("covid", tmp_path)


def test_a_sex_that_is_neither_letter_is_left_open(image: Image, table: Table, tmp_path: Path) -> None:
    rows = [f"{name},1,{sex},40,1,PA" for name, sex in (("a", "divers"), ("b", "f"), ("c", "M"))]
    table(["image_id,patient_id,sex,age,admission_offset,projection", *rows], "data.csv")
    for name in "abc":
        image(f"png/{name}.png")
    assert [s.sex for s in import_source("hannover", tmp_path)[0]] == ["", "F", "M"]
