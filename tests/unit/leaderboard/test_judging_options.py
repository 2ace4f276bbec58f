"""A plan's `[evaluate]` says by which prompts, pooling and similarity tasks and protocols are judged."""

from __future__ import annotations

import json
import shutil

import pytest

from radalign.evaluate.embeddings import EvaluationError
from radalign.evaluate.prompt_sets import PromptError
from radalign.leaderboard.board import BoardOptions, make_board
from radalign.leaderboard.plan import Judging, LeaderboardError, load_plan
from radalign.leaderboard.scores import Drawn

QUIET = BoardOptions(quiet=True, isolate=False, gallery=False)
pytestmark = pytest.mark.timeout(600)  # the first test waits for the board of all

OWN = """
name = "own"
source = "this test"
pooling = "mean_of_logits"

[[finding]]
name = "cardiomegaly"
labels = ["Cardiomegaly"]
present = ["the heart is enlarged", "a big heart"]
absent = ["the heart is normal", "a small heart"]
"""


@pytest.fixture
def rejudge(board, tmp_path):
    """Judges the trained arm `heads` once more, by rules given as lines of `[evaluate]`."""
    shutil.copytree(board.out / "cells" / "heads-0", tmp_path / "board" / "cells" / "heads-0")
    head, *arms = board.plan.read_text().split("[[arm]]")
    arm = next(text for text in arms if 'name = "heads"' in text).replace("recipe =", "seeds = [0]\nrecipe =")
    head = head.partition("[[test]]")[0]
    plan = tmp_path / "plan.toml"

    def again(lines, options=QUIET, said=None):
        plan.write_text(head.replace("resamples = 40", "resamples = 40\n" + lines) + "[[arm]]" + arm)
        make_board(
            load_plan(plan),
            board.data,
            tmp_path / "board",
            options,
            said.append if said is not None else None,
        )
        return json.loads((tmp_path / "board" / "cells" / "heads-0" / "result.json").read_text())

    again.folder = tmp_path
    again.page = tmp_path / "board"
    return again


def values(result, task):
    return {m["metric"]: m["value"] for m in result["measures"] if m["task"] == task and not m["group"]}


def test_rules_are_written_as_before_so_that_older_cells_may_be_shown(board):
    made = json.loads((board.out / "cells" / "heads-0" / "result.json").read_text())["made_by"]
    assert made["judged_as"]["judging"] == {  # as the version without these options wrote them
        "tasks": ["retrieval", "zero-shot"], "protocols": {}, "mode": "strict", "split": "test",
        "weights": "best", "prompts": "chest-findings", "labels": [], "similarity": "global",
        "resamples": 40, "seed": 0, "precision": "fp32",
    }  # fmt: skip


def test_a_protocol_takes_the_similarity_of_the_plan_and_its_own_prompts(rejudge):
    (rejudge.folder / "own.toml").write_text(OWN)
    plain = rejudge('protocols = {openi = "m.parquet"}')
    other = rejudge(
        f'similarity = "local"\nprotocols = {{openi = {{data = "m.parquet", prompts = "{rejudge.folder}/own.toml",'
        ' pooling = "max_of_logits"}}'
    )
    facts = {
        name: found["settings"]["tasks"]["openi"] for name, found in (("plain", plain), ("other", other))
    }
    assert [facts[n]["prompts"] for n in facts] == ["chest-findings", "own"]
    assert [facts[n]["pooling"] for n in facts] == ["normalise_mean_normalise", "max_of_logits"]
    assert [facts[n]["similarity"] for n in facts] == ["global", "local"]
    rule = other["made_by"]["judged_as"]["judging"]["protocols"]["openi"]
    assert rule == {
        "data": "m.parquet", "prompts": f"{rejudge.folder}/own.toml", "pooling": "max_of_logits",
        "similarity": "",
    }  # fmt: skip
    assert values(plain, "image to text (openi)") == values(plain, "image to text")  # the same studies
    assert values(other, "image to text (openi)") != values(plain, "image to text (openi)")


def test_a_protocol_may_differ_from_the_plan(rejudge):
    found = rejudge('similarity = "both"\nprotocols = {openi = {data = "m.parquet", similarity = "global"}}')
    tasks = found["settings"]["tasks"]
    assert (tasks["retrieval"]["similarity"], tasks["openi"]["similarity"]) == ("both", "global")


def test_a_protocol_s_numbers_do_not_hide_those_of_a_task(rejudge):
    found = rejudge('protocols = {openi = "m.parquet"}')
    keys = [(m["task"], m["metric"], m["group"]) for m in found["measures"]]
    assert len(keys) == len(set(keys))
    drawn = Drawn.read(rejudge.page / "cells" / "heads-0")
    assert {"image to text", "image to text (openi)"} <= {task for task, _, _ in drawn.samples}
    assert "image to text (openi), R@1" in (rejudge.page / "table.md").read_text()


def test_prompts_are_pooled_as_the_plan_says(rejudge):
    found = rejudge('pooling = "max_of_logits"')
    assert found["settings"]["tasks"]["zero-shot"]["pooling"] == "max_of_logits"
    assert found["made_by"]["judged_as"]["judging"]["pooling"] == "max_of_logits"


def test_a_protocol_s_prompts_that_changed_under_their_name_are_another_rule(rejudge):
    own = rejudge.folder / "own.toml"
    own.write_text(OWN)
    rules = f'protocols = {{openi = {{data = "m.parquet", prompts = "{own}"}}}}'
    rejudge(rules)
    said: list[str] = []
    rejudge(rules, said=said)
    own.write_text(OWN.replace("a big heart", "a huge heart"))
    rejudge(rules, said=said)
    assert said == ["Cell 1 of 1: heads, seed 0: done before.", "Cell 1 of 1: heads, seed 0: judging ..."]


@pytest.mark.parametrize(
    ("lines", "error", "sentence"),
    [
        (
            'protocols = {nih = {data = "d", similarity = "local"}}',
            EvaluationError,
            "'nih' ignores --similarity",
        ),
        (
            'protocols = {report-to-report = {data = "d", prompts = "x"}}',
            EvaluationError,
            "ignores --prompts",
        ),
        (
            'protocols = {openi = {data = "d", prompts = "none.toml"}}',
            PromptError,
            "no prompt set 'none.toml'",
        ),
        ('prompts = "none.toml"', PromptError, "no prompt set 'none.toml'"),
        ('pooling = "median"', LeaderboardError, "pooling"),
        ('protocols = {openi = {prompts = "x"}}', LeaderboardError, "data"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_trained(tmp_path, lines, error, sentence):
    path = tmp_path / "plan.toml"
    path.write_text(
        f'name = "x"\nbudget = {{epochs = 1}}\n[[arm]]\nname = "a"\nrecipe = "clinvla"\n[evaluate]\n{lines}\n'
    )
    with pytest.raises(error, match=sentence):
        load_plan(path)


@pytest.mark.parametrize(
    ("old", "new", "error", "sentence"),
    [
        (
            "resamples = 40", 'resamples = 40\nsplit = "nope"', EvaluationError,
            "no studies in the split 'nope'; it has test, train, validate",
        ),
        (
            "resamples = 40", 'resamples = 40\nlabels = ["Cardiomegalie"]', EvaluationError,
            "did you mean 'Cardiomegaly'",
        ),
        (
            'has = ["frontal"]', 'has = ["frontal", "prior"]', LeaderboardError,
            "No study of the split belongs to the test set 'with frontal'; change the plan. Of its 20 studies "
            "16 have a frontal, 0 have a prior.",
        ),
        (
            'has = ["frontal"]', 'labels = ["Nodule"]', LeaderboardError,
            r"The most frequent labels of the split are .*Cardiomegaly \(\d\)",
        ),
    ],
)  # fmt: skip
def test_what_the_manifest_lacks_is_said_before_anything_is_trained(
    board, tmp_path, old, new, error, sentence
):
    text = board.plan.read_text()
    assert old in text
    (tmp_path / "plan.toml").write_text(text.replace(old, new))
    with pytest.raises(error, match=sentence):
        make_board(load_plan(tmp_path / "plan.toml"), board.data, tmp_path / "board", QUIET)
    assert not (tmp_path / "board").exists()


def test_a_protocol_that_takes_no_similarity_keeps_to_its_own():
    judging = Judging(similarity="local", pooling="max_of_logits", protocols={"nih": "d", "rsna": "r"})
    assert judging.of_protocol("nih") == ("", "", "global")
    assert judging.of_protocol("rsna") == ("", "max_of_logits", "local")
