"""Few-shot and base-to-novel: shots as CoOp draws them, methods against loops, both harmonic means."""

from __future__ import annotations

import json
from copy import copy
from dataclasses import replace

import numpy as np
import pytest

from radalign.evaluate.comparison import side_by_side
from radalign.evaluate.embeddings import EvaluationError
from radalign.evaluate.few_shot import METHODS, Shots, prototypes, tip_adapter
from radalign.evaluate.prompt_sets import load_prompts
from radalign.evaluate.protocols import base_to_novel, few_shot
from radalign.evaluate.protocols.few_shot_data import read_set
from radalign.evaluate.protocols.protocol import Options
from radalign.evaluate.results import Measure
from radalign.evaluate.statistic import mean_of
from radalign.evaluate.tables import footnote
from radalign.study import Manifest, Study, View

ANGLES = {"clear lung": 10, "effusion": 50, "mass": 90, "fracture": 130}


@pytest.fixture
def folder(tmp_path, write_image):
    """Four classes 40 degrees apart; 20 training, 4 validation and 10 test images each."""
    noise = np.random.default_rng(0)
    lists = {"train": [], "val": [], "test": []}
    for label, (name, angle) in enumerate(ANGLES.items()):
        for part, count in (("train", 20), ("val", 4), ("test", 10)):
            for i in range(count):
                path = f"{name.replace(' ', '_')}/{part}{i}.png"
                write_image(tmp_path / "chest" / "images" / path, int(angle + noise.integers(-9, 10)))
                lists[part].append([path, label, name.replace(" ", "_")])
    (tmp_path / "chest" / "split_zhou_chest.json").write_text(json.dumps(lists))
    return tmp_path


def rewrite(folder, change):
    path = folder / "chest" / "split_zhou_chest.json"
    lists = json.loads(path.read_text())
    change(lists)
    path.write_text(json.dumps(lists))
    return path


def replace_slots(recipe, slots):
    other = copy(recipe)
    other.data = recipe.data.model_copy(update={"slots": slots})
    return other


def words(offset=0.0):
    return {f"a photo of a {name}.": angle + offset for name, angle in ANGLES.items()}


def test_prototypes_and_tip_adapter_equal_loops():
    rng = np.random.default_rng(0)
    unit = lambda rows: rows / np.linalg.norm(rows, axis=-1, keepdims=True)  # noqa: E731
    classes = np.array([0, 0, 1, 1])
    shots = Shots(
        rng.normal(size=(4, 3)), classes, rng.normal(size=(0, 3)), np.array([], int), rng.normal(size=(2, 3))
    )
    z = rng.normal(size=(5, 3))
    got, cached = prototypes(shots)(z), tip_adapter(shots)(z)
    alpha, beta = [(a, b) for a in (0.1, 0.5, 1.0, 2.0, 5.0, 10.0) for b in (1.0, 3.0, 5.5, 10.0)][12]
    for n in range(5):
        for c in range(2):
            members = [unit(shots.train[i]) for i in range(4) if classes[i] == c]
            mean = unit(np.mean(members, axis=0))
            assert got[n, c] == pytest.approx(100 * unit(z[n]) @ mean)
            votes = sum(np.exp(-beta * (1 - unit(z[n]) @ member)) for member in members)
            assert cached[n, c] == pytest.approx(100 * unit(z[n]) @ unit(shots.texts[c]) + alpha * votes)


def test_few_shot_numbers(folder, angles, monkeypatch):
    monkeypatch.setattr(few_shot, "SHOTS", (1, 16))
    # The sentences stand 28 degrees off, nearer to the next class than to their own.
    found = few_shot.run({"fake": angles(words(28))}, folder, Options(resamples=20))
    by = {(m.task, m.metric, m.group): m for m in found.measures}
    assert by["zero-shot, K = 0", "accuracy", "chest"].value < 0.5
    for method in ("prototypes", "linear probe"):
        assert by[f"{method}, K = 16", "accuracy", "chest"].value > 0.95
    assert (
        by["Tip-Adapter, K = 16", "accuracy", "chest"].value
        > by["zero-shot, K = 0", "accuracy", "chest"].value
    )
    assert (
        by["prototypes, K = 16", "accuracy", ""].value == by["prototypes, K = 16", "accuracy", "chest"].value
    )
    assert by["prototypes, K = 1", "accuracy", "chest"].chance == 0.25
    assert by["prototypes, K = 1", "SD of accuracy", "chest"].n == 3
    assert by["prototypes, K = 1", "accuracy", "chest"].low is not None
    assert {task.rsplit(" = ")[1] for task, _, _ in by} == {"0", "1", "16"}


def test_paper_mode_has_no_interval(folder, angles):
    found = base_to_novel.run({"fake": angles(words())}, folder, Options(mode="paper", resamples=5))
    assert all(m.low is None for m in found.measures)


def test_base_to_novel_tests_each_side_among_its_own_classes(folder, angles):
    found = base_to_novel.run({"fake": angles(words())}, folder, Options(resamples=5))
    by = {(m.task, m.metric, m.group): m for m in found.measures}
    assert by["zero-shot", "base accuracy", "chest"].n == 20
    assert by["zero-shot", "novel accuracy", "chest"].chance == 0.5
    assert by["zero-shot", "HM", "chest"].value == 1.0
    assert set(METHODS) == {task for task, _, _ in by}


def test_the_two_ways_to_average_harmonic_means_differ_and_are_named():
    sides = {"a": (0.9, 0.3), "b": (0.5, 0.7)}
    measures = [
        Measure("s", "t", metric, value, group=name)
        for name, (base, novel) in sides.items()
        for metric, value in (
            ("base accuracy", base), ("novel accuracy", novel), ("HM", 2 * base * novel / (base + novel)),
        )
    ]  # fmt: skip
    found = {m.metric: m.value for m in base_to_novel.averages(measures)}
    assert found["mean of HM"] == pytest.approx((0.45 + 0.7 / 1.2) / 2)
    assert found["HM of means"] == pytest.approx(2 * 0.7 * 0.5 / 1.2)
    assert found["base accuracy"] == pytest.approx(0.7)


def test_a_training_image_that_is_also_tested_is_found_by_its_bytes(folder):
    images = folder / "chest" / "images" / "mass"
    path = folder / "chest" / "split_zhou_chest.json"
    assert read_set(path).leaked == 0
    (images / "train0.png").write_bytes((images / "test0.png").read_bytes())
    kept, dropped = read_set(path), read_set(path, strict=True)
    assert kept.leaked == dropped.leaked == 1
    assert "mass/train0.png" in kept.train.paths
    assert "mass/train0.png" not in dropped.train.paths


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{}", "not a split file"),
        ('{"train": [["a", 1, "x"]], "val": [], "test": [["a", 1, "x"]]}', "0 to 0"),
    ],
)
def test_a_wrong_split_file_is_refused(tmp_path, text, sentence):
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(EvaluationError, match=sentence):
        read_set(tmp_path / "split.json")


def test_a_folder_without_split_files_is_refused(tmp_path, angles):
    with pytest.raises(EvaluationError, match="no split"):
        few_shot.run({"fake": angles({})}, tmp_path, Options())


def test_a_class_without_shots_is_never_named_by_prototypes(folder, angles, monkeypatch):
    classes = np.array([0, 0, 2])
    shots = Shots(np.eye(3), classes, np.zeros((0, 3)), np.array([], int), np.eye(3))
    logits = prototypes(shots)(np.eye(3))
    assert np.isneginf(logits[:, 1]).all()
    assert logits.argmax(axis=1).tolist() == [0, 0, 2]
    monkeypatch.setattr(few_shot, "SHOTS", (16,))
    path = folder / "chest" / "split_zhou_chest.json"
    lists = json.loads(path.read_text())
    lists["train"] = [item for item in lists["train"] if item[1] != 2]
    path.write_text(json.dumps(lists))
    found = few_shot.run({"fake": angles(words())}, folder, Options(resamples=5))
    by = {(m.task, m.metric, m.group): m.value for m in found.measures}
    assert 0.6 < by["prototypes, K = 16", "accuracy", "chest"] <= 0.75
    assert found.notes == ("chest: no training image shows mass; prototypes never name it.",)


def test_intervals_resample_patients_where_the_data_name_them(tmp_path, angles, write_image, monkeypatch):
    monkeypatch.setattr(few_shot, "SHOTS", (1,))
    studies = []
    for label, (name, angle) in enumerate(ANGLES.items()):
        for part, count in (("train", 3), ("validate", 1), ("test", 6)):
            for i in range(count):
                write_image(tmp_path / f"{name}-{part}{i}.png", angle)
                patient = f"{part}{label}-{i // 3}"
                views = (View(f"{name}-{part}{i}.png", "FRONTAL"),)
                studies.append(Study(f"{name}{part}{i}", patient, views, labels={name: 1}, split=part))
    Manifest(studies, tmp_path).write(tmp_path / "m.parquet")
    found = few_shot.run({"fake": angles(words())}, tmp_path / "m.parquet", Options(resamples=5))
    of_set, over_all = (m for m in found.measures if m.task == "prototypes, K = 1" and m.metric == "accuracy")
    assert (of_set.n, of_set.patients, of_set.group) == (24, 8, "m")
    assert over_all == replace(of_set, group="")  # one set: its number, interval included
    assert "by resampling patients" in footnote(found)


def test_a_study_that_one_system_has_no_image_for_is_left_out_for_all_and_counted(
    tmp_path, angles, write_image, monkeypatch, fast_recipe
):
    monkeypatch.setattr(few_shot, "SHOTS", (1,))
    studies = []
    for name, angle in ANGLES.items():
        for part in ("train", "validate", "test"):
            for i, position in enumerate(("PA", "LL") if part == "test" else ("PA",)):
                path = f"{name}-{part}{i}.png"
                write_image(tmp_path / path, angle)
                views = (View(path, position),)
                studies.append(Study(path, f"p-{path}", views, labels={name: 1}, split=part))
    Manifest(studies, tmp_path).write(tmp_path / "m.parquet")
    takes_all, frontal_alone = angles(words()), angles(words())
    takes_all.recipe = replace_slots(fast_recipe, ("current_frontal", "current_lateral"))
    frontal_alone.recipe = fast_recipe
    both = few_shot.run({"a": takes_all, "b": frontal_alone}, tmp_path / "m.parquet", Options(resamples=5))
    tested = {
        m.system: m.n for m in both.measures if m.metric == "accuracy" and m.task == "prototypes, K = 1"
    }
    assert tested == {"a": 4, "b": 4}
    assert both.notes == ("m: 4 studies left out, because no image of theirs fits a slot of every system.",)
    alone = few_shot.run({"a": takes_all}, tmp_path / "m.parquet", Options(resamples=5))
    assert {m.n for m in alone.measures if m.task == "prototypes, K = 1" and m.metric == "accuracy"} == {8}
    assert alone.notes == ()


def test_a_split_file_without_patients_says_that_images_were_resampled(folder, angles, monkeypatch):
    monkeypatch.setattr(few_shot, "SHOTS", (1,))
    found = few_shot.run({"fake": angles(words())}, folder, Options(resamples=5))
    assert "by resampling images" in footnote(found)
    assert found.settings["template"] == "a photo of a {}."
    assert found.settings["prompts_sha256"] == load_prompts("few-shot-template").sha256
    paper = few_shot.run({"fake": angles(words())}, folder, Options("paper", resamples=5))
    assert "resampling" not in footnote(paper)


def test_strict_mode_refuses_validation_images_that_are_tested(folder):
    path = rewrite(folder, lambda lists: lists.update(val=lists["test"]))
    assert len(read_set(path).val.studies) == 40
    with pytest.raises(EvaluationError, match="40 patients or images are both"):
        read_set(path, strict=True)


@pytest.mark.parametrize("part", ["train", "test"])
def test_an_empty_list_is_named(folder, part):
    path = rewrite(folder, lambda lists: lists.update({part: []}))
    with pytest.raises(EvaluationError, match=f"list '{part}' of"):
        read_set(path)


def without(labels, parts=("train", "val", "test")):
    """A change of a split file that takes the items of some labels out of some of its lists."""

    def change(lists):
        lists.update({part: [item for item in lists[part] if item[1] not in labels] for part in parts})

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (without((1, 2, 3)), "chest has 1 classes; .* at least four"),
        (without((3,)), "chest has 3 classes; .* at least four"),
        (without((1,), ("train",)), "no training image shows effusion, of the base classes; "),
        (without((2, 3), ("test",)), r"no test image shows one of the novel classes \(mass, fracture\); "),
        (without((0, 1), ("test",)), r"no test image shows one of the base classes \(clear lung, effusion\)"),
    ],
)
def test_base_to_novel_needs_a_question_on_either_side_and_shots(folder, angles, change, sentence):
    rewrite(folder, change)
    with pytest.raises(EvaluationError, match=sentence):
        base_to_novel.run({"fake": angles(words())}, folder, Options(resamples=5))


def test_a_novel_class_without_a_training_image_moves_no_class_to_the_other_side(folder, angles):
    rewrite(folder, without((2,), ("train",)))
    found = base_to_novel.run({"fake": angles(words())}, folder, Options(resamples=5))
    by = {(m.task, m.metric, m.group): m for m in found.measures}
    assert (by["zero-shot", "base accuracy", "chest"].n, by["zero-shot", "novel accuracy", "chest"].n) == (
        20,
        20,
    )
    assert found.notes == ()  # what no method learns needs no shots


def test_two_systems_are_paired_in_every_data_set(folder, angles, monkeypatch):
    monkeypatch.setattr(few_shot, "SHOTS", (16,))
    both = {"right": angles(words()), "beside": angles(words(28))}
    found = few_shot.run(both, folder, Options(resamples=50))
    value = {m.key: m.value for m in found.measures}
    assert {(g.system, g.against, g.metric, g.group) for g in found.gaps} == {
        ("right", "beside", "accuracy", "chest")
    }
    assert {g.task for g in found.gaps} == {m.task for m in found.measures}
    for g in found.gaps:
        one, two = (value[s, g.task, "accuracy", "chest"] for s in ("right", "beside"))
        assert g.value == pytest.approx(one - two)
    asked = next(g for g in found.gaps if g.task == "zero-shot, K = 0")
    assert asked.low > 0
    assert asked.p < 0.05
    assert few_shot.run(both, folder, Options("paper", resamples=5)).gaps == ()
    halves = base_to_novel.run(both, folder, Options(resamples=50))
    assert {g.metric for g in halves.gaps} == {"base accuracy", "novel accuracy", "HM"}
    assert base_to_novel.run(both, folder, Options("paper", resamples=5)).gaps == ()


def test_the_interval_of_a_harmonic_mean_draws_both_sides_at_once(folder, angles):
    # Sentences of novel classes stand 19 degrees off: some of their images go to the next class.
    texts = words() | {f"a photo of a {name}.": ANGLES[name] + 19 for name in ("mass", "fracture")}
    found = base_to_novel.run({"fake": angles(texts)}, folder, Options(resamples=200))
    by = {m.metric: m for m in found.measures if m.task == "zero-shot" and m.group == "chest"}
    base, novel, hm = (by[metric] for metric in ("base accuracy", "novel accuracy", "HM"))
    assert base.value == base.low == base.high == 1.0
    assert hm.value == pytest.approx(2 * novel.value / (1 + novel.value))
    assert hm.low < hm.value < hm.high
    assert (hm.n, hm.patients) == (40, 40)
    over_all = {m.metric: m for m in found.measures if m.task == "zero-shot" and not m.group}
    for name in ("mean of HM", "HM of means"):  # of one data set: its own
        assert over_all[name] == replace(hm, metric=name, group="")


def test_a_harmonic_mean_on_hand_worked_resamples():
    right = [mean_of(np.array(values)) for values in ([1.0, 0.0], [1.0, 1.0, 0.0])]
    cell = ("s", "t")
    together, patients = side_by_side([({cell: right[0]}, ["a", "b"]), ({cell: right[1]}, ["b", "c", "d"])])
    assert patients == ["a", "b", "b", "c", "d"]
    weights = np.array([[1, 1, 1, 1, 1], [1, 0, 1, 0, 0], [0, 1, 0, 0, 1], [1, 1, 0, 0, 0]], dtype=float)
    # 2 x 1/2 x 2/3 / (7/6); all right; all wrong, which is 0 and not undefined; a side that was not drawn.
    got = base_to_novel._harmonic_of(*together[cell]).of(weights)
    assert got.tolist() == pytest.approx([4 / 7, 1.0, 0.0, np.nan], nan_ok=True)
