"""Whose galleries the page has, and that a query stands above its answer."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace

import pytest

from radalign.leaderboard.board import BoardOptions, make_board
from radalign.leaderboard.plan import LeaderboardError, load_plan

PAGE = BoardOptions(page_only=True, gallery=True, quiet=True, isolate=False)
HEAT = "Cosine of every patch to the words"
pytestmark = pytest.mark.timeout(600)  # the first test waits for the board of all


@pytest.fixture
def gallery(board, tmp_path):
    """The gallery of a copy of the board, by arms; in the copy only `closed form` has heat maps."""
    shutil.copytree(board.out, tmp_path / "board")
    for path in (tmp_path / "board").glob("cells/*/pictures.json"):
        held = json.loads(path.read_text())
        row = {"study": held["by_image"][0]["study"], "sentence": "a sentence", "heat": [[0.0, 1.0]]}
        held["heat"] = [row] if path.parent.name == "closed-form-0" else []
        path.write_text(json.dumps(held))

    def made(*show, **options):
        options = replace(PAGE, show=show, **options)
        plan = load_plan(board.plan).compared_with("heads")
        text = make_board(plan, board.data, tmp_path / "board", options)["page.html"].read_text()
        return text.partition('<section id="gallery">')[2].partition("</section>")[0]

    made.out = tmp_path / "board"
    return made


def arms(text):
    return re.findall(r"<p>(.*), seed \d", text)


def test_an_arm_with_heat_maps_is_always_shown(gallery):
    text = gallery()
    assert "heads" in arms(text)
    assert arms(text)[-1] == "closed form"
    assert text.count(HEAT) == 1
    assert HEAT not in gallery(heat=False)


def test_asked_for_only_these_arms_are_shown(gallery):
    assert arms(gallery("adapters &lt;d&gt;".replace("&lt;", "<").replace("&gt;", ">"), "frontal only")) == [
        "adapters &lt;d&gt;", "frontal only",
    ]  # fmt: skip
    assert HEAT not in gallery("heads")


def test_an_arm_takes_the_seed_that_has_pictures_and_says_when_none_has(gallery):
    (gallery.out / "cells" / "heads-0" / "pictures.json").unlink()
    assert "<p>heads, seed 1. Right answers are outlined.</p>" in gallery("heads")
    (gallery.out / "cells" / "heads-1" / "pictures.json").unlink()
    assert "heads, seed 0 has no pictures: it came from a record" in gallery("heads")


def test_arms_that_cannot_be_shown_are_refused(gallery):
    with pytest.raises(LeaderboardError, match="The plan has no arm haeds; it has heads"):
        gallery("haeds")
    with pytest.raises(LeaderboardError, match="Give --gallery, or leave --show out"):
        gallery("heads", gallery=None)


def test_a_query_stands_above_its_answer(gallery):
    text = gallery("heads")
    figures = re.findall(r'<figure class="headed">(.{12})', text)
    assert len(figures) > 3
    assert set(figures) == {"<figcaption>"}
