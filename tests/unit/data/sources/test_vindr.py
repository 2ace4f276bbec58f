"""VinDr-CXR: three readers per training image, a consensus per test image."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from radalign.data.importing import import_source
from radalign.data.sources.source import SourceError


def test_votes_boxes_and_the_official_split(
    dicom: Callable[..., str], table: Callable[..., Path], tmp_path: Path
) -> None:
    table(
        [
            "image_id,rad_id,Aortic enlargement,Cardiomegaly,Other diseases,No finding",
            *("a1,R1,1,1,0,0", "a1,R2,1,0,0,0", "a1,R3,0,0,0,0"),
        ],
        "annotations/image_labels_train.csv",
    )
    table(
        ["image_id,Aortic enlargement,Cardiomegaly,Other disease,No finding", "b1,0,0,1.0,0"],
        "annotations/image_labels_test.csv",
    )
    table(
        [
            "image_id,rad_id,class_name,x_min,y_min,x_max,y_max",
            "a1,R1,Cardiomegaly,1.5,2,3,4",
            "a1,R3,No finding,,,,",
        ],
        "annotations/annotations_train.csv",
    )
    dicom("train/a1.dicom")
    dicom("test/b1.dicom")
    manifest, flow = import_source("vindr", tmp_path)
    assert manifest["a1"].labels == {
        "Aortic enlargement": 1,
        "Cardiomegaly": -1,
        "Other diseases": 0,
        "No finding": 0,
    }
    assert manifest["b1"].labels["Other diseases"] == 1
    assert [s.split for s in manifest] == ["train", "test"]
    assert json.loads(manifest["a1"].extra["boxes"]) == [
        {
            "label": "Cardiomegaly",
            "reader": "R1",
            "x_min_px": 1.5,
            "y_min_px": 2,
            "x_max_px": 3,
            "y_max_px": 4,
        }
    ]
    assert manifest["a1"].extra["readers"] == "3"
    assert flow.noted["patient unknown: each image counts as its own patient"].images == 2


@pytest.fixture
def voted(dicom: Callable[..., str], table: Callable[..., Path], tmp_path: Path) -> Path:
    """Two of three readers see nothing; the row of the third is there three times."""
    rows = ["a1,R1,0", "a1,R2,0", "a1,R3,1", "a1,R3,1", "a1,R3,1", ",R1,1"]
    table(["image_id,rad_id,Cardiomegaly", *rows], "annotations/image_labels_train.csv")
    dicom("train/a1.dicom")
    return tmp_path


def test_a_reader_has_one_vote(voted: Path, table: Callable[..., Path]) -> None:
    box = "a1,R3,Cardiomegaly,1.5,2,3,4"
    header = "image_id,rad_id,class_name,x_min,y_min,x_max,y_max"
    table([header, box, box], "annotations/annotations_train.csv")
    manifest, flow = import_source("vindr", voted)
    assert manifest["a1"].labels == {"Cardiomegaly": -1}
    assert manifest["a1"].extra["readers"] == "3"
    assert len(json.loads(manifest["a1"].extra["boxes"])) == 1
    assert flow.dropped["row names no image"].images == 1
    assert len(flow.noted["reader's row for an image is listed twice, first counted"].cases) == 2
    assert len(flow.noted["row is listed twice, counted once"].cases) == 1


def test_boxes_without_a_class_are_refused(voted: Path, table: Callable[..., Path]) -> None:
    table(["image_id,rad_id,x_min,y_min,x_max,y_max"], "annotations/annotations_train.csv")
    with pytest.raises(SourceError, match=r"annotations_train\.csv lacks the column class_name"):
        import_source("vindr", voted)
