"""ALTA: counts, identity at the start, absent views, what trains, masked words and pixels."""

from __future__ import annotations

import pytest
import torch

import radalign
from radalign.data.batches import ImageBatch, StudyBatch
from radalign.systems.base import create
from tests.unit.systems.conftest import REPORTS, TINY

OFFICIAL = ["model.official_missing=true", "model.official_frozen=true", "model.freeze_decoder=true"]
DECODER = ["data.size_px=64", "model.decoder_heads=2", "model.decoder_depth=1"]


@pytest.fixture
def alta():
    shared = [setting for setting in TINY if "adapter_hidden" not in setting]
    return lambda *overrides: create("alta", [*shared, *DECODER, *overrides])


def batch_of(system):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (4, 4, 64, 64), dtype=torch.uint8, generator=generator)
    mask = torch.tensor([[1, 1, 1, 1], [1, 0, 0, 0], [0, 1, 0, 0], [1, 0, 1, 0]], dtype=torch.bool)
    return StudyBatch(ImageBatch(images, mask), system.tokenize(REPORTS))


def test_at_the_published_size_the_counts_are_those_of_the_public_code():
    sizes = "width=768, depth=12, heads=12, mlp_width=3072"
    system = create(
        "alta",
        [
            f"backbones.vision={{random={{{sizes}, patch_px=16, image_px=224, position='sincos'}}}}",
            f"backbones.text={{random={{{sizes}, vocabulary=30522, max_tokens=512, segments=2}}}}",
            *OFFICIAL,
        ],
    )
    total = system.trainable_report()["total"]
    assert total["all"] == 242_177_854
    assert total["trainable"] == 18_333_502


def test_before_training_the_towers_are_the_frozen_backbones(alta, tiny):
    adapted, bare = alta(), tiny("clinvla-heads")
    b = batch_of(adapted)
    views = b.images.images[b.images.view_mask][:, None, ::2, ::2]
    torch.testing.assert_close(adapted.vision(views), bare.vision(views), rtol=0, atol=1e-6)
    ids, mask = b.texts.input_ids, b.texts.attention_mask
    torch.testing.assert_close(adapted.eval().text(ids, mask), bare.text(ids, mask), rtol=0, atol=1e-6)


@pytest.mark.parametrize("official", [[], ["model.official_missing=true"]])
def test_what_stands_in_an_absent_slot_never_matters(alta, official):
    system = alta(*official).eval()
    b = batch_of(system)
    scribbled = b.images.images.clone()
    scribbled[~b.images.view_mask] = 255
    one = system.encode_images(b.images)
    two = system.encode_images(ImageBatch(scribbled, b.images.view_mask))
    assert torch.equal(one.global_, two.global_)
    assert torch.equal(one.local, two.local)
    assert bool(one.mask.all()) == bool(official)  # only the official way counts missing patches


@pytest.mark.parametrize("fusion", ["mean", "attention"])
def test_a_parameter_trains_exactly_if_an_objective_reaches_it(alta, fusion):
    system = alta(f'model.fusion="{fusion}"').train()
    terms = system.objectives(batch_of(system))
    assert set(terms) == set(system.recipe.objectives)
    system.total(terms).backward()
    assert [n for n, p in system.named_parameters() if p.requires_grad and p.grad is None] == []
    assert [n for n, p in system.named_parameters() if not p.requires_grad and p.grad is not None] == []


def test_without_an_objective_its_parts_stay_frozen(alta):
    system = alta("objectives={global_contrastive=1.0}", "data.size_px=32").train()
    trains = {n.split(".")[0] for n, p in system.named_parameters() if p.requires_grad}
    assert not trains & {"decoder", "word_head", "image_to_text", "image_local_head", "text_local_head"}


def test_attention_over_views_starts_as_their_mean(alta):
    mean, attention = alta().eval(), alta('model.fusion="attention"').eval()
    attention.load_state_dict(mean.state_dict(), strict=False)
    b = batch_of(mean)
    torch.testing.assert_close(
        attention.encode_images(b.images).global_, mean.encode_images(b.images).global_, rtol=0, atol=1e-6
    )


def test_time_tells_a_prior_from_a_current_view(alta):
    system = alta().eval()
    with torch.no_grad():
        torch.nn.init.normal_(system.time_embedding)  # a constant shift would vanish in the LayerNorms
    image = torch.randint(0, 256, (1, 1, 64, 64), dtype=torch.uint8).expand(2, 4, -1, -1)
    slots = torch.tensor([[True, False, False, False], [False, False, True, False]])
    now, before = system.encode_images(ImageBatch(image, slots)).global_
    assert not torch.allclose(now, before, atol=1e-3)


def test_saving_and_loading_gives_the_same_numbers(alta, tmp_path):
    system = alta().eval()
    system.save(tmp_path / "run")
    again = radalign.load(tmp_path / "run")
    b = batch_of(system)
    assert torch.equal(system.encode_images(b.images).global_, again.encode_images(b.images).global_)
    assert torch.equal(system.encode_texts(b.texts).global_, again.encode_texts(b.texts).global_)
