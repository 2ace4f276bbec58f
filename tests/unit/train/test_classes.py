"""Training on classes: no reports, drawn shots, the optimiser and schedule of the few-shot papers."""

from __future__ import annotations

import json

import pytest
import torch
import torch.nn.functional as F

from radalign.data.settings import TrainSettings
from radalign.objectives.collapse import CollapseError, measure_class_collapse
from radalign.systems.base import create, load
from radalign.systems.nearl_clip import NEARLCLIP
from radalign.systems.recipe import RecipeError
from radalign.train.loop import train
from radalign.train.schedule import rate_share
from radalign.train.selection import SelectionError
from tests.few_labels import CALM, CLASSES, CLIP, labelled_manifest


def run(tmp_path, recipe="nearl-few-shot", *overrides, studies=(8, 5, 2), **options):
    manifest = labelled_manifest(tmp_path / "data", *studies)
    system = create(recipe, [*CLIP, *CALM, *overrides])
    return train(system, manifest, tmp_path / "run", tmp_path / "pixels", device="cpu", **options)


def test_a_manifest_without_reports_trains_and_its_classes_travel(tmp_path):
    result = run(tmp_path, "nearl-few-shot", "data.shots=2")
    assert result.details["studies"] == {"train": 6, "validate": 6}
    assert result.select == "accuracy"
    assert {"accuracy", "class_accuracy", "loss"} <= set(result.best_numbers)
    assert result.details["excluded"]["train: not drawn"] == 23 - 6
    assert result.details["excluded"]["train: none of the classes, or several"] == 1
    assert load(tmp_path / "run").classes == CLASSES
    card = (tmp_path / "run" / "README.md").read_text()
    assert "accuracy" in card
    steps = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert sum(line["kind"] == "step" for line in steps) == 3  # 3 epochs of 6 // 4 batches


def test_the_same_seed_draws_the_same_shots_and_another_seed_others(tmp_path):
    one = run(tmp_path / "a", "tip-adapter", "data.shots=2", "train.seed=1")
    two = run(tmp_path / "b", "tip-adapter", "data.shots=2", "train.seed=1")
    three = run(tmp_path / "c", "tip-adapter", "data.shots=2", "train.seed=2")
    hashes = [result.details["data_sha256"] for result in (one, two, three)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_base_classes_are_the_first_half_and_labels_give_the_order(tmp_path):
    result = run(tmp_path, "clip-adapter", "data.classes=base", "data.labels=['normal', 'cardiomegaly']")
    assert result.details["recipe"]["model"]["classes"] == ["normal"]


@pytest.mark.parametrize(
    ("recipe", "more"),
    [
        ("nearl-few-shot", []),
        ("clip-adapter", ["model.mix=0.9", "model.reduction=1"]),  # a fifth of a random feature is too little
        ("tip-adapter-f", []),
    ],
)
def test_training_learns_three_classes_of_bright_stripes(tmp_path, recipe, more):
    how = ("train.epochs=12", "train.optimiser=adamw", "train.lr=3e-3", "data.shots=8", "train.batch_size=8")
    result = run(tmp_path, recipe, *how, *more, studies=(8, 5, 2))
    assert result.best_numbers["accuracy"] > 0.6  # chance is a third


def test_a_killed_run_with_momentum_goes_on_as_if_nothing_had_happened(tmp_path):
    how = ("clip-adapter", "data.shots=4", "train.optimiser=sgd", "train.lr=0.05")
    whole = run(tmp_path / "a", *how)
    from radalign.train import run as loop

    saved = loop.Run._end_epoch

    def stop(self, stop):
        saved(self, stop)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.Run, "_end_epoch", stop)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "b", *how)
    again = run(tmp_path / "b", *how, resume=True)
    assert again.steps == whole.steps
    one, two = (load(tmp_path / name / "run" / "last").own_state() for name in "ab")
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_warm_up_at_a_constant_rate():
    settings = TrainSettings(epochs=4, lr=2e-3, warmup_epochs=1, warmup_lr=1e-5)
    assert [rate_share(step, 5, settings) for step in (0, 4)] == [0.005, 0.005]
    assert rate_share(5, 5, settings) == 1.0


def test_a_number_that_no_classification_gives_is_refused(tmp_path):
    with pytest.raises(SelectionError, match=r"r10 is no validation number; use one of accuracy"):
        run(tmp_path, "clip-adapter", "train.select=r10")


def test_the_batch_as_context_needs_another_way_to_validate(tmp_path):
    with pytest.raises(RecipeError, match="depend on its batch"):
        run(tmp_path / "a", "nearl-few-shot", 'model.interaction="batch"')
    how = ('model.interaction="batch"', 'model.evaluation="prototype"', "train.epochs=1", "data.shots=2")
    assert run(tmp_path / "b", "nearl-few-shot", *how).is_finished


@pytest.mark.parametrize("how", ["prototype", "instance"])
def test_a_classifier_whose_studies_come_to_one_point_has_collapsed(tmp_path, monkeypatch, how):
    asked = ("nearl-few-shot", f"model.interaction={how}", "data.shots=2")
    healthy = run(tmp_path / "a", *asked)
    assert {"negative", "positive", "spread", "effective_rank"} <= set(healthy.last_numbers)
    real = NEARLCLIP._project_image
    monkeypatch.setattr(
        NEARLCLIP,
        "_project_image",
        lambda *given: real(*given) * 1e-9 + torch.ones(()),  # [B, E], all alike
    )
    with pytest.raises(CollapseError, match=r"have collapsed .*spread 0\.00"):
        run(tmp_path / "b", *asked, fail_on_collapse=True)


def test_the_monitors_cosines_are_those_of_own_and_other_classes():
    studies = F.normalize(torch.randn(6, 8, generator=torch.Generator().manual_seed(0)), dim=-1)
    sentences = F.normalize(torch.randn(3, 8, generator=torch.Generator().manual_seed(1)), dim=-1)
    target = torch.tensor([0, 1, 2, 2, 1, 0])
    own = [float(studies[i] @ sentences[c]) for i, c in enumerate(target.tolist())]
    other = [
        float(studies[i] @ sentences[k]) for i, c in enumerate(target.tolist()) for k in range(3) if k != c
    ]
    found = measure_class_collapse(studies, sentences, target)
    assert found.positive == pytest.approx(sum(own) / 6, abs=1e-6)
    assert found.negative == pytest.approx(sum(other) / 12, abs=1e-6)
    # Two classes, each at one point, tell apart all there is: a rank of 2 or less is no collapse here.
    pair = torch.eye(8)[[0, 0, 1, 1]]
    assert measure_class_collapse(pair, torch.eye(8)[:2], torch.tensor([0, 0, 1, 1])).verdict == "fine"
