"""A page shows only what its one label is true of: the plan's rules, settings and manifest."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from radalign.leaderboard.board import BoardOptions, make_board
from radalign.leaderboard.cell_run import run_cell
from radalign.leaderboard.plan import Budget, LeaderboardError, load_plan
from radalign.leaderboard.standing import budget_sentence
from radalign.study import Manifest

PAGE = BoardOptions(page_only=True, gallery=False, quiet=True, isolate=False)
pytestmark = pytest.mark.timeout(600)  # the first test waits for the board of all


@pytest.fixture
def copy(board, tmp_path):
    """A copy of the board to spoil, and a way to make its page by a changed plan."""
    shutil.copytree(board.out, tmp_path / "board")

    def page(*changes, data=board.data, options=PAGE):
        text = board.plan.read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "plan.toml").write_text(text)
        return make_board(load_plan(tmp_path / "plan.toml"), data, tmp_path / "board", options)

    page.out = tmp_path / "board"
    return page


def rewrite(path, change):
    table = json.loads(path.read_text())
    change(table)
    path.write_text(json.dumps(table))


def test_an_unchanged_plan_shows_every_cell(copy, board):
    files = copy()
    assert files["table.md"].read_bytes() == board.files["table.md"].read_bytes()
    assert json.loads(files["board.json"].read_text())["not_shown"] == {}


def test_cells_judged_by_other_rules_are_listed_and_not_paired(copy):
    def by_new_prompts(result):
        result["made_by"]["judged_as"]["judging"]["prompts"] = "mimic-5x200"

    rewrite(copy.out / "cells" / "heads-1" / "result.json", by_new_prompts)
    table = copy()["table.md"].read_text()
    assert "- Not shown, judged by older rules; run again without --page-only: heads, seed 1." in table
    assert "| heads, seed 1 |" not in table
    assert "| heads, seed 0 |" in table


def test_a_prompt_file_that_changed_under_its_name_is_another_rule(copy):
    def other_prompts(result):
        result["settings"]["prompts_sha256"] = "0" * 64

    rewrite(copy.out / "cells" / "heads-0" / "result.json", other_prompts)
    left_out = json.loads(copy()["board.json"].read_text())["not_shown"]
    assert left_out == {"heads, seed 0": "judged by older rules; run again without --page-only"}


def test_when_all_were_judged_otherwise_nothing_is_shown(copy):
    with pytest.raises(
        LeaderboardError, match=r"No result may be shown. heads, seed 0: judged by older rules"
    ):
        copy(("resamples = 40", "resamples = 50"))


def test_cells_trained_with_another_setting_are_listed(copy):
    files = copy(("train.lr=0.01", "train.lr=0.02"))
    left_out = json.loads(files["board.json"].read_text())["not_shown"]
    why = "trained with train.lr = 0.01, but the plan says 0.02"
    assert left_out == {"adapters <d>, seed 0": why, "adapters <d>, seed 1": why}
    assert "| adapters <d> |" not in files["table.md"].read_text()


@pytest.mark.parametrize("options", [PAGE, replace(PAGE, page_only=False), replace(PAGE, gallery=True)])
def test_another_manifest_is_refused_with_a_sentence(copy, board, options):
    other = board.data.with_name("other.parquet")
    studies = [replace(study, id=f"other-{study.id}") for study in Manifest.read(board.data)]
    Manifest(studies, board.data.parent).write(other)
    with pytest.raises(
        LeaderboardError, match=r"was made on a manifest of content \w{12}, but .*other.parquet"
    ):
        copy(data=other, options=options)


def test_the_budget_is_that_of_the_cells(copy):
    def within_minutes(run):
        run["details"]["recipe"]["train"]["max_minutes"] = 0.12

    for path in copy.out.glob("cells/*/run/run.json"):
        rewrite(path, within_minutes)
    assert (
        "Budget: at most 0.12 minutes, 2 epochs of training, for every arm (the plan now says at most 2 epochs)"
        in copy()["table.md"].read_text()
    )


def test_limits_that_differ_are_a_range(copy):
    from types import SimpleNamespace

    def trained(minutes, ended="time"):
        run = {"details": {"recipe": {"train": {"max_minutes": minutes}}}, "stopped_by": ended}
        result = SimpleNamespace(made_by={})
        return SimpleNamespace(run=run, result=result, cell=SimpleNamespace(folder=copy.out), pretrained={})

    assert (
        budget_sentence(Budget(minutes=20), [trained(20.0)]) == "at most 20 minutes of training for every arm"
    )
    assert budget_sentence(Budget(minutes=20), [trained(0.12), trained(0.12)]) == (
        "at most 0.12 minutes of training, for every arm (the plan now says at most 20 minutes)"
    )
    assert budget_sentence(Budget(minutes=20, epochs=2), [trained(0.12), trained(20.0)]) == (
        "at most 0.12 to 20 minutes, 2 epochs of training, and not the same for every cell "
        "(the plan now says at most 20 minutes, 2 epochs)"
    )
    of_itself = trained(10.0, "closed form")
    assert budget_sentence(Budget(minutes=20), [of_itself, trained(20.0)]).startswith("at most 20 minutes of")
    assert budget_sentence(Budget(minutes=20), [of_itself]).startswith("at most 10 minutes of")


def test_a_result_goes_when_its_weights_are_trained_on(copy, monkeypatch):
    folder = copy.out / "cells" / "heads-0"
    rewrite(folder / "run" / "run.json", lambda run: run.update(finished=False))
    left_out = json.loads(copy()["board.json"].read_text())["not_shown"]
    assert left_out["heads, seed 0"].startswith("its training goes on since it was judged")

    def killed(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("radalign.train.loop.train", killed)
    with pytest.raises(KeyboardInterrupt):
        run_cell(folder)
    assert not (folder / "result.json").exists()
