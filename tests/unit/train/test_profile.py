"""The profile: parameters that add up, counts that torch confirms, and a formula by hand."""

from __future__ import annotations

import json

import pytest
import torch
from typer.testing import CliRunner

from radalign.cli import build_app
from radalign.systems.base import create
from radalign.systems.recipe import RecipeError
from radalign.train.profile.counting import count_images, count_step, count_text
from radalign.train.profile.products import MatrixProducts
from radalign.train.profile.report import Ask, open_system, profile
from tests.unit.systems.conftest import TINY

BACKBONES = [setting for setting in TINY if not setting.startswith("model.")]
RECORD = [
    *BACKBONES, "model.decoder_heads=2", "model.decoder_depth=1",
]  # fmt: skip
SMALL = {
    "alta": RECORD,
    "mrm": RECORD,
    "clinvla": BACKBONES,
    "nearl-offline": BACKBONES,
    "ridge": BACKBONES,
    "lora": BACKBONES,
}


@pytest.mark.parametrize("recipe", SMALL)
def test_torch_confirms_the_count_of_every_image_and_text(recipe):
    system = create(recipe, SMALL[recipe])
    counts = count_images(system, len(system.recipe.data.slots))
    counts += [] if recipe == "mrm" else [count_text(system, 16)]
    assert counts
    for count in counts:
        assert count.macs > 0
        assert abs(count.difference) < 0.01, count


@pytest.mark.parametrize("recipe", SMALL)
def test_torch_confirms_the_count_of_a_training_step(recipe):
    count = count_step(create(recipe, SMALL[recipe]), 4, 1, 16)
    if recipe == "ridge":
        assert count is None  # nothing trains by gradient
        return
    # The local objective brings its own backward pass, which the own count leaves out; it is small.
    limit = 0.02 if recipe in ("alta", "clinvla") else 0.01
    assert abs(count.difference) < limit, count


def test_texts_that_see_each_image_are_part_of_an_images_cost():
    """Interaction `instance` reads every class's sentence once per image; `prototype` once for all."""
    few, many = ('model.classes=["a", "b"]', 'model.classes=["a", "b", "c", "d", "e", "f"]')
    costs = {
        (how, names): count_images(
            create("nearl-offline", [*BACKBONES, names, f"model.interaction={how}"]), 1
        )[0]
        for how in ("instance", "prototype")
        for names in (few, many)
    }
    more = {how: costs[how, many].macs - costs[how, few].macs for how in ("instance", "prototype")}
    text = count_text(create("nearl-offline", BACKBONES), 8).macs  # at least what a sentence takes
    assert more["instance"] > 3 * text > more["prototype"]
    assert costs["instance", many].macs > 2 * costs["prototype", many].macs
    assert all(abs(count.difference) < 0.01 for count in costs.values())


def test_a_tower_costs_what_the_formula_says():
    system = create("clinvla-heads", BACKBONES)
    tokens, width, mlp, patch = 16 + 1, 32, 64, 8
    block = tokens * (4 * width**2 + 2 * width * mlp) + 2 * tokens**2 * width
    heads = (1 + 16) * (width * 128 + 128**2)  # global for the study, local for every patch
    expected = 16 * patch**2 * width + 2 * block + heads
    assert count_images(system, 1)[0].macs == expected


def test_masking_three_quarters_takes_away_about_three_quarters():
    whole, masked = count_images(create("clinvla", BACKBONES), 1)
    assert (whole.case, masked.case) == ("image", "image, masked")
    assert masked.macs / whole.macs == pytest.approx(5 / 17, abs=0.02)  # CLS stays, so do 4 of 16 patches


def test_only_wanted_gradients_are_counted():
    x, frozen = torch.randn(3, 4), torch.randn(4, 5)
    trained = torch.randn(5, 2, requires_grad=True)
    with MatrixProducts() as count:
        used = (x @ frozen) @ trained
        _ = used @ torch.randn(2, 7)  # nobody asks for this one's gradient
    used.sum().backward()
    assert count.forward == 3 * 4 * 5 + 3 * 5 * 2 + 3 * 2 * 7
    assert count.backward == 3 * 5 * 2


def test_counting_leaves_the_system_as_it_was():
    system = create("clinvla", BACKBONES)
    before = {name: p.requires_grad for name, p in system.named_parameters()}
    count_images(system, 2)
    count_step(system, 2, 2, 16)
    assert {name: p.requires_grad for name, p in system.named_parameters()} == before
    assert all(p.grad is None for p in system.parameters())


def test_the_command_prints_a_profile_whose_parts_add_up():
    settings = [word for setting in BACKBONES for word in ("--set", setting)]
    command = ["profile", "clinvla", *settings, "--batch", "2", "--calls", "2", "--tokens", "16", "--json"]
    done = CliRunner().invoke(build_app("profile"), command, catch_exceptions=False)
    found = json.loads(done.stdout)
    total = found["parameters"].pop("total")
    for kind in ("all", "trainable"):
        assert sum(row[kind] for row in found["parameters"].values()) == total[kind] > 0
    assert [row["case"] for row in found["latencies"]] == ["image", "text", "training step"]
    assert all(0 < row["p50_ms"] <= row["p95_ms"] for row in found["latencies"])
    assert {row["views"] for row in found["counts"] if row["case"] == "image"} == {1, 2}
    table = CliRunner(env={"COLUMNS": "160"}).invoke(
        build_app("profile"), [*command[:-1], "--no-step"], catch_exceptions=False
    )
    assert "torch's GFLOP" in table.stdout
    assert "training step" not in table.stdout


@pytest.mark.parametrize("recipe", ["clip-adapter-offline", "tip-adapter-f-offline", "tip-adapter-offline"])
def test_a_classifier_without_classes_of_its_own_is_measured_with_ten(recipe):
    system = create(recipe, BACKBONES)
    found = profile(system, Ask(batch=2, calls=1, precision="fp32"))
    assert len(system.classes) == 10
    assert found.notes[0].startswith("Measured with 10 classes of 16 studies; ")
    trains = recipe != "tip-adapter-offline"
    assert ("training step" in [count.case for count in found.counts]) == trains
    assert found.notes[1:] == ([] if trains else ["No training step: nothing here trains by gradient."])
    if recipe == "tip-adapter-f-offline":
        assert found.parameters["keys"] == {
            "all": 160 * system.keys.shape[1],
            "trainable": system.keys.numel(),
        }


def test_what_cannot_be_profiled_is_said(tmp_path):
    with pytest.raises(RecipeError, match="leave --set away"):
        open_system(str(tmp_path), ["train.epochs=1"])
    with pytest.raises(RecipeError, match="at least one study"):
        Ask(batch=0)
    with pytest.raises(RecipeError, match="2 slots"):
        count_images(create("clinvla", BACKBONES), 3)
