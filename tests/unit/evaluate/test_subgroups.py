"""Subgroups: who belongs where, and gaps that equal two numbers taken apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from radalign.evaluate.embeddings import StudyEmbeddings
from radalign.evaluate.findings import Prompted
from radalign.evaluate.prompt_sets import load_prompts
from radalign.evaluate.retrieval import RetrievalSettings, evaluate_retrieval
from radalign.evaluate.subgroup_figure import subgroup_plot
from radalign.evaluate.subgroups import study_groups, subgroups, view_group
from radalign.evaluate.zero_shot import ZeroShotSettings, evaluate_zero_shot
from radalign.study import Study, View

RANDOM = np.random.default_rng(0)


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def studies(n=60):
    image = unit(RANDOM.normal(size=(n, 8)))
    text = unit(image + RANDOM.normal(size=(n, 8)) * np.where(np.arange(n) % 2, 0.1, 1.0)[:, None])
    ids = tuple(f"s{i}" for i in range(n))
    labels = tuple({"Pneumonia": int(RANDOM.random() < 0.5)} for _ in range(n))
    sex = tuple("F" if i % 2 else "M" for i in range(n - 1))
    return StudyEmbeddings(image, text, ids, ids, labels, groups={"sex": (*sex, "")})


def test_retrieval_by_sex_equals_the_two_halves_taken_apart():
    given = studies()
    found = evaluate_retrieval({"fake": given}, RetrievalSettings(resamples=100))
    by = {(m.metric, m.group): m for m in found.measures if m.task == "image to text" and "sex" in m.group}
    scores = given.image @ given.text.T
    hits = (scores > scores.diagonal()[:, None]).sum(axis=1) < 10
    sex = np.array(given.groups["sex"])
    assert by["R@10", "sex: F"].value == pytest.approx(hits[sex == "F"].mean())
    assert by["R@10", "sex: F"].n == 29
    gap = by["gap of R@10", "sex: F"]
    assert gap.value == pytest.approx(hits[sex == "F"].mean() - hits[sex == "M"].mean())
    assert gap.low > 0  # women's reports were made much closer to their images
    assert by["gap of R@10", "sex: M"].value == pytest.approx(-gap.value)


def test_zero_shot_by_sex_equals_auc_of_each_half():
    from sklearn.metrics import roc_auc_score

    given, prompts = studies(), load_prompts("rsna-pneumonia")
    present, absent = unit(RANDOM.normal(size=(1, 8))), unit(RANDOM.normal(size=(1, 8)))
    prompted = Prompted(given, {"pneumonia": present}, {"pneumonia": absent})
    found = evaluate_zero_shot({"fake": prompted}, prompts, ZeroShotSettings(resamples=20))
    by = {(m.metric, m.group): m.value for m in found.measures}
    scores = given.image @ (present - absent)[0]
    truth, sex = np.array([row["Pneumonia"] for row in given.labels]), np.array(given.groups["sex"])
    for value in ("F", "M"):
        want = roc_auc_score(truth[sex == value], scores[sex == value])
        assert by["mean AUC", f"sex: {value}"] == pytest.approx(want)


def test_a_gap_of_means_compares_the_same_findings():
    # "easy" is told perfectly in both sexes; "hard" not at all, and no woman has it.
    prompts = replace(
        load_prompts("rsna-pneumonia"),
        findings=tuple(
            replace(load_prompts("rsna-pneumonia").findings[0], name=name, labels=(name,))
            for name in ("easy", "hard")
        ),
    )
    woman, has = np.arange(80) % 2 == 0, np.arange(80) % 4 < 2
    image = unit(np.stack([np.where(has, 1.0, -1.0), np.ones(80), RANDOM.normal(size=80)], axis=1))
    labels = tuple({"easy": int(has[i]), "hard": int(not woman[i] and i % 3 == 0)} for i in range(80))
    ids = tuple(map(str, range(80)))
    sexes = {"sex": tuple("F" if w else "M" for w in woman)}
    given = StudyEmbeddings(image, None, ids, ids, labels, groups=sexes)
    east, noise = np.array([[1.0, 0.0, 0.0]]), np.array([[0.0, 0.0, 1.0]])
    asked = Prompted(given, {"easy": east, "hard": noise}, {"easy": -east, "hard": -noise})
    found = evaluate_zero_shot({"fake": asked}, prompts, ZeroShotSettings(resamples=20))
    by = {(m.metric, m.group): m.value for m in found.measures}
    assert by["mean AUC", "sex: F"] == 1.0  # of "easy" alone
    assert by["mean AUC", "sex: M"] < 0.9
    assert by["gap of mean AUC", "sex: F"] == by["gap of mean AUC", "sex: M"] == 0.0


def test_no_gap_to_a_handful():
    sex = ("F",) * 50 + ("M",) * 9
    found = evaluate_retrieval(
        {"a": replace(studies(59), groups={"sex": sex})}, RetrievalSettings(resamples=20)
    )
    shown = {m.metric for m in found.measures if m.group == "sex: F"}
    assert "R@10" in shown
    assert "gap of R@10" not in shown


def test_the_figure_is_drawn_where_there_are_subgroups(tmp_path):
    shown = evaluate_retrieval({"a": studies(), "b": studies()}, RetrievalSettings(resamples=20))
    path = subgroup_plot(shown, tmp_path / "subgroups.png")
    with Image.open(path) as figure:
        assert figure.size[0] > 1000  # two panels: image to text and text to image
    bare = replace(studies(), groups={})
    hidden = evaluate_retrieval({"a": bare}, RetrievalSettings(resamples=20))
    assert subgroup_plot(hidden, tmp_path / "none.png") is None
    assert not (tmp_path / "none.png").exists()


def test_groups_are_read_from_the_studies():
    rows = [
        Study("a", "p", (View("x", "AP"),), sex="F", age_years=17.9),
        Study("b", "q", (View("x", "FRONTAL"), View("y", "LL")), sex="", age_years=60, extra={"device": "A"}),
        Study("c", "r", (View("y", "LATERAL"),), sex="F", age_years=None),
    ]
    groups = study_groups(rows)
    assert groups["age"] == ("0-17", "60-79", "")
    assert groups["view"] == ("AP", "frontal + lateral", "lateral")
    assert "sex" not in groups  # one known value only
    assert "device" not in groups
    assert view_group(Study("d", "p")) == ""


def test_an_age_that_is_none_is_unknown():
    rows = [Study(str(age), "p", age_years=age) for age in (-1.0, float("nan"), None, 30.0, 0.0)]
    assert study_groups(rows)["age"] == ("", "", "", "18-39", "0-17")


def test_small_groups_are_left_out():
    assert [s.name for s in subgroups({"sex": ("F",) * 9 + ("M",) * 10})] == ["sex: M"]
