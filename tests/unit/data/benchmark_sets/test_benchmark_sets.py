"""Lists by rule: what is drawn satisfies the rule, the seed decides, the hash says which list it is."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from radalign.data.benchmark_sets import BenchmarkError, Built, build
from radalign.data.benchmark_sets.chexpert import EIGHT, FIVE, IMPRESSION, build_5x200, build_8x200
from radalign.data.benchmark_sets.rsna import build_rsna
from radalign.data.sources.labels import CHEXPERT

Table = Callable[..., Path]
HEADER = ",".join(("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *CHEXPERT))


def row(patient: int, study: int, labels: dict[str, str], view: str = "Frontal") -> str:
    path = f"CheXpert-v1.0-small/train/patient{patient:05d}/study{study}/view1_{view.lower()}.jpg"
    return f"{path},Male,50,{view},AP," + ",".join(labels.get(name, "") for name in CHEXPERT)


@pytest.fixture
def chexpert(table: Table, tmp_path: Path) -> Path:
    """Thirty images of each label alone, and images that a rule must leave out."""
    rows = [
        row(number * 20 + place, 1, {name: "1.0"})
        for number in range(30)
        for place, name in enumerate(CHEXPERT)
    ]
    rows += [
        row(9000, 1, {"Edema": "1.0", "Pneumonia": "-1.0"}),  # unsure of another label
        row(9001, 1, {"Edema": "1.0", "Fracture": "1.0"}),  # two labels
        row(9002, 1, {"Edema": "-1.0"}),  # unsure
        row(9003, 1, {"Edema": "1.0"}, view="Lateral"),
        row(9004, 1, {"Edema": "1.0", "Fracture": "0.0"}),  # usable: absent is stated
    ]
    table([HEADER, *rows], "CheXpert-v1.0-small/train.csv")
    return tmp_path / "CheXpert-v1.0-small"


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def assert_sums_are_of_the_files(built: Built) -> None:
    """As a person checks them: `sha256sum` of what was written."""
    for part in built.lists:
        assert part.file.is_file()
        assert part.sha256 == hashlib.sha256(part.file.read_bytes()).hexdigest()
        assert f"SHA-256 {part.sha256}  {part.file}" in built.to_text()
        assert all(f"{item}" in part.file.read_text(encoding="utf-8") for item in part.items)


def test_5x200_is_five_blocks_of_images_with_one_label(chexpert: Path, tmp_path: Path) -> None:
    built = build_5x200(chexpert, tmp_path / "out", seed=0, per_class=20)
    rows = read(tmp_path / "out" / "chexpert_5x200.csv")
    assert len(rows) == 100
    for index, cells in enumerate(rows):
        present = [name for name in CHEXPERT if float(cells[name]) != 0]
        assert present == [FIVE[index // 20]]
        assert cells["Frontal/Lateral"] == "Frontal"
    paths = [cells["Path"] for cells in rows]
    assert not [p for p in paths if any(f"patient{n}" in p for n in ("09000", "09001", "09002", "09003"))]
    assert_sums_are_of_the_files(built)
    assert next(iter(rows[0])) == ""
    assert IMPRESSION in rows[0]


def test_the_draw_is_that_of_pandas_sample(chexpert: Path, tmp_path: Path) -> None:
    built = build_5x200(chexpert, tmp_path / "out", seed=3, per_class=20)
    order = np.random.RandomState(3).choice(30, size=20, replace=False)
    place = CHEXPERT.index("Atelectasis")
    expected = [f"patient{number * 20 + place:05d}" for number in order]
    assert list(built.lists[0].patients[:20]) == expected


def test_the_seed_decides_and_the_hash_tells(chexpert: Path, tmp_path: Path) -> None:
    hashes = [
        build_5x200(chexpert, tmp_path / str(n), seed, per_class=20).lists[0].sha256
        for n, seed in enumerate((0, 0, 1))
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_impressions_come_from_chexpert_plus(chexpert: Path, table: Table, tmp_path: Path) -> None:
    paths = [line["Path"].partition("/")[2] for line in read(chexpert / "train.csv")]
    kept = [p for n, p in enumerate(paths) if n // len(CHEXPERT) % 2]
    plus = table(["path_to_image,section_impression", *(f'{p},"Text of, {p}"' for p in kept)], "plus.csv")
    build_5x200(chexpert, tmp_path / "out", reports=plus, per_class=10)
    for cells in read(tmp_path / "out" / "chexpert_5x200.csv"):
        assert cells[IMPRESSION] == f"Text of, {cells['Path'].partition('/')[2]}"


def test_8x200_never_shares_a_patient(chexpert: Path, tmp_path: Path) -> None:
    built = build_8x200(chexpert, tmp_path / "out", queries_per_class=5, candidates_per_class=20)
    queries = read(tmp_path / "out" / "image-retrieval" / "query.csv")
    candidates = read(tmp_path / "out" / "image-retrieval" / "candidate.csv")
    assert Counter(cells["Variable"] for cells in queries) == dict.fromkeys(EIGHT, 5)
    assert len(candidates) == 160
    texts = read(tmp_path / "out" / "text-retrieval" / "query.csv")
    assert Counter(cells["Variable"] for cells in texts) == dict.fromkeys(EIGHT, 5)
    assert all(built.shared_patients[pair] == 0 for pair in built.shared_patients)
    assert_sums_are_of_the_files(built)


def test_two_lists_of_one_file_name_are_told_by_their_folders(chexpert: Path, tmp_path: Path) -> None:
    built = build_8x200(chexpert, tmp_path / "out", queries_per_class=5, candidates_per_class=20)
    told = built.to_dict()
    written = {str(tmp_path / "out" / place / "query.csv") for place in ("image-retrieval", "text-retrieval")}
    assert written <= set(told["files"])
    assert written <= {part["file"] for part in told["lists"].values()}
    assert all(f"  {path}\n" in built.to_text() for path in written)


def test_each_text_query_of_8x200_asserts_its_class_and_no_other(tmp_path: Path) -> None:
    from radalign.data.benchmark_sets.chexpert import _text_queries
    from radalign.reports.assertions import labels_of

    for query in _text_queries():
        found = {name for name, label in labels_of(query["Text"]).items() if label == 1 and name in EIGHT}
        assert found == {query["Variable"]}, query


def test_8x200_candidates_have_one_label(chexpert: Path, tmp_path: Path) -> None:
    built = build_8x200(chexpert, tmp_path / "out", queries_per_class=5, candidates_per_class=20)
    candidates = read(tmp_path / "out" / "image-retrieval" / "candidate.csv")
    assert built.shared_patients["queries and candidates"] == 0
    for cells, cls in zip(candidates, built.lists[1].classes, strict=True):
        assert [name for name in CHEXPERT if float(cells[name]) == 1] == [cls]


def test_the_published_8x200_is_checked_and_its_overlap_told(table: Table, tmp_path: Path) -> None:
    table(
        [",Variable,Path", "0,Edema,CheXpert-v1.0/train/patient00001/study1/view1_frontal.jpg"],
        "image-retrieval/query.csv",
    )
    candidates = [row(1, 2, {"Edema": "1.0"}), row(2, 1, {"Fracture": "1.0"})]
    table([HEADER, *candidates], "image-retrieval/candidate.csv")
    table([",Variable,Text", "0,Edema,Pulmonary edema is seen."], "text-retrieval/query.csv")
    built = build("chexpert-8x200", tmp_path, tmp_path / "out")
    assert built.seed is None
    assert built.shared_patients == {"queries and candidates": 1}
    assert "patients in both queries and candidates: 1" in built.to_text()
    assert built.lists[2].items == ("Pulmonary edema is seen.",)
    assert_sums_are_of_the_files(built)
    table([HEADER, row(1, 1, {"Edema": "1.0", "Fracture": "1.0"})], "image-retrieval/candidate.csv")
    with pytest.raises(BenchmarkError, match="has 2 labels; 8x200 needs exactly one"):
        build("chexpert-8x200", tmp_path, tmp_path / "out")


def test_too_few_images_are_an_error(chexpert: Path, tmp_path: Path) -> None:
    with pytest.raises(
        BenchmarkError, match="Only 30 images have Atelectasis as their one label and 200 are needed"
    ):
        build("chexpert-5x200", chexpert, tmp_path / "out")
    with pytest.raises(BenchmarkError, match="no benchmark set 'imagenet'"):
        build("imagenet", chexpert, tmp_path / "out")


def test_rsna_lists_hold_whole_patients(table: Table, tmp_path: Path) -> None:
    images = [f"u{n}" for n in range(60)]
    table(["patientId,x,y,width,height,Target", *(f"{name},,,,,{n % 3 == 0:d}" for n, name in enumerate(images))],
          "stage_2_train_labels.csv")  # fmt: skip
    mapping = [{"subset_img_id": name, "img_id": f"{n // 4:08d}_000.png"} for n, name in enumerate(images)]
    (tmp_path / "pneumonia-challenge-dataset-mappings_2018.json").write_text(json.dumps(mapping))
    built = build_rsna(tmp_path, tmp_path / "out", seed=1, validate=10, test=21)
    assert built.shared_patients == {"test and validate": 0}
    assert len(built.lists[0].items) == 24  # 21, and to the end of the patient
    lines = (tmp_path / "out" / "test.txt").read_text().splitlines()
    assert lines == [
        f"{path} {cls}" for path, cls in zip(built.lists[0].items, built.lists[0].classes, strict=True)
    ]
    assert lines[0].startswith("stage_2_train_images/u")
    assert_sums_are_of_the_files(built)
    table(["patientId,x,y,width,height,Target", *(f"{name},,,,,{n % 3 != 0:d}" for n, name in enumerate(images))],
          "stage_2_train_labels.csv")  # fmt: skip
    other = build_rsna(tmp_path, tmp_path / "other", seed=1, validate=10, test=21)
    assert other.lists[0].items == built.lists[0].items
    assert other.lists[0].sha256 != built.lists[0].sha256
    with pytest.raises(BenchmarkError, match="60 labelled images, 4500 are needed"):
        build("rsna", tmp_path, tmp_path / "out")


def test_ms_cxr_t_lists_every_pair_and_tells_shared_patients(table: Table, tmp_path: Path) -> None:
    def name(patient: int, study: int) -> str:
        return f"p10/p1000000{patient}/s5000000{study}/{study}a"

    table(
        [
            "dicom_id,previous_dicom_id,study_id,previous_study_id,edema_progression,pneumonia_progression",
            f"{name(1, 2)},{name(1, 1)},2,1,worsening,",
            f"{name(2, 4)},{name(2, 3)},4,3,stable,improving",
            f"garbage,{name(2, 3)},4,3,stable,improving",
            f"{name(2, 4)},{name(2, 3)},4,3,stable,improving,and,more",
        ],
        "MS_CXR_T_temporal_image_classification_v1.0.0.csv",
    )
    table(
        ["dicom_id,study_id,subject_id,split", "x,2,10000001,train", "y,4,10000002,test"],
        "mimic-cxr-2.0.0-split.csv.gz",
    )
    built = build("mscxr-t", tmp_path, tmp_path / "out", extra=tmp_path)
    assert {part.name: part.classes for part in built.lists} == {
        "edema": ("worsening", "stable"),
        "pneumonia": ("improving",),
    }
    assert (tmp_path / "out" / "pneumonia.txt").read_text() == f"{name(2, 4)} {name(2, 3)} improving\n"
    assert built.notes[0] == "1 of 2 patients are in MIMIC-CXR's training split: do not train on them."
    assert [note.partition(", such")[0] for note in built.notes[1:]] == [
        "Left out, image id is not MIMIC-CXR's: 1",
        "Left out, row has more cells than the header: 1",
    ]
    assert_sums_are_of_the_files(built)
