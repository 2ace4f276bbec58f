"""A decoder that ends its process, as code in C can, costs an import one image and is told of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from radalign.data.checking import check_images
from radalign.data.exclusions import ExclusionFlow
from radalign.data.importing import ImportSettings, import_source
from radalign.images.read import read_image
from radalign.study import Study, View

_CRASHES_ON_BAD = """
import os
import radalign.images.read as module

def crash(path, *more, read=module.read_image, **options):
    if "bad" in str(path):
        os.abort()
    return read(path, *more, **options)

module.read_image = crash
"""


@pytest.fixture(autouse=True)
def crashing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Child processes, and they alone, crash on files called bad."""
    place = tmp_path / "modules"
    place.mkdir()
    (place / "sitecustomize.py").write_text(_CRASHES_ON_BAD, encoding="utf-8")
    monkeypatch.syspath_prepend(place)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_crash_costs_one_dicom_file(
    dicom: Callable[..., str], table: Callable[..., Path], workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("radalign.data.checking._CHUNK", 2)
    names = [dicom(f"{name}.dcm") for name in ("a", "bad1", "c", "d", "bad2", "f")]
    manifest, flow = import_source("table", table(["image", *names]), ImportSettings(workers=workers))
    assert [study.id for study in manifest] == ["a.dcm", "c.dcm", "d.dcm", "f.dcm"]
    lost = flow.dropped["image cannot be read"]
    assert lost.images == 2
    assert "bad1.dcm: its decoder crashed" in lost.examples[0]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_crash_costs_one_of_many_raster_images(
    image: Callable[..., str], tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("radalign.data.checking._WORTH_PROCESSES", 4)
    monkeypatch.setattr("radalign.data.checking._CHUNK", 2)
    studies = [Study(n, n, (View(image(f"{n}.png"), "PA"),)) for n in ("a", "b", "c", "bad")]
    flow = ExclusionFlow("test")
    kept, seen = check_images(studies, tmp_path, flow, workers=workers)
    assert [study.id for study in kept] == ["a", "b", "c"]
    assert list(seen) == ["a.png", "b.png", "c.png", "bad.png"]
    assert [check.frontal is None for check in seen.values()] == [False, False, False, True]


def test_a_crashing_copy_does_not_stand_for_its_image(dicom: Callable[..., str], tmp_path: Path) -> None:
    for name in ("bad.dcm", "good.dcm"):
        dicom(f"images/{name}", SOPInstanceUID="1.2.3", StudyInstanceUID="1.2", PatientID="p")
    manifest, _ = import_source("dicom_folder", tmp_path / "images")
    assert [view.path for study in manifest for view in study.views] == ["good.dcm"]


def test_what_no_reader_foresaw_costs_one_image_too(
    image: Callable[..., str], table: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(path: Path) -> np.ndarray:
        if "odd" in path.name:
            raise KeyError("no such key")
        return read_image(path)

    monkeypatch.setattr("radalign.images.read.read_image", odd)
    path = table(["image", image("a.png"), image("odd.png")])
    manifest, flow = import_source("table", path)
    assert len(manifest) == 1
    assert "odd.png cannot be decoded (KeyError" in flow.dropped["image cannot be read"].examples[0]
