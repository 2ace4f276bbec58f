"""Burned-in text masked in copies, and the quality filter at import, from the command line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from radalign.cli.data import app
from radalign.data.importing import ImportSettings, import_source
from radalign.data.masking import RECORD, mask_images
from radalign.data.read_slots import read_square
from radalign.data.settings import DataSettings
from radalign.data.sources.source import SourceError
from radalign.images.read import read_image
from radalign.study import Manifest

RUN = CliRunner()
COMB = (slice(10, 22), slice(10, 60, 4))  # strokes as sharp and as close as letters


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    y, x = np.mgrid[-1:1:256j, -1:1:256j]
    lungs = np.exp(-(((np.abs(x) - 0.42) / 0.25) ** 2 + (y / 0.6) ** 2))
    walls = 0.35 * np.exp(-(((np.abs(x) - 0.9) / 0.1) ** 2))
    noise = np.random.default_rng(0).normal(0, 0.02, x.shape)
    chest = np.clip(0.6 + 0.15 * y + walls - 0.5 * lungs + noise, 0.05, 0.95)
    pictures = {"plain": chest.copy(), "marked": chest.copy(), "white": np.minimum(1, chest * 4)}
    pictures["marked"][COMB] = 1.0
    with (tmp_path / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image_path", "study_id", "patient_id", "view", "text"])
        for name, picture in pictures.items():
            Image.fromarray(np.rint(picture * 255).astype(np.uint8)).save(tmp_path / f"{name}.png")
            writer.writerow([f"{name}.png", name, name, "PA", "Clear lungs."])
    return tmp_path


@pytest.fixture
def manifest(folder: Path) -> Path:
    held, _ = import_source("table", folder)
    held.write(folder / "m.parquet")
    return folder / "m.parquet"


def test_only_marked_images_get_a_copy_and_the_mark_is_gone(manifest: Path, folder: Path) -> None:
    done = RUN.invoke(app, ["mask", str(manifest), str(folder / "clean"), "--ocr", "off", "--json"])
    assert done.exit_code == 0, done.output
    said = {one["path"]: one for one in json.loads(done.stdout.splitlines()[0])}
    assert {path: bool(one["file"]) for path, one in said.items()} == {
        "plain.png": False, "marked.png": True, "white.png": False,
    }  # fmt: skip
    masked = Manifest.read(folder / "clean" / "manifest.parquet")
    images = {s.id: read_image(masked.image_path(s.views[0])) for s in masked}
    before = read_image(folder / "marked.png")
    assert before[COMB].min() > 0.99
    assert images["marked"][COMB].max() < 0.9
    far = slice(60, None)
    np.testing.assert_allclose(images["marked"][far], before[far], atol=1e-4)
    np.testing.assert_array_equal(images["plain"], read_image(folder / "plain.png"))


def test_masking_goes_on_where_it_was_killed(manifest: Path, folder: Path) -> None:
    held, out = Manifest.read(manifest), folder / "clean"
    _, whole = mask_images(held, out)
    record = (out / RECORD).read_text()
    lines = record.splitlines(keepends=True)
    (out / RECORD).write_text("".join(lines[:2]) + lines[2][:15])  # one image done, the next line cut off
    looked_at: list[int] = []
    _, again = mask_images(held, out, progress=lambda views, title: looked_at.append(len(views)) or views)
    assert looked_at == [2]
    assert sorted(map(str, again)) == sorted(map(str, whole))
    assert (out / RECORD).read_text() == record
    with pytest.raises(ValueError, match="made with other settings"):
        mask_images(held, out, band=0.5)


def test_an_unreadable_image_is_told_and_stays(manifest: Path, folder: Path) -> None:
    (folder / "plain.png").write_bytes(b"broken")
    masked, done = mask_images(Manifest.read(manifest), folder / "clean")
    assert sum(bool(one.error) for one in done) == 1
    assert "plain.png" in {view.path for study in masked for view in study.views}


@pytest.mark.parametrize(("quality", "kept"), [("keep", 3), ("note", 3), ("drop", 2)])
def test_the_quality_filter_is_in_the_exclusion_flow(folder: Path, quality: str, kept: int) -> None:
    out = folder / "q.parquet"
    done = RUN.invoke(
        app, ["import", "table", str(folder), "--out", str(out), "--quality", quality, "--json"]
    )
    assert done.exit_code == 0, done.output
    flow = json.loads(done.stdout)
    assert flow["kept"]["studies"] == kept
    reasons = {"keep": {}, "note": flow["noted"], "drop": flow["left_out"]}[quality]
    assert ("quality: overexposed" in reasons) == (quality != "keep")
    if quality == "drop":
        assert flow["left_out"]["quality: overexposed"]["cases"] == ["white.png"]


def test_quality_without_pixels_is_refused(folder: Path) -> None:
    with pytest.raises(SourceError, match="looks at the pixels; use it with --check decode"):
        import_source("table", folder, ImportSettings(quality="drop", check="exists"))


def test_check_shows_a_sheet_and_counts(manifest: Path) -> None:
    done = RUN.invoke(app, ["check", str(manifest), "--ocr", "off", "--images", "0", "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout.splitlines()[0])
    assert (said["checked"], said["with_masked_marks"], said["reasons"]) == (3, 1, {"overexposed": 1})
    with Image.open(manifest.with_name("m.parquet.check.png")) as sheet:
        assert sheet.width > 600
    text = RUN.invoke(app, ["check", str(manifest), "--ocr", "off"]).output
    assert "     1   overexposed" in text
    assert RUN.invoke(app, ["check", str(manifest), "--shown", "0"]).exit_code != 0


def test_a_masked_copy_of_dicom_keeps_its_shape(tmp_path: Path, dicom: Callable[..., str]) -> None:
    noise = np.random.default_rng(0).normal(2000, 40, (128, 256)).astype(np.uint16)
    noise[COMB] = 4095
    size = {
        "Rows": 128,
        "Columns": 256,
        "PixelData": noise.tobytes(),
        "WindowCenter": 2048,
        "WindowWidth": 4096,
    }
    dicom("scans/a.dcm", **size, PixelSpacing=["0.2", "0.1"], StudyInstanceUID="1.2", PatientID="p")
    held, _ = import_source("dicom_folder", tmp_path / "scans")
    masked, (done,) = mask_images(held, tmp_path / "clean")
    view = masked["1.2"].views[0]
    assert done.file
    assert read_image(masked.image_path(view)).shape == (256, 256)
    square = read_square(view, masked, DataSettings(size_px=64, geometry="pad"))
    assert square.any(axis=1).all()  # no black bars above and below
