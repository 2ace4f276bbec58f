"""Results as small files: a board made from records says what the board says that they came from."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from dataclasses import replace

import pytest

from radalign.leaderboard.board import BoardOptions, make_board
from radalign.leaderboard.plan import LeaderboardError, load_plan
from radalign.study import Manifest
from tests.unit.leaderboard.conftest import PLAN

pytestmark = pytest.mark.timeout(600)  # the first test waits for the board of all


@pytest.fixture(scope="module")
def records(board, tmp_path_factory):
    """The records of the session's board."""
    folder = tmp_path_factory.mktemp("records")
    make_board(load_plan(board.plan), board.data, board.out, options(folder))
    return folder


def options(records):
    return BoardOptions(quiet=True, isolate=False, page_only=True, records=records)


def section(table, title):
    return table.split(f"## {title}\n")[1].split("\n## ")[0]


def same_words_and_nearly_same_numbers(one, other):
    """Numbers of records may differ in the last digit that is shown."""
    number = r"\d+\.\d+"
    assert re.sub(number, "N", one) == re.sub(number, "N", other)
    for a, b in zip(re.findall(number, one), re.findall(number, other), strict=True):
        assert abs(float(a) - float(b)) <= 1.01 * 10.0 ** -len(a.partition(".")[2])


def test_every_cell_with_a_result_has_a_record_that_names_no_place(board, records):
    done = {path.parent.name for path in board.out.glob("cells/*/result.json")}
    assert {path.stem for path in records.glob("*.zip")} == done
    for path in records.glob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            text = b"".join(map(archive.read, archive.namelist()))
            assert "run/best/adapters.safetensors" not in archive.namelist()
        assert str(board.data.parent).encode() not in text


def test_a_board_of_records_shows_what_the_board_showed_that_they_came_from(board, records, tmp_path):
    said = []
    files = make_board(load_plan(board.plan), board.data, tmp_path / "other", options(records), said.append)
    assert len([line for line in said if line.startswith("Taken in")]) == len(list(records.iterdir()))
    made, came = files["table.md"].read_text(), board.files["table.md"].read_text()
    for title in (
        "Systems and tasks",
        "Differences to heads",
        "Ablations and variations",
        "Cost",
        "All numbers",
    ):
        same_words_and_nearly_same_numbers(section(made, title), section(came, title))
    html, before = files["page.html"].read_text(), board.files["page.html"].read_text()
    assert html.count("<polyline") == before.count("<polyline") > 0  # learning curves


def test_findings_of_a_board_of_records_have_intervals_or_the_reason_why_not(board, records, tmp_path):
    """Records leave out resamples of single findings: one seed has its own interval, a mean cannot have one."""
    files = make_board(load_plan(board.plan), board.data, tmp_path / "other", options(records))
    made, came = (section(f["table.md"].read_text(), "By finding") for f in (files, board.files))

    def row(table, arm):
        return next(line for line in table.splitlines() if line.startswith(f"| {arm} |"))

    assert row(made, "closed form") == row(came, "closed form")  # a seed
    assert "–" in row(made, "closed form")
    assert "–" not in row(made, "heads")  # two seeds
    assert "–" in row(came, "heads")
    why = "A mean over several seeds without an interval: it takes the resamples of every seed"
    assert why in made
    assert why not in came
    assert why not in section(files["table.md"].read_text(), "All numbers")


def test_records_that_say_the_same_stay_as_they_are(board, records):
    before = {path: path.stat().st_mtime_ns for path in records.iterdir()}
    said = []
    make_board(load_plan(board.plan), board.data, board.out, options(records), said.append)
    assert not [line for line in said if line.startswith("Wrote")]
    assert {path: path.stat().st_mtime_ns for path in records.iterdir()} == before


def test_a_cell_from_a_record_is_not_trained_again(board, records, tmp_path):
    plan, said = load_plan(board.plan), []
    run = replace(options(records), page_only=False, arms=("heads",))
    make_board(plan, board.data, tmp_path / "other", run, said.append)
    assert [line for line in said if line.startswith("Cell")] == [
        "Cell 1 of 2: heads, seed 0: done before.",
        "Cell 2 of 2: heads, seed 1: done before.",
    ]


def test_a_record_takes_the_place_of_an_earlier_failure(board, records, tmp_path):
    cell = tmp_path / "other" / "cells" / "heads-0"
    cell.mkdir(parents=True)
    (cell / "failed.json").write_text('{"error": "Memory ran out."}')
    files = make_board(load_plan(board.plan), board.data, tmp_path / "other", options(records))
    assert "Memory ran out" not in files["table.md"].read_text()


def test_own_results_are_not_replaced_by_records(board, records, tmp_path):
    changed = tmp_path / "records"
    changed.mkdir()
    for path in records.iterdir():
        (changed / path.name).write_bytes(b"no record")
    said = []
    make_board(load_plan(board.plan), board.data, board.out, options(changed), said.append)
    assert not [line for line in said if line.startswith("Taken in")]
    assert {p.name: p.read_bytes() for p in changed.iterdir()} == {
        p.name: p.read_bytes() for p in records.iterdir()
    }


def judged_later(record):
    """Rewrite a record as if the cell had been judged a day later, with another value."""
    with zipfile.ZipFile(record) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    result = json.loads(held["result.json"])
    result["made_by"]["date"] = "9" + result["made_by"]["date"][1:]
    result["measures"][0]["value"] = 0.1234
    with zipfile.ZipFile(record, "w") as archive:
        for name, content in (held | {"result.json": json.dumps(result).encode()}).items():
            archive.writestr(name, content)


def test_a_later_record_is_not_replaced_by_earlier_results_but_takes_the_place_of_its_earlier_self(
    board, records, tmp_path
):
    plan, kept, out = load_plan(board.plan), tmp_path / "records", tmp_path / "other"
    shutil.copytree(records, kept)
    make_board(plan, board.data, out, options(kept))
    judged_later(kept / "heads-0.zip")
    later = (kept / "heads-0.zip").read_bytes()
    make_board(plan, board.data, board.out, options(kept))  # which has the weights and the earlier results
    assert (kept / "heads-0.zip").read_bytes() == later
    said = []
    make_board(plan, board.data, out, options(kept), said.append)
    assert [line for line in said if line.startswith("Taken in")] == [f"Taken in: {kept / 'heads-0.zip'}."]
    assert json.loads((out / "cells/heads-0/result.json").read_text())["measures"][0]["value"] == 0.1234


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("resamples = 40", "resamples = 50", "judged by older rules"),
        ("train.batch_size=4", "train.batch_size=8", "trained with train.batch_size = 4"),
    ],
)
def test_a_record_of_another_plan_is_not_taken_in(board, records, tmp_path, old, new, why):
    plan, said = tmp_path / "plan.toml", []
    plan.write_text(PLAN.replace(old, new))
    with pytest.raises(LeaderboardError, match="No cell has a result yet"):
        make_board(load_plan(plan), board.data, tmp_path / "other", options(records), said.append)
    assert all("is not taken in" in line and why in line for line in said)
    assert not (tmp_path / "other").exists()


def test_a_record_of_other_studies_is_not_taken_in(board, records, tmp_path):
    manifest, data, said = Manifest.read(board.data), board.data.with_name("fewer.parquet"), []
    Manifest(list(manifest)[1:], manifest.root).write(data)
    with pytest.raises(LeaderboardError, match="No cell has a result yet"):
        make_board(load_plan(board.plan), data, tmp_path / "other", options(records), said.append)
    assert len(said) == len(list(records.iterdir()))
    assert all(line.endswith("is not taken in: it was made on other studies.") for line in said)


def test_rules_that_change_afterwards_need_weights_that_a_record_lacks(board, records, tmp_path):
    out, plan = tmp_path / "other", tmp_path / "plan.toml"
    make_board(load_plan(board.plan), board.data, out, options(records))
    plan.write_text(PLAN.replace("resamples = 40", "resamples = 50"))
    run = BoardOptions(quiet=True, isolate=False, arms=("heads",), seeds=(0,))
    with pytest.raises(LeaderboardError, match="judged by older rules"):
        make_board(load_plan(plan), board.data, out, run)
    why = json.loads((out / "cells" / "heads-0" / "failed.json").read_text())["error"]
    assert "heads-0 came from a record, which has no weights" in why


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half a file", None])
def test_a_broken_record_is_named(board, tmp_path, content):
    path = tmp_path / "records" / "heads-0.zip"
    path.parent.mkdir()
    if content is None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("cell.json", "{}")
    else:
        path.write_bytes(content)
    with pytest.raises(LeaderboardError, match=r"heads-0\.zip is no record"):
        make_board(load_plan(board.plan), board.data, tmp_path / "other", options(path.parent))
    assert not (tmp_path / "other" / "cells" / "heads-0").exists()
