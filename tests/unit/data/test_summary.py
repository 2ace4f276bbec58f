"""What a manifest holds, in numbers, lines and a sheet."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from radalign.data.summary import choose_split, summarise, summary_text, write_sheet
from radalign.study import Manifest, ManifestError, Report, Study, View


def manifest(image: Callable[..., str], root: Path) -> Manifest:
    views = (View(image("f.png"), "PA"), View(image("l.png"), "LATERAL"))
    report = Report(findings="Small left effusion.", impression="Effusion.")
    first = Study("a", "p", views, report, labels={"Effusion": 1, "Mass": 0}, split="train", licence="CC0")
    second = Study("b", "p", views[1:], split="train", prior_study_id="a", labels={"Effusion": -1})
    return Manifest([first, second], root)


def test_the_numbers(image: Callable[..., str], tmp_path: Path) -> None:
    summary = summarise(manifest(image, tmp_path))
    assert (summary["studies"], summary["patients"], summary["priors"]) == (2, 1, 1)
    assert summary["views"] == {
        "count": 3,
        "positions": {"LATERAL": 2, "PA": 1},
        "frontal_and_lateral": 1,
        "only_lateral": 1,
    }
    assert summary["reports"] == {"with_text": 1, "median_words": 4, "most_words": 4}
    assert summary["labels"]["most_frequent"]["Effusion"] == {"present": 1, "absent": 0, "unsure": 1}
    assert summary["splits"] == {"train": {"studies": 2, "patients": 1}}
    assert json.loads(json.dumps(summary)) == summary


def test_the_lines_name_what_a_person_asks_for(image: Callable[..., str], tmp_path: Path) -> None:
    text = summary_text(summarise(manifest(image, tmp_path)))
    for piece in ("LATERAL 2, PA 1", "train 2 (1 patients)", "CC0 1", "Effusion", "only lateral: 1"):
        assert piece in text


def test_an_empty_manifest_has_a_summary_too() -> None:
    assert "0 studies of 0 patients" in summary_text(summarise(Manifest([])))


def test_the_sheet_is_an_image(image: Callable[..., str], tmp_path: Path) -> None:
    write_sheet(manifest(image, tmp_path), tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 200


def test_a_split_that_is_not_there_is_told() -> None:
    manifest = Manifest([Study("a", "p", split="train"), Study("b", "q")])
    assert [s.id for s in choose_split(manifest, "none")] == ["b"]
    with pytest.raises(ManifestError, match="no split 'foo'; it has train, none"):
        choose_split(manifest, "foo")
