"""Sources that know their images by name: which of two files counts is the same every time, and told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from radalign.data.exclusions import ExclusionFlow
from radalign.data.importing import ImportSettings, import_source
from radalign.data.sources.files import TWICE, images_by_name
from radalign.data.sources.openi import image_files
from radalign.data.sources.source import SourceOptions

Image = Callable[..., str]
Table = Callable[..., Path]
NIH = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)


def test_the_first_in_the_order_of_the_tree_is_kept_and_all_are_named(image: Image, tmp_path: Path) -> None:
    for name in ("small/a.png", "images/a.png", "images/a.jpg", "images/b.png", "old/images/a.png"):
        image(name)
    flow = ExclusionFlow("test")
    assert images_by_name(tmp_path, flow) == {"a": "images/a.jpg", "b": "images/b.png"}
    assert flow.noted[TWICE].images == 1
    assert flow.noted[TWICE].listed == ["images/a.jpg, not images/a.png, old/images/a.png, small/a.png"]


def test_a_resized_copy_is_told_by_the_import(image: Image, table: Table, tmp_path: Path) -> None:
    table([NIH, *(f"{name}.png,No Finding,0,1,58,M,PA,9,9,0.1,0.1," for name in "ab")], "Data_Entry_2017.csv")
    for n, path in enumerate(("full/a", "full/b", "small/a", "small/unnamed", "x/unnamed")):
        image(f"{path}.png", grey=40 + n)
    manifest, flow = import_source("nih", tmp_path)
    assert [view.path for study in manifest for view in study.views] == ["full/a.png", "full/b.png"]
    assert flow.to_dict()["noted"][TWICE] == {
        "images": 1, "studies": 0, "cases": ["full/a.png, not small/a.png"]
    }  # fmt: skip


@pytest.mark.parametrize("part", ["train", "test"])
def test_below_a_folder_of_the_source_too(
    dicom: Callable[..., str], table: Table, tmp_path: Path, part: str
) -> None:
    table(["patientId,x,y,width,height,Target", "a,,,,,0"], "stage_2_train_labels.csv")
    place = f"stage_2_{part}_images"
    for folder in ("one", "two"):
        dicom(f"{place}/{folder}/a.dcm", Rows=8, Columns=8, PixelData=np.arange(64, dtype="<u2").tobytes())
    settings = ImportSettings(options=SourceOptions(part=part))
    manifest, flow = import_source("rsna", tmp_path, settings)
    assert [view.path for study in manifest for view in study.views] == [f"{place}/one/a.dcm"]
    assert flow.noted[TWICE].listed == [f"{place}/one/a.dcm, not {place}/two/a.dcm"]


def test_of_open_i_a_png_is_kept_however_the_copies_are_called(image: Image, tmp_path: Path) -> None:
    for name in ("a/CXR1_1_IM-0001-3001.jpg", "b/CXR1_1_IM-0001-3001.png", "c/1_IM-0001-3001.dcm.png"):
        image(name)
    flow = ExclusionFlow("test")
    assert image_files(tmp_path, flow) == {"1_IM-0001-3001": "b/CXR1_1_IM-0001-3001.png"}
    kept, *others = "b/CXR1_1_IM-0001-3001.png", "c/1_IM-0001-3001.dcm.png", "a/CXR1_1_IM-0001-3001.jpg"
    assert flow.noted[TWICE].listed == [f"{kept}, not {', '.join(others)}"]
