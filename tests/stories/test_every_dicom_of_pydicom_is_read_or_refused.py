"""pydicom ships close to two hundred files, many broken on purpose: each is read or refused in a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from radalign.images.read import ImageError, read_image

FOLDER = Path(pydicom.__file__).parent / "data"
FILES = sorted(
    p for p in FOLDER.rglob("*") if p.is_file() and p.suffix not in {".py", ".pyc", ".json", ".txt"}
)
# Readable with the core dependencies alone; the extra `codecs` reads a few more.
READABLE = 90


def test_none_crashes() -> None:
    read = 0
    for path in FILES:
        image, refusal = outcome(path)
        if image is None:
            assert path.name in refusal
            assert refusal.endswith(".")
        else:
            read += 1
            assert image.dtype == np.float32
            assert image.ndim == 2
            assert 0 <= image.min() <= image.max() <= 1
    assert read >= READABLE


def outcome(path: Path) -> tuple[np.ndarray | None, str]:
    try:
        return read_image(path), ""
    except ImageError as refusal:
        return None, str(refusal)


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "693_J2KI.dcm", "liver_1frame.dcm"])
def test_the_grey_values_are_those_that_pydicom_works_out(name: str) -> None:
    from pydicom.pixels import apply_modality_lut, apply_voi_lut, pixel_array

    path = FOLDER / "test_files" / name
    ds = pydicom.dcmread(path)
    if "WindowWidth" not in ds and "VOILUTSequence" not in ds:
        pytest.skip("the file has no window")
    reference = apply_voi_lut(apply_modality_lut(pixel_array(ds, index=0), ds), ds).astype(float)
    low, high = reference.min(), reference.max()
    image = read_image(path)
    spread = (reference - low) / (high - low) * (image.max() - image.min()) + image.min()
    np.testing.assert_allclose(image, spread, atol=2e-3)
