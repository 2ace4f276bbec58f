"""Two boards are subtracted arm by arm, over the seeds that both have, and only where both were judged alike."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from radalign.cli import build_app
from radalign.leaderboard.board import BoardOptions, make_board
from radalign.leaderboard.plan import LeaderboardError, load_plan
from radalign.leaderboard.scores import Drawn
from radalign.leaderboard.two_boards import compare_boards, is_board, read_board
from radalign.leaderboard.two_boards_page import boards_text, in_short, write_boards
from tests.unit.leaderboard.conftest import PLAN

pytestmark = pytest.mark.timeout(600)  # the first test waits for the board of all
R5 = ("image to text", "R@5", "")


@pytest.fixture(scope="module")
def other(board, tmp_path_factory):
    """A board of the same plan whose arms are told apart: seed 0 of heads has the weights of adapters <d>."""
    out = tmp_path_factory.mktemp("other") / "board"
    shutil.copytree(board.out, out)
    for name in ("result.json", "draws.npz"):
        shutil.copy(board.out / "cells" / "adapters-d-0" / name, out / "cells" / "heads-0" / name)
    shutil.rmtree(out / "cells" / "frontal-only-0")
    shutil.rmtree(out / "cells" / "adapters-d-1")
    return SimpleNamespace(out=out)


@pytest.fixture(scope="module")
def found(board, other):
    return compare_boards(read_board(board.out), read_board(other.out), ("ours", "theirs"))


def test_a_difference_is_that_of_the_means_over_the_seeds_on_the_same_resamples(board, other, found):
    values, samples = [], []
    for out in (board.out, other.out):
        drawn = [Drawn.read(out / "cells" / f"heads-{seed}").samples[R5] for seed in (0, 1)]
        results = [json.loads((out / f"cells/heads-{seed}/result.json").read_text()) for seed in (0, 1)]
        rows = [m for r in results for m in r["measures"] if (m["task"], m["metric"], m["group"]) == R5]
        values.append(np.mean([row["value"] for row in rows]))
        samples.append(np.mean(drawn, axis=0))
    gap = found.gaps["heads", R5]
    assert gap.value == pytest.approx(values[0] - values[1])
    low, high = np.quantile(samples[0] - samples[1], [0.025, 0.975])
    assert [gap.low, gap.high] == pytest.approx([low, high])


def test_seeds_and_arms_that_one_board_lacks_are_left_out_and_said(found):
    assert found.seeds == {"adapters <d>": (0,), "closed form": (0,), "heads": (0, 1)}
    assert set(found.alone) == {"adapters <d>, seed 1, only in ours", "frontal only, seed 0, only in ours"}
    assert "Left out: adapters <d>, seed 1, only in ours; frontal only, seed 0, only in ours." in boards_text(
        found
    )


def test_a_board_is_not_told_apart_from_itself(board):
    same = read_board(board.out)
    found = compare_boards(same, same, ("a", "b"))
    assert len(found.gaps) > 20
    assert {gap.value for gap in found.gaps.values()} == {0.0}
    assert [line.partition(" in ")[0] for line in in_short(found)] == ["No arm is told apart"]


def test_records_compare_like_the_boards_that_they_are_of(board, other, found, tmp_path):
    for name, out in (("one", board.out), ("two", other.out)):
        options = BoardOptions(page_only=True, gallery=False, quiet=True, records=tmp_path / name)
        make_board(load_plan(board.plan), board.data, out, options)
    kept = compare_boards(read_board(tmp_path / "one"), read_board(tmp_path / "two"), found.names)
    assert kept.gaps.keys() == found.gaps.keys()
    for place, gap in found.gaps.items():
        mine = kept.gaps[place]
        assert [mine.value, mine.low, mine.high] == pytest.approx([gap.value, gap.low, gap.high], abs=1e-4)


def test_what_was_judged_by_other_rules_is_not_subtracted(board, tmp_path):
    changed, out = tmp_path / "plan.toml", tmp_path / "board"
    changed.write_text(PLAN.replace("resamples = 40", 'resamples = 40\npooling = "max_of_logits"'))
    shutil.copytree(board.out / "cells" / "closed-form-0", out / "cells" / "closed-form-0")
    options = BoardOptions(quiet=True, isolate=False, gallery=False, arms=("closed form",))
    make_board(load_plan(changed), board.data, out, options)
    found = compare_boards(read_board(board.out), read_board(out), ("a", "b"))
    assert not found.gaps
    assert found.unlike == {"closed form": {"pooling": ("the set's own", "max_of_logits")}}
    text = boards_text(found)
    assert (
        "closed form was not judged alike (pooling the set's own against max_of_logits), so nothing" in text
    )
    assert "not paired" in text


def test_boards_without_a_cell_in_common_are_refused(board, tmp_path):
    heads, closed = (
        [j for j in read_board(board.out) if j.cell.arm.name == name] for name in ("heads", "closed form")
    )
    with pytest.raises(LeaderboardError, match="a and b have no arm with a seed in common"):
        compare_boards(heads, closed, ("a", "b"))
    (tmp_path / "cells").mkdir()
    with pytest.raises(LeaderboardError, match=r"No cell of .* has a result"):
        read_board(tmp_path)


def test_a_cell_or_a_run_is_no_board(board):
    assert is_board(board.out)
    assert not is_board(board.out / "cells" / "heads-0")
    assert not is_board(board.out / "cells" / "heads-0" / "run")
    assert not is_board(board.out / "nowhere")


def test_the_command_writes_a_table_a_figure_and_json(board, other, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(build_app("compare"), ["compare", str(board.out), str(other.out), "--json"])
    assert done.exit_code == 0, done.output
    table = json.loads((tmp_path / "comparison" / "comparison.json").read_text())
    assert table["seeds"]["heads"] == [0, 1]
    rows = [r for r in table["differences"] if (r["arm"], r["task"], r["metric"]) == ("heads", *R5[:2])]
    assert rows[0]["value"] == pytest.approx(rows[0]["first"] - rows[0]["second"])
    assert {f.name for f in (tmp_path / "comparison").iterdir()} == {
        "comparison.json", "comparison.md", "comparison.png",
    }  # fmt: skip


def test_boards_are_not_judged_again(board, other, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["compare", str(board.out), str(other.out), "--data", str(board.data)]
    with pytest.raises(LeaderboardError, match="Two boards are compared as they were judged"):
        CliRunner().invoke(build_app("compare"), words, catch_exceptions=False)


def test_the_tables_have_a_row_per_arm_and_hold_both_numbers(found, tmp_path):
    text = write_boards(found, tmp_path)["md"].read_text()
    minus = text.split("## ours minus theirs")[1].split("## Both numbers")[0]
    assert [line.split(" | ")[0] for line in minus.splitlines() if line.startswith("| ")][:4] == [
        "| system", "| adapters <d>", "| closed form", "| heads",
    ]  # fmt: skip
    gap = found.gaps["heads", R5]
    assert f"{100 * gap.value:+.1f} " in minus
    one, two = (100 * scores["heads"][R5].value for scores in found.scores)
    assert f"{one:.1f} against {two:.1f}" in text
