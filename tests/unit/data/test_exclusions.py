"""The flow's sums close, whatever is dropped; the pages say what happened."""

from __future__ import annotations

import json
from pathlib import Path

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


def test_only_the_first_examples_are_kept_but_all_are_counted() -> None:
    flow = ExclusionFlow("test")
    for number in range(20):
        flow.reject("lost", images=1, example=f"image {number}")
    assert flow.dropped["lost"].images == 20
    assert flow.dropped["lost"].examples == [f"image {n}" for n in range(MAX_EXAMPLES)]


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
