"""Tables with one row per image, whatever their columns are called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from radalign.data.importing import ImportSettings, import_source
from radalign.data.own_split import FILLED, UNKNOWN_WORD, WITHOUT
from radalign.data.sources.labels import label_value
from radalign.data.sources.source import SourceError, SourceOptions
from radalign.data.sources.table import choose_columns
from radalign.study import Study

Image = Callable[..., str]
Table = Callable[..., Path]


def studies(path: Path, **columns: str) -> list[Study]:
    settings = ImportSettings(reports="keep", options=SourceOptions(columns=columns))
    return list(import_source("table", path, settings)[0])


def test_rows_of_one_study_become_one_study(image: Image, table: Table) -> None:
    path = table(
        [
            "image_path,study_id,patient_id,view,findings,impression,labels,sex,age,orig_width,orig_height,scanner",
            f"{image('a.jpg')},s1,p1,PA,Clear.,Normal.,Edema;Nodule,f,054Y,2000,2500,A",
            f"{image('b.jpg')},s1,p1,L,Clear.,Normal.,Edema;Nodule,f,054Y,1800,2500.0,B",
        ]
    )
    (study,) = studies(path)
    assert [(v.path, v.position, v.original_width_px, v.original_height_px) for v in study.views] == [
        ("a.jpg", "PA", 2000, 2500),
        ("b.jpg", "LATERAL", 1800, 2500),
    ]
    assert study.report.body == "Clear. Normal."
    assert study.labels == {"Edema": 1, "Nodule": 1}
    assert (study.sex, study.age_years) == ("F", 54)
    assert study.extra == {"scanner": "A | B"}


def test_columns_can_be_told(image: Image, table: Table) -> None:
    path = table(["Bild;Fall;Person;Befund", f"{image('a.png')};s;p;Kein Erguss."])
    (study,) = studies(path, image="Bild", study_id="Fall", patient_id="Person", text="Befund")
    assert (study.id, study.patient_id, study.report.text, study.extra) == ("s", "p", "Kein Erguss.", {})


def test_one_hot_label_columns(image: Image, table: Table) -> None:
    path = table(["Path,Edema,Nodule,Mass,Fracture", f"{image('a.png')},1.0,0.0,-1.0,"])
    (study,) = studies(path, labels="Edema,Nodule,Mass,Fracture")
    assert study.labels == {"Edema": 1, "Nodule": 0, "Mass": -1}
    assert study.extra == {}


def test_without_ids_each_image_is_a_study_and_a_patient_and_that_is_noted(
    image: Image, table: Table
) -> None:
    path = table(["filename", image("a.png"), image("b.png")])
    manifest, flow = import_source("table", path)
    assert [(s.id, s.patient_id) for s in manifest] == [("a.png", "a.png"), ("b.png", "b.png")]
    assert flow.noted["no patient column: each study counts as its own patient"].studies == 2


def test_disagreeing_rows_are_counted(image: Image, table: Table) -> None:
    path = table(
        [
            "image,study,patient,report",
            f"{image('a.png')},s1,p1,Clear.",
            f"{image('b.png')},s1,p1,Effusion.",
            f"{image('c.png')},s1,p2,Clear.",
        ]
    )
    manifest, flow = import_source("table", path)
    assert manifest["s1"].report.text == "Clear."
    assert len(manifest["s1"].views) == 2
    assert flow.noted["images of one study had different reports, first kept"].studies == 1
    assert flow.dropped["study id is used by two patients"].images == 1


def test_a_folder_means_its_manifest(image: Image, table: Table, tmp_path: Path) -> None:
    table(["image", image("x.png")], "manifest.csv")
    table(["other"], "reports.csv")
    assert len(import_source("table", tmp_path)[0]) == 1
    (tmp_path / "manifest.csv").unlink()
    table(["another"], "more.csv")
    with pytest.raises(SourceError, match="2 CSV files and no manifest"):
        import_source("table", tmp_path)


def test_paths_of_another_system_and_absolute_paths(image: Image, table: Table, tmp_path: Path) -> None:
    image("sub/a.png")
    image("b.png")
    path = table(["image", "sub\\a.png", str(tmp_path / "b.png")])
    assert len(studies(path)) == 2


def test_numbers_that_are_none_are_noted(image: Image, table: Table) -> None:
    path = table(["image,age,offset", f"{image('a.png')},old,-1"])
    manifest, flow = import_source("table", path)
    assert manifest["a.png"].age_years is None
    assert manifest["a.png"].time_offset_days == -1
    assert flow.noted["age cannot be read, kept without"].images == 1


def test_a_table_without_images_or_rows_is_refused(table: Table) -> None:
    with pytest.raises(SourceError, match="No column looks like an image path among text, label"):
        import_source("table", table(["text,label", "a,b"]))
    with pytest.raises(SourceError, match="has a header but no rows"):
        import_source("table", table(["image,text"]))


def test_columns_that_are_not_there_are_refused() -> None:
    with pytest.raises(SourceError, match="no role 'picture'"):
        choose_columns(["a"], {"picture": "a"})
    with pytest.raises(SourceError, match="no column 'b'; it has a"):
        choose_columns(["a"], {"image": "b"})


def test_label_values() -> None:
    assert [label_value(t) for t in ("1", "0.0", "-1.0", "", "2", "yes")] == [1, 0, -1, None, None, None]


def test_ten_thousand_words_and_other_alphabets_are_kept(image: Image, table: Table) -> None:
    long = "кардиомегалия " * 10_000
    (study,) = studies(table(["image,report", f"{image('a.png')},{long}"]))
    assert len(study.report.body.split()) == 10_000


def test_a_text_with_headings_is_cut_into_sections(image: Image, table: Table) -> None:
    text = "INDICATION: Cough. FINDINGS: Small effusion. IMPRESSION: Effusion."
    (study,) = studies(table(["image,report", f"{image('a.png')},{text}"]))
    assert study.report.body == "Small effusion. Effusion."
    assert (study.report.indication, study.report.text) == ("Cough.", text)


def test_splits_that_are_not_understood_are_counted(image: Image, table: Table) -> None:
    rows = [f"{image('a.png')},p,Training", f"{image('b.png')},q,holdout", f"{image('c.png')},p,nan"]
    manifest, flow = import_source("table", table(["image,patient_id,split", *rows]))
    assert [s.split for s in manifest] == ["train", "", "train"]
    assert flow.noted[UNKNOWN_WORD].listed == ["b.png: 'holdout'"]
    assert flow.noted[WITHOUT].listed == ["b.png"]
    assert flow.noted[FILLED].listed == ["c.png"]


@pytest.mark.parametrize(
    ("splits", "sentence"),
    [
        (("fold0", "fold1"), "not in the words train, validate and test .*'fold0'"),
        (("train", "test"), "study s: train and test"),
    ],
)
def test_a_split_that_cannot_be_kept_needs_a_decision(
    image: Image, table: Table, splits: tuple[str, str], sentence: str
) -> None:
    rows = [f"{image(name)},s,p,{split}" for name, split in zip(("a.png", "b.png"), splits, strict=True)]
    path = table(["image,study,patient_id,split", *rows])
    with pytest.raises(SourceError, match=sentence):
        import_source("table", path)
    for told in ("70/10/20", "none"):
        assert len(import_source("table", path, ImportSettings(split=told))[0]) == 1


def test_two_columns_of_one_name_are_refused(image: Image, table: Table) -> None:
    with pytest.raises(SourceError, match="two columns called report"):
        import_source("table", table(["image,report,report", f"{image('a.png')},first,second"]))


def test_an_age_without_end_is_no_age(image: Image, table: Table) -> None:
    manifest, flow = import_source("table", table(["image,age", f"{image('a.png')},inf"]))
    assert manifest["a.png"].age_years is None
    assert flow.noted["age cannot be read, kept without"].images == 1


@pytest.mark.parametrize(
    ("written", "years", "noted"),
    [
        ("058Y", 58, 0),
        ("58.0", 58, 0),
        ("6M", 0.5, 0),
        ("-1", None, 0),
        ("nan", None, 0),
        ("412", None, 1),
        ("old", None, 1),
    ],
)
def test_ages_as_people_write_them(
    image: Image, table: Table, written: str, years: float | None, noted: int
) -> None:
    path = table(["image_path,age", f"{image('a.jpg')},{written}"])
    manifest, flow = import_source("table", path)
    assert [s.age_years for s in manifest] == [years]
    assert sum(r.images for name, r in flow.noted.items() if name.startswith("age")) == noted


def test_a_cell_that_says_nan_says_nothing(image: Image, table: Table) -> None:
    names = [image("a.jpg"), image("b.jpg"), image("c.jpg")]
    rows = [
        f"{names[0]},nan,nan,nan,NaN",
        f"{names[1]},null,nan,Edema,Wet.",
        f"{names[2]},-1,nan,Mass|nan,None.",
    ]
    path = table(["image_path,patient_id,study_id,labels,text", *rows])
    found = {s.id: s for s in studies(path)}
    assert [s.patient_id for s in found.values()] == names  # three strangers, not one patient
    assert [dict(s.labels) for s in found.values()] == [{}, {"Edema": 1}, {"Mass": 1}]
    assert [s.report.body for s in found.values()] == ["", "Wet.", "None."]
