"""What a look at the first bytes finds: files that are not there, empty, or no images at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from radalign.data.first_bytes import fault_of_file


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp", "gif", "webp", "pgm"])
def test_every_kind_of_raster_image_passes(tmp_path: Path, suffix: str) -> None:
    Image.new("L", (4, 3), 9).save(tmp_path / f"a.{suffix}")
    assert fault_of_file(tmp_path, f"a.{suffix}") is None
    assert fault_of_file(Path("elsewhere"), str(tmp_path / f"a.{suffix}")) is None


def test_dicom_passes(dicom: Callable[..., str], tmp_path: Path) -> None:
    assert fault_of_file(tmp_path, dicom("a.dcm")) is None


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", ("image cannot be read", "is empty")),
        (b"<!DOCTYPE html><title>404</title>", ("image cannot be read", "neither DICOM nor a raster image")),
        (None, ("image file is missing", "a.jpg")),
    ],
)
def test_what_a_broken_download_leaves_behind(
    tmp_path: Path, content: bytes | None, fault: tuple[str, str]
) -> None:
    if content is not None:
        (tmp_path / "a.jpg").write_bytes(content)
    reason, sentence = fault_of_file(tmp_path, "a.jpg") or ("", "")
    assert reason == fault[0]
    assert fault[1] in sentence


def test_a_folder_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").mkdir()
    assert fault_of_file(tmp_path, "a.jpg") == ("image file is missing", "a.jpg")
