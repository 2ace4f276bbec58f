"""Rivals with two towers, too, may start from the closed form, and then their first step leaves from there."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import radalign
from radalign.data.phantom.simulate import simulate
from radalign.study import Manifest
from radalign.systems.recipe import RecipeError
from tests.unit.systems.conftest import TINY, frontal_batch, rival

RIVALS = ["linear-heads", "clip-full", "convirt", "gloria", "biovil-t", "lora", "hica"]
CNN = "backbones.vision={random={family='resnet', seed=1}}"


@pytest.fixture(scope="module")
def manifest(tmp_path_factory) -> Manifest:
    made = simulate(tmp_path_factory.mktemp("phantom"), 14)
    return Manifest([replace(s, split="train") for s in made], made.root)


def warm(name, *overrides):
    return rival(name, "model.warm_start=cca", *overrides)


@pytest.mark.parametrize(
    ("name", "tower"), [*((name, TINY[0]) for name in RIVALS), ("convirt-resnet50", CNN)]
)
def test_before_the_first_step_a_rival_ranks_as_canonical_correlation_does(name, tower, manifest):
    started = warm(name, tower)
    numbers = started.warm_start(manifest)
    slots = ", ".join(f'"{slot}"' for slot in started.recipe.data.slots)
    closed = rival("cca", f"data.slots=[{slots}]", tower)
    assert numbers == closed.warm_start(manifest)
    b = frontal_batch(started)
    for system in (started.eval(), closed.eval()):
        assert system.encode_images(b.images).global_.std(0).max() > 0.1  # not one point for all
    torch.testing.assert_close(
        started.encode_images(b.images).global_, closed.encode_images(b.images).global_
    )
    torch.testing.assert_close(started.encode_texts(b.texts).global_, closed.encode_texts(b.texts).global_)
    torch.testing.assert_close(started.text_points(b.texts), closed.text_points(b.texts))


@pytest.mark.parametrize("heads", [True, False])
@pytest.mark.parametrize("name", RIVALS)
def test_what_is_to_train_moves_and_maps_stay(name, heads, manifest, tmp_path):
    if not heads and name in ("linear-heads", "biovil-t"):
        pytest.skip("without its heads nothing of it trains, or not what it is for")
    torch.manual_seed(0)
    system = warm(name, "train.lr=3e-3", f"model.train_heads={str(heads).lower()}")
    system.warm_start(manifest)
    maps = {n: v.clone() for n, v in system.maps_head.state_dict().items()}
    start = system.eval().encode_images(frontal_batch(system).images).global_
    optimiser = torch.optim.AdamW(system.parameter_groups(), lr=3e-3)
    losses = []
    for _ in range(8):
        optimiser.zero_grad()
        loss = system.total(system.train().objectives(frontal_batch(system)))
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    moved_heads = any(p.any() for p in (*system.image_head.parameters(), *system.text_head.parameters()))
    assert not heads or moved_heads
    assert all(torch.equal(v, maps[n]) for n, v in system.maps_head.state_dict().items())
    moved = system.eval().encode_images(frontal_batch(system).images).global_
    assert not torch.allclose(moved, start)
    system.save(tmp_path / "kept")
    again = radalign.load(tmp_path / "kept").encode_images(frontal_batch(system).images).global_
    torch.testing.assert_close(again, moved)


def test_heads_that_are_neither_started_nor_trained_are_a_sentence():
    with pytest.raises(RecipeError, match="leaves the global heads as they were drawn"):
        rival("lora", "model.train_heads=false")


def test_a_warm_start_of_heads_that_are_not_there_is_a_sentence():
    with pytest.raises(RecipeError, match=r"starts heads; with model.head = .none. there are none"):
        warm("frozen")
