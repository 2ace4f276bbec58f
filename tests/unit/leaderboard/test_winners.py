from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from radalign.evaluate.results import Gap
from radalign.leaderboard.scores import Score, verdict
from radalign.leaderboard.sections import encoding_share
from radalign.leaderboard.winners import columns_of, overall, winner

AUC, RANK = ("zero-shot", "mean AUC", ""), ("image to text", "median rank", "")


def score(arm, value, samples, key=AUC, drawn_from="same"):
    samples = np.asarray(samples, dtype=float)
    low, high = np.quantile(samples, [0.025, 0.975])
    return Score(arm, key, value, low, high, None, 0.5, 10, 10, (0,), samples, drawn_from)


def board(*scores):
    return {s.arm: {s.key: s} for s in scores}


def test_a_lead_within_the_interval_is_a_tie():
    noise = np.linspace(-0.1, 0.1, 101)
    shared = np.linspace(-0.2, 0.2, 101)
    found = winner(
        board(
            score("a", 0.80, 0.80 + shared),
            score("b", 0.79, 0.79 + shared + noise[::-1]),  # differs from a by noise around 0.01
            score("c", 0.70, 0.70 + shared),  # always 0.1 below a: the wide interval is shared
        ),
        AUC,
    )
    assert found.best.arm == "a"
    assert found.ties == ("b",)
    assert found.behind == ("c",)
    assert "a tie with b (the interval of the difference includes 0)" in found.sentence()


def test_the_best_value_on_other_studies_does_not_lead():
    found = winner(
        board(
            score("elsewhere", 0.9, np.full(9, 0.9), AUC, "others"),
            score("better", 0.8, np.full(9, 0.8)),
            score("worse", 0.7, np.full(9, 0.7)),
        ),
        AUC,
    )
    assert (found.best.arm, found.behind) == ("better", ("worse",))
    assert found.sentence().endswith(
        "better leads with 0.800, ahead of the others beyond the interval; "
        "judged on other studies, so not paired: elsewhere (0.900)."
    )


def test_a_smaller_rank_wins_and_other_studies_are_not_paired():
    found = winner(
        board(
            score("slow", 9.0, np.full(9, 9.0), RANK),
            score("fast", 2.0, np.full(9, 2.0), RANK),
            score("elsewhere", 3.0, np.full(9, 3.0), RANK, "others"),
        ),
        RANK,
    )
    assert found.best.arm == "fast"
    assert found.behind == ("slow",)
    assert [apart.arm for apart in found.unpaired] == ["elsewhere"]


def test_the_sentence_over_all_columns():
    first = winner(board(score("a", 0.9, [0.9] * 5), score("b", 0.5, [0.5] * 5)), AUC)
    second = winner(board(score("a", 5.0, [5.0] * 5, RANK), score("b", 1.0, [1.0] * 5, RANK)), RANK)
    assert overall([first, second]) == "a and b lead or tie in 1 of 2 columns (a alone in 1, b alone in 1)."


def test_one_arm_alone_leads_nobody():
    alone = winner(board(score("a", 0.9, [0.9] * 5)), AUC)
    assert overall([alone]) == "Nobody leads: no two arms have a number that can be paired."
    assert alone.sentence() == "zero-shot, mean AUC: a has 0.900; nothing is paired with it."
    beside = winner(board(score("a", 5.0, [5.0] * 5, RANK), score("b", 1.0, [1.0] * 5, RANK)), RANK)
    assert overall([alone, beside]) == (
        "b leads or ties in 1 of 1 columns in which arms are paired (b alone in 1)."
    )


def test_columns_follow_the_plan_or_the_usual_order():
    scores = board(score("a", 1.0, [1.0] * 3), score("b", 1.0, [1.0] * 3, RANK))
    scores["b"][AUC] = score("b", 1.0, [1.0] * 3)
    assert columns_of(scores) == [AUC, RANK]
    assert columns_of(scores, ["image to text: median rank"]) == [RANK]


def test_a_card_gives_its_mean_what_describes_no_column_and_any_other_task_its_first_number():
    side, mean = ("right sentence of two", "side", ""), ("right sentence of two", "mean of factors", "")
    narrow, probe, more = ("space", "cosine to own report", ""), ("probe", "1 %", ""), ("probe", "10 %", "")
    wording, heeded = ("sentence", "side", ""), ("sentence, own image minus another's", "all edits", "")
    keys = (side, mean, narrow, probe, more, wording, heeded)
    scores = {"a": {key: score("a", 1.0, [1.0] * 3, key) for key in keys}}
    assert columns_of(scores) == [mean, heeded, probe]


def test_two_arms_on_other_studies_have_no_difference():
    one, two = score("a", 1.0, [1.0] * 3), score("b", 1.0, [1.0] * 3, drawn_from="others")
    assert one.minus(two) is None
    assert one.minus(one).value == pytest.approx(0)


def test_encoders_share_the_judging_time_without_loading_rendering_and_timing():
    times = {"all": 30.0, "load": 4.0, "render": 10.0, "speed": 6.0, "images": 8.0, "texts": 1.0}
    judged = SimpleNamespace(result=SimpleNamespace(made_by={"wall_time_s": times}))
    assert encoding_share(judged) == "90 % of 10.0 s"


def test_a_liking_of_a_wording_is_higher_or_lower_and_never_better():
    def gap(task):
        return Gap("a", "b", task, "side", 0.2, low=0.1, high=0.3, p=0.01)

    assert verdict(gap("sentence, another patient's image [with frontal]")) == "higher"
    assert verdict(gap("sentence, own image minus another's")) == "better"
    assert verdict(replace(gap("report"), low=-0.3, high=-0.1)) == "lower"
    assert verdict(replace(gap("report"), low=-0.3)) == "tie"
