from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from radalign.cli import build_app
from radalign.evaluate.results import Gap, Result
from radalign.leaderboard.compare import compare, own_ranks
from radalign.leaderboard.compare_page import comparison_text, write_comparison
from radalign.leaderboard.plan import LeaderboardError, make_judging
from radalign.leaderboard.scores import Drawn, verdict
from radalign.leaderboard.sides import read_sides

STORED = make_judging()
pytestmark = pytest.mark.timeout(600)  # the first test waits for the board of all


def sides(board, first="adapters-d-0", second="heads-0", data=None):
    cells = board.out / "cells"
    return read_sides(str(cells / first), str(cells / second / "result.json"), data, STORED)


def test_paired_numbers_equal_a_plain_loop(board):
    first, second = sides(board)
    found = compare(first, second)
    gap = next(g for g in found.gaps if (g.task, g.metric, g.group) == ("text to image", "R@5", ""))

    def hits(side):
        """Whether the own image is among the five nearest, query by query."""
        rows = []
        for query in range(len(side.text)):
            scores = [float(side.text[query] @ side.image[c]) for c in range(len(side.image))]
            before = sum(
                s > scores[query] or (s == scores[query] and c < query) for c, s in enumerate(scores)
            )
            rows.append(before < 5)
        return np.array(rows, dtype=float)

    one, two = hits(first), hits(second)
    assert gap.value == pytest.approx(one.mean() - two.mean())
    with np.load(board.out / "cells" / "heads-0" / "embeddings.npz") as stored:
        patients = list(stored["patient_ids"])
    unique = list(dict.fromkeys(patients))
    members = [[i for i, p in enumerate(patients) if p == u] for u in unique]
    random = np.random.default_rng(0)
    differences = []
    for drawn in random.integers(len(unique), size=(40, len(unique))):
        items = [i for patient in drawn for i in members[patient]]
        differences.append(np.mean([one[i] for i in items]) - np.mean([two[i] for i in items]))
    assert [gap.low, gap.high] == pytest.approx(list(np.quantile(differences, [0.025, 0.975])))


def test_wins_and_losses_are_counted_query_by_query(board):
    first, second = sides(board)
    wins = compare(first, second).wins[0]
    ranks = []
    for side in (first, second):
        scores = side.image @ side.text.T
        ranks.append([sorted(-row).index(-row[i]) + 1 for i, row in enumerate(scores)])
    assert wins.direction == "image to text"
    assert wins.wins == sum(a < b for a, b in zip(*ranks, strict=True))
    assert wins.losses == sum(a > b for a, b in zip(*ranks, strict=True))
    assert wins.wins + wins.losses + wins.ties == 20
    assert own_ranks(first, "image to text").tolist() == ranks[0]
    if wins.gained:
        study, mine, other = wins.gained[0]
        assert other - mine == max(b - a for a, b in zip(*ranks, strict=True))
        assert study in first.study_ids


def test_only_the_settings_that_differ_are_named(board):
    found = compare(*sides(board))
    assert found.settings["model.adapter_hidden"] == (4, 64)
    assert found.settings["train.lr"] == (0.01, 0.0001)
    assert "train.batch_size" not in found.settings
    assert compare(*sides(board, "heads-0", "heads-1")).settings == {"train.seed": (0, 1)}


def test_two_runs_judged_on_data_give_what_the_board_has(board):
    stored = compare(*sides(board))
    cells = board.out / "cells"
    judged = compare(
        *read_sides(
            str(cells / "adapters-d-0" / "run"),
            str(cells / "heads-0" / "run"),
            board.data,
            make_judging(resamples=40),
        )
    )
    assert judged.first.name == "adapters-d-0"
    values = {(g.task, g.metric, g.group): g for g in judged.gaps}
    for gap in stored.gaps:
        if "[with frontal]" not in gap.task:
            assert values[gap.task, gap.metric, gap.group].value == pytest.approx(gap.value, abs=1e-5)
            assert values[gap.task, gap.metric, gap.group].low == pytest.approx(gap.low, abs=1e-5)


def test_results_without_draws_are_not_paired_and_say_so(board, tmp_path):
    for name in ("heads-0", "adapters-d-0"):
        Result.read(board.out / "cells" / name / "result.json").write(tmp_path / name / "result.json")
    found = compare(*read_sides(str(tmp_path / "heads-0"), str(tmp_path / "adapters-d-0"), None, STORED))
    assert not found.gaps
    assert not found.wins
    assert found.unpaired
    assert "are not paired and have no interval; compare the runs with --data" in found.notes[0]
    assert "There are no resampled numbers beside heads-0 and adapters-d-0" in found.notes[0]
    assert "## Not paired" in comparison_text(found)


def judged_otherwise(side, made=None, settings=None, facts=None):
    """A side whose result says that it was judged by other rules."""
    result = side.result
    tasks = {name: task | (facts or {}) for name, task in result.settings["tasks"].items()}
    return replace(
        side,
        result=replace(
            result,
            made_by={**result.made_by, **(made or {})},
            settings={**result.settings, "tasks": tasks, **(settings or {})},
        ),
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"facts": {"mode": "paper"}}, "mode strict against paper"),
        ({"facts": {"protocol": "openi"}}, "protocol retrieval against openi"),
        ({"settings": {"split": "train"}}, "split test against train"),
        ({"settings": {"prompts_sha256": "0" * 64}}, "against 000000000000"),
        ({"made": {"judged_as": {}, "manifest_sha256": "1" * 64}}, "against 111111111111"),
    ],
)
def test_what_was_not_judged_alike_is_not_subtracted(board, changes, sentence):
    first, second = sides(board)
    found = compare(first, judged_otherwise(second, **changes))
    assert not found.gaps
    assert found.unpaired
    assert "were not judged alike" in found.notes[0]
    assert sentence in found.notes[0]
    assert "| difference" not in comparison_text(found)
    assert found.to_dict()["unlike"]


def test_another_test_set_of_one_board_is_judged_alike_where_both_have_it(board):
    found = compare(*sides(board, "frontal-only-0", "heads-0"))
    assert found.unlike == {}
    assert found.gaps


def test_draws_of_other_resamples_have_that_reason(board):
    first, second = sides(board)
    others = Drawn(second.drawn.samples, dict.fromkeys(second.drawn.patients, "others"))
    found = compare(first, replace(second, drawn=others))
    assert found.notes[0].startswith("The two results hold draws of other studies or resamples, so")


def test_a_comparison_says_how_it_was_made(board):
    table = compare(*sides(board)).to_dict()
    assert {"radalign", "commit", "date"} <= table["made_by"].keys()
    assert table["judged"]["heads-0"]["split"] == "test"
    assert table["judged"]["heads-0"]["resamples"] == 40


def test_nearer_strangers_and_lost_reports_are_worse():
    for metric, word in (("cosine to other reports", "better"), ("reports never found", "better"),
                         ("cosine to own report", "worse")):  # fmt: skip
        assert verdict(Gap("a", "b", "space", metric, -0.1, -0.2, -0.05, 0.01)) == word


def test_the_command_line_prints_a_table_and_draws_a_figure(board, tmp_path):
    cells = board.out / "cells"
    words = ["compare", str(cells / "adapters-d-0"), str(cells / "heads-0"), "--out", str(tmp_path)]
    done = CliRunner().invoke(build_app("compare"), words, catch_exceptions=False)
    assert done.exit_code == 0
    assert "# adapters-d-0 against heads-0" in done.stdout
    assert "## Queries won and lost" in done.stdout
    assert "- train.lr: 0.01 against 0.0001" in done.stdout
    with Image.open(tmp_path / "comparison.png") as figure:
        assert figure.size[0] > 1000
    assert json.loads((tmp_path / "comparison.json").read_text())["second"] == "heads-0"


def test_what_is_not_there_is_said_with_what_to_do(board, tmp_path):
    with pytest.raises(LeaderboardError, match="holds no result; give --data"):
        read_sides(str(tmp_path), str(board.out / "cells" / "heads-0"), None, STORED)
    with pytest.raises(LeaderboardError, match="no run at"):
        read_sides(str(tmp_path / "nothing"), str(tmp_path), board.data, STORED)
    with pytest.raises(LeaderboardError, match="weights"):
        make_judging(weights="worst")


def test_the_files_of_a_comparison(board, tmp_path):
    files = write_comparison(compare(*sides(board)), tmp_path / "new")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {path.name for path in files.values()}
