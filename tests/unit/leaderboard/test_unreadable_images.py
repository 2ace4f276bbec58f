"""Evaluation and boards go on without images that cannot be read, and say which; as training and the index do."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from radalign.evaluate.check import check_result
from radalign.evaluate.embeddings import EvaluationError
from radalign.evaluate.plan import Plan
from radalign.evaluate.run import evaluate_run, write_result
from radalign.evaluate.tables import markdown
from radalign.images.errors import ImageError
from radalign.leaderboard.board import BoardOptions, make_board
from radalign.leaderboard.plan import load_plan
from radalign.study import Manifest, View

QUIET = BoardOptions(quiet=True, isolate=False, gallery=True)
pytestmark = pytest.mark.timeout(600)  # the first test waits for the board of all


@pytest.fixture
def data(board, tmp_path):
    """The board's data copied: the first of two frontals of s22 is broken, and the only one of s25 is empty."""
    folder = tmp_path / "data"
    folder.mkdir()
    for path in board.data.parent.glob("*.png"):
        shutil.copy(path, folder)
    shutil.copy(folder / "23.png", folder / "second.png")
    manifest = Manifest.read(board.data)
    studies = [
        replace(s, views=(*s.views, View("second.png", "PA"))) if s.id == "s22" else s for s in manifest
    ]
    Manifest(studies, folder).write(folder / "m.parquet")
    (folder / "22.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    (folder / "25.png").write_bytes(b"")
    return folder / "m.parquet"


def plan(board, data, task, **rest):
    run = board.out / "cells" / "heads-0" / "run"
    return Plan(str(run), data, task, resamples=20, **({"split": "test"} | rest))


def whole(data, lost=("s25",)):
    """A manifest of what is left: the oracle."""
    manifest = Manifest.read(data)
    views = {"s22": (View("second.png", "PA"),)}
    left = [replace(s, views=views.get(s.id, s.views)) for s in manifest if s.id not in lost]
    path = data.parent / "whole.parquet"
    Manifest(left, data.parent).write(path)
    return path


def numbers(result):
    return {m.key: (m.value, m.low, m.high, m.n, m.patients) for m in result.measures}


@pytest.mark.parametrize("task", ["retrieval", "zero-shot", "space", "report-edits", "openi"])
def test_the_numbers_are_those_of_the_studies_that_are_left(board, data, task):
    split = {"split": ""} if task == "openi" else {}
    found = evaluate_run(plan(board, data, task, **split))
    want = evaluate_run(plan(board, whole(data), task, **split))
    assert numbers(found).keys() == numbers(want).keys()
    for key, values in numbers(found).items():
        assert values == pytest.approx(numbers(want)[key], abs=1e-6, nan_ok=True), key
    assert list(found.settings["unreadable_images"]) == ["22.png", "25.png"]
    assert found.settings["unreadable_images"]["25.png"] == "25.png is empty (0 bytes); fetch the file again."
    assert found.settings["studies_left_out"] == ["s25"]
    assert "unreadable_images" not in want.settings
    assert (
        "- 1 of 20 studies left out, because no image of theirs can be read: s25. The first: 22.png is"
        in (markdown(found))
    )


def test_the_local_similarity_and_learning_go_on_too(board, data):
    local = evaluate_run(plan(board, data, "retrieval", similarity="local"))
    assert local.settings["studies"] == 19
    (data.parent / "3.png").write_bytes(b"")  # of the training studies, which a probe learns from
    probe = evaluate_run(plan(board, data, "probe"))
    assert probe.settings["studies_left_out"] == ["s3", "s25"]


def test_a_result_without_some_images_repeats_and_says_when_one_is_back(board, data, tmp_path):
    found = evaluate_run(plan(board, data, "retrieval"))
    files = write_result(found, tmp_path / "result")
    check = check_result(files["result.json"])
    assert check.repeats, check.text()
    moved = tmp_path / "elsewhere"
    shutil.copytree(data.parent, moved)
    assert check_result(files["result.json"], data=moved / "m.parquet").repeats
    Image.fromarray(np.zeros((32, 32), np.uint8)).save(data.parent / "25.png")
    assert "studies_left_out" in check_result(files["result.json"]).text()


def test_only_when_nothing_is_left_it_is_an_error(board, data):
    for path in data.parent.glob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(EvaluationError, match=r"No image of the 20 studies can be read. The first:"):
        evaluate_run(plan(board, data, "retrieval"))


def test_a_benchmark_s_own_list_is_not_shortened(board, data, tmp_path):
    lines = [f"{number}.png {number % 2}" for number in (20, 21, 24, 25)]
    (data.parent / "test.txt").write_text("\n".join(lines))
    (data.parent / "val.txt").write_text("16.png 0\n17.png 1\n")
    with pytest.raises(ImageError, match=r"25.png is empty"):
        evaluate_run(plan(board, data.parent, "rsna"))


def test_a_cell_is_judged_on_the_studies_that_are_left_and_its_page_is_made(board, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for path in [*board.data.parent.glob("*.png"), board.data]:
        shutil.copy(path, folder)
    shutil.copytree(board.out / "cells" / "heads-0", tmp_path / "board" / "cells" / "heads-0")
    for name in ("result.json", "pictures.json"):
        (tmp_path / "board" / "cells" / "heads-0" / name).unlink()
    (folder / "25.png").write_bytes(b"")
    head, *arms = board.plan.read_text().split("[[arm]]")
    arm = next(text for text in arms if 'name = "heads"' in text)
    (tmp_path / "plan.toml").write_text(head + "[[arm]]" + arm.replace("recipe =", "seeds = [0]\nrecipe ="))
    files = make_board(load_plan(tmp_path / "plan.toml"), folder / board.data.name, tmp_path / "board", QUIET)
    cell = json.loads((tmp_path / "board" / "cells" / "heads-0" / "result.json").read_text())
    before = json.loads((board.out / "cells" / "heads-0" / "result.json").read_text())
    assert cell["settings"]["studies_left_out"] == ["s25"]
    assert cell["settings"]["tasks"]["retrieval"]["studies"] == 19
    assert cell["made_by"]["manifest_sha256"] == before["made_by"]["manifest_sha256"]
    assert "studies left out, because no image of theirs can be read" in " ".join(cell["notes"])
    assert "<img" in files["page.html"].read_text()


def test_a_gallery_leaves_out_what_cannot_be_read_any_more(board, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    shutil.copy(board.data, folder)
    for path in board.data.parent.glob("*.png"):
        (folder / path.name).write_bytes(b"")
    options = replace(QUIET, page_only=True)
    shutil.copytree(board.out, tmp_path / "board")
    files = make_board(load_plan(board.plan), folder / board.data.name, tmp_path / "board", options)
    assert "whose images cannot be read" in files["page.html"].read_text()
