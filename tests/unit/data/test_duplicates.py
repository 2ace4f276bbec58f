"""Copies of an image: noted, kept together by a split, refused between given splits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from radalign.cli.data import app
from radalign.data.duplicates import LeakError, NotComparedError, manifest_copies, split_manifest
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


def test_a_refused_import_leaves_a_list_of_all_pairs(copies: Callable[[str], Path], tmp_path: Path) -> None:
    table = copies("train/test/train/test/test/test")
    out = tmp_path / "m.parquet"
    done = CliRunner().invoke(app, ["import", "table", str(table), "--out", str(out), "--workers", "1"])
    assert isinstance(done.exception, LeakError)
    pairs = json.loads((tmp_path / "m.parquet.leaks.json").read_text(encoding="utf-8"))
    assert [pair["paths"] for pair in pairs] == [["a.png", "b.png"], ["a.png", "e.png"]]


def test_copies_of_a_manifest_are_found_again(copies: Callable[[str], Path]) -> None:
    manifest, _ = import_source("table", copies("/////"))
    found = manifest_copies(manifest)
    assert {copy.paths for copy in found.copies} == {
        ("a.png", "b.png"),
        ("a.png", "e.png"),
        ("b.png", "e.png"),
    }
    assert found.not_compared == ""


def test_a_later_split_keeps_copies_together_too(copies: Callable[[str], Path]) -> None:
    manifest, _ = import_source("table", copies("/////"), ImportSettings(split="none", check="exists"))
    for seed in range(8):
        done, found = split_manifest(manifest, (40, 20, 40), seed)
        assert len({done[f"{name}.png"].split for name in "abe"}) == 1
        assert found is not None
        found.refuse()
    alone = [split_manifest(manifest, (40, 20, 40), seed, compare=False)[0] for seed in range(8)]
    assert any(len({done[f"{name}.png"].split for name in "abe"}) > 1 for done in alone)


def test_pairs_between_two_splits_are_marked_and_all_are_listed(copies: Callable[[str], Path]) -> None:
    manifest, _ = import_source(
        "table", copies("train/test/train/test/test/test"), ImportSettings(check="exists")
    )
    found = manifest_copies(manifest)
    assert [line.partition("LEAK: ")[2] for line in found.to_text().splitlines()] == [
        "train and test",
        "train and test",
        "",
    ]
    pairs: Any = found.to_dict()["copies"]
    assert [(pair["paths"], pair["leak"]) for pair in pairs] == [
        (("a.png", "b.png"), True),
        (("a.png", "e.png"), True),
        (("b.png", "e.png"), False),
    ]
    with pytest.raises(LeakError, match="2 images have a copy") as raised:
        found.refuse()
    assert len(raised.value.copies) == 2


def test_images_that_cannot_be_read_were_not_compared(copies: Callable[[str], Path], tmp_path: Path) -> None:
    manifest, _ = import_source("table", copies("/////"))
    (tmp_path / "a.png").unlink()
    (tmp_path / "b.png").write_bytes(b"")
    found = manifest_copies(manifest)
    assert found.to_text() == "No copies among the images that could be read."
    with pytest.raises(
        NotComparedError, match=r"2 of 6 images could not be read.*missing: a\.png; .*b\.png is empty"
    ):
        found.refuse()
    _, found_by_split = split_manifest(manifest, (40, 20, 40))
    assert found_by_split is not None
    assert found_by_split.not_compared.startswith("2 of 6 images")


def test_ties_do_not_change_the_split_of_anybody_else() -> None:
    patients = [f"p{n}" for n in range(1000)]
    alone = split_patients(patients)
    tied = split_patients(patients, together=[("p7", "p8"), ("p8", "p9")])
    assert tied["p7"] == tied["p8"] == tied["p9"] == alone["p7"]
    moved = [p for p in patients if tied[p] != alone[p] and p not in ("p8", "p9")]
    assert len(moved) <= 4  # two patients fewer to rank: each of the two cuts moves by at most two
