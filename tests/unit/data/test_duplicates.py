"""Copies of an image: noted, kept together by a split, refused between given splits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from radalign.data.duplicates import LeakError, manifest_copies
from radalign.data.importing import ImportSettings, import_source
from radalign.data.split import split_patients

Table = Callable[..., Path]


@pytest.fixture
def copies(table: Table, tmp_path: Path) -> Callable[[str], Path]:
    """Six patients; b and e hold copies of a's image, one of them darker and smaller."""
    for seed, name in enumerate("abcdef"):
        values = np.random.default_rng(0 if name in "abe" else seed).integers(0, 255, (8, 8), np.uint8)
        image = Image.fromarray(values).resize((90, 80), Image.Resampling.BICUBIC)
        if name == "e":
            image = image.point(lambda v: v * 0.8).resize((60, 50), Image.Resampling.BILINEAR)
        image.save(tmp_path / f"{name}.png")

    def write(splits: str) -> Path:
        rows = [
            f"{name}.png,p{name},{split}" for name, split in zip("abcdef", splits.split("/"), strict=True)
        ]
        return table(["image,patient_id,split", *rows])

    return write


def test_patients_with_copies_are_split_together_and_noted(copies: Callable[[str], Path]) -> None:
    for seed in range(8):
        manifest, flow = import_source("table", copies("/////"), ImportSettings(split="40/20/40", seed=seed))
        assert len({manifest[f"{name}.png"].split for name in "abe"}) == 1
        assert flow.noted["copy of another patient's image, split together"].images == 3
        assert {s.split for s in manifest} != {"train"}


def test_a_given_split_with_copies_on_both_sides_is_refused(copies: Callable[[str], Path]) -> None:
    with pytest.raises(
        LeakError, match=r"2 images have a copy in another split: a\.png \(pa\) and b\.png \(pb\)"
    ):
        import_source("table", copies("train/test/train/test/test/test"))
    import_source("table", copies("test/test/train/test/test/test"))  # all copies in one part


def test_copies_of_a_manifest_are_found_again(copies: Callable[[str], Path]) -> None:
    manifest, _ = import_source("table", copies("/////"))
    assert {copy.paths for copy in manifest_copies(manifest)} == {
        ("a.png", "b.png"),
        ("a.png", "e.png"),
        ("b.png", "e.png"),
    }


def test_ties_do_not_change_the_split_of_anybody_else() -> None:
    patients = [f"p{n}" for n in range(1000)]
    alone = split_patients(patients)
    tied = split_patients(patients, together=[("p7", "p8"), ("p8", "p9")])
    assert tied["p7"] == tied["p8"] == tied["p9"] == alone["p7"]
    moved = [p for p in patients if tied[p] != alone[p] and p not in ("p8", "p9")]
    assert len(moved) <= 4  # two patients fewer to rank: each of the two cuts moves by at most two
