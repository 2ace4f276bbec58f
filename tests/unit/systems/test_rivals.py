"""What every rival must do: train exactly what its loss reaches, learn, ignore absent views, travel."""

from __future__ import annotations

import pytest
import torch

import radalign
from radalign.data.batches import ImageBatch
from radalign.systems.recipe import RecipeError
from tests.unit.systems.conftest import frontal_batch, rival

TRAINED = ["linear-heads", "clip-full", "convirt", "gloria", "biovil-t", "medklip", "lora", "hica"]
ALL = ["frozen", *TRAINED]


@pytest.mark.parametrize("name", ALL)
def test_embeddings_have_unit_length_and_the_stated_width(name):
    system = rival(name).eval()
    b = frontal_batch(system)
    for z in (system.encode_images(b.images).global_, system.encode_texts(b.texts).global_):
        assert z.shape == (4, system.width)
        torch.testing.assert_close(z.norm(dim=1), torch.ones(4))
    assert system.embed_texts(["Normal."]).shape == (1, system.width)


@pytest.mark.parametrize("name", TRAINED)
def test_a_parameter_trains_exactly_if_an_objective_reaches_it(name):
    system = rival(name).train()
    terms = system.objectives(frontal_batch(system))
    assert set(terms) == set(system.recipe.objectives)
    system.total(terms).backward()
    assert [n for n, p in system.named_parameters() if p.requires_grad and p.grad is None] == []
    assert [n for n, p in system.named_parameters() if not p.requires_grad and p.grad is not None] == []


@pytest.mark.parametrize("name", TRAINED)
def test_a_few_steps_lower_the_loss_of_a_batch(name):
    torch.manual_seed(0)
    system = rival(name, "train.lr=3e-3").train()
    b = frontal_batch(system)
    optimiser = torch.optim.AdamW(system.parameter_groups())
    first = system.total(system.objectives(b)).item()
    for _ in range(8):
        optimiser.zero_grad()
        system.total(system.objectives(b)).backward()
        optimiser.step()
        system.after_step()
    assert system.total(system.objectives(b)).item() < 0.9 * first


@pytest.mark.parametrize("name", ALL)
def test_what_stands_in_an_absent_slot_never_matters(name):
    system = rival(name).eval()
    b = frontal_batch(system)
    scribbled = b.images.images.clone()
    scribbled[~b.images.view_mask] = 255
    one, two = system.encode_images(b.images), system.encode_images(ImageBatch(scribbled, b.images.view_mask))
    assert torch.equal(one.global_, two.global_)
    assert one.local is None or torch.equal(one.local, two.local)


@pytest.mark.parametrize("name", ALL)
def test_saving_and_loading_gives_the_same_numbers(name, tmp_path):
    system = rival(name)
    b = frontal_batch(system)
    if system.recipe.objectives:  # one step, so that what travels is not what a recipe would make anew
        system.train().total(system.objectives(b)).backward()
        torch.optim.SGD(system.parameter_groups(), lr=0.1).step()
    system.eval().save(tmp_path / "run")
    again = radalign.load(tmp_path / "run")
    assert torch.equal(system.encode_images(b.images).global_, again.encode_images(b.images).global_)
    assert torch.equal(system.encode_texts(b.texts).global_, again.encode_texts(b.texts).global_)
    assert again.identity == system.identity


@pytest.mark.parametrize("name", TRAINED)
def test_every_trained_parameter_is_in_one_optimiser_group(name):
    system = rival(name)
    grouped = [id(p) for group in system.parameter_groups() for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in system.parameters() if p.requires_grad)


def test_frozen_keeps_the_cosines_of_the_encoders_whatever_their_widths():
    wide = "backbones.text={random={width=48, depth=1, heads=2, mlp_width=64, vocabulary=200, seed=2}}"
    system = rival("frozen", wide).eval()
    b = frontal_batch(system)
    assert system.width == 48
    tokens = system.vision(b.images.images[b.images.view_mask][:, None])[:, 0]
    own = torch.nn.functional.normalize(torch.stack([tokens[:2].mean(0), tokens[2]]), dim=-1)
    z = system.encode_images(b.images).global_[:2]
    torch.testing.assert_close(z @ z.T, own @ own.T)
    assert system.warm_start(None) == {"trainable parameters": 0.0}


def test_frozen_with_an_objective_is_refused():
    with pytest.raises(RecipeError, match=r"cannot train; empty its \[objectives\]"):
        rival("frozen", "objectives={global_contrastive=1.0}")


def test_full_fine_tuning_leaves_the_asked_text_layers_frozen():
    system = rival("convirt")
    trains = {n for n, p in system.named_parameters() if p.requires_grad and n.startswith("text.")}
    assert trains
    assert all(n.startswith("text.transformer.blocks.1.") for n in trains)


def test_a_pretrained_projection_that_is_not_used_does_not_train():
    clip = (
        "backbones.vision={random={width=32, depth=1, heads=2, mlp_width=64, patch_px=8, image_px=32,"
        " projection=16}}"
    )
    system = rival("clip-full", clip)
    assert not system.vision.projection.weight.requires_grad
    assert system.vision.cls.requires_grad
