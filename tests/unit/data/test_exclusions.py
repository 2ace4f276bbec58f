"""The flow's sums close, whatever is dropped; the pages say what happened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from radalign.data.exclusions import MAX_EXAMPLES, ExclusionFlow
from radalign.study import Study, View


def test_a_flow_that_does_not_add_up_is_refused() -> None:
    flow = ExclusionFlow("test")
    flow.found(images=2, studies=2)
    flow.drop("lost", images=1, studies=1)
    flow.keep([Study("a", "p", (View("a.png"),))])
    with pytest.raises(ValueError, match="does not add up"):
        flow.keep([])


def test_the_page_has_the_first_examples_and_the_json_has_all() -> None:
    flow = ExclusionFlow("test")
    for number in range(20):
        flow.reject("lost", images=1, example=f"image {number}")
    assert flow.dropped["lost"].images == 20
    assert flow.dropped["lost"].examples == [f"image {n}" for n in range(MAX_EXAMPLES)]
    assert 'First 5 of 20 cases of "lost" (all are in the JSON file' in flow.to_markdown()
    left_out: Any = flow.to_dict()["left_out"]
    assert left_out["lost"]["cases"] == [f"image {n}" for n in range(20)]


def test_notes_on_what_is_left_out_are_forgotten() -> None:
    flow = ExclusionFlow("test")
    flow.found(images=3, studies=2)
    for path in ("a.png", "b.png", "c.png", "c.png"):
        flow.note("date cannot be read", images=1, example=path, of=path)
    flow.note("only of b", studies=1, example="b", of="b")
    flow.note("row of a table is passed over", example="labels.csv line 7")
    flow.drop("lost", images=1, studies=1, example="b")
    flow.keep([Study("a", "p", (View("a.png"), View("c.png")))])
    assert flow.noted["date cannot be read"].images == 2
    assert flow.noted["date cannot be read"].listed == ["a.png", "c.png"]
    assert "only of b" not in flow.noted
    assert "| and: row of a table is passed over (1) |  |  |" in flow.to_markdown()


def test_both_pages_are_written_beside_the_manifest(tmp_path: Path) -> None:
    flow = ExclusionFlow("test")
    flow.found(images=1, studies=1)
    flow.reject("image file is missing", images=1_000, example="a\nb.png")
    flow.note("view without a position", images=1)
    flow.keep([Study("a", "p", (View("a.png"),))])
    page, data = flow.write_beside(tmp_path / "m.parquet")
    assert page.name == "m.parquet.exclusions.md"
    text = page.read_text(encoding="utf-8")
    assert "| left out: image file is missing | −1,000 |  |" in text
    assert "| **kept** | 1 | 1 |" in text
    assert "- a b.png" in text
    values = json.loads(data.read_text(encoding="utf-8"))
    assert values["found"] == {"images": 1001, "studies": 1}
    assert values["left_out"]["image file is missing"]["images"] == 1000
    assert values["kept"] == {"images": 1, "studies": 1, "patients": 1}


def test_the_main_reasons_come_first() -> None:
    flow = ExclusionFlow("test")
    flow.reject("rare", images=1)
    flow.reject("common", images=7, example="x.png")
    assert flow.main_reasons() == "common (7 images, such as: x.png); rare (1 image)"
