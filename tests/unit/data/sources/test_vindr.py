"""VinDr-CXR: three readers per training image, a consensus per test image."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from radalign.data.importing import import_source


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
