"""ClinVLA's switches: the ablations of Table 6, priors, masking, pairing, and the optional reconstruction."""

from __future__ import annotations

import pytest
import torch

from radalign.data.batches import ImageBatch, StudyBatch
from radalign.nn.adapters import InvertibleAdapter
from radalign.systems.clinvla_reconstruction import undone
from radalign.systems.recipe import RecipeError
from tests.unit.systems.conftest import REPORTS, rival

RECONSTRUCTION = [
    "objectives.image_reconstruction=1.0",
    "objectives.masked_language=1.0",
    "model.decoder_depth=1",
    "model.decoder_heads=2",
]
# Table 6 of the paper: what is taken away, the recipe, and the one override.
ABLATIONS = {
    "-Transformer-Adapt": ("clinvla", "model.adapter_hidden=0"),
    "-Multiview": ("clinvla-temporal", 'data.slots=["current_frontal", "prior_frontal"]'),
    "-Inversed Adapter": ("clinvla", "model.invertible=false"),
    "-Temporal and Multiview": ("clinvla-temporal", 'data.slots=["current_frontal"]'),
    "-Local": ("clinvla", "objectives.local_contrastive=0"),
    "-Global": ("clinvla", "objectives.global_contrastive=0"),
}


def some_batch(system):
    slots, side = len(system.recipe.data.slots), system.loading().size_px
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (4, slots, side, side), dtype=torch.uint8, generator=generator)
    mask = torch.ones(4, slots, dtype=torch.bool)
    mask[1, 1:] = False
    return StudyBatch(ImageBatch(images, mask), system.tokenize(REPORTS))


def one_step(system):
    """A step of the optimiser; what trains and what moved."""
    system.train()
    before = {n: p.detach().clone() for n, p in system.named_parameters()}
    torch.manual_seed(0)
    adam = torch.optim.AdamW(system.parameter_groups(), lr=1e-3)
    system.total(system.objectives(some_batch(system))).backward()
    without = [n for n, p in system.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []
    adam.step()
    return {n for n, p in system.named_parameters() if not torch.equal(before[n], p)}


@pytest.mark.parametrize("row", ABLATIONS)
def test_every_row_of_table_6_is_one_override_that_trains(row, tiny):
    recipe, override = ABLATIONS[row]
    full, system = tiny(recipe), tiny(recipe, override)
    moved = one_step(system)
    assert moved
    trains = [sum(p.numel() for p in s.parameters() if p.requires_grad) for s in (full, system)]
    assert trains[1] < trains[0] or row == "-Multiview"  # a slot less is no parameter less
    b = some_batch(system)
    assert system.eval().encode_images(b.images).global_.shape == (4, 16)


def test_without_global_objective_the_mean_patch_and_word_stand_for_a_study(tiny):
    system = tiny("clinvla", "objectives.global_contrastive=0").eval()
    b = some_batch(system)
    z = system.encode_images(b.images)
    by_hand = torch.nn.functional.normalize(z.local[1][z.mask[1]].mean(0), dim=0)
    torch.testing.assert_close(z.global_[1], by_hand)
    assert not system.image_global_head.dense.weight.requires_grad


def test_temporal_adds_the_priors_and_tells_them_from_current_views(tiny):
    system = tiny("clinvla", "model.temporal=true").eval()
    assert system.recipe.data.slots == (
        "current_frontal",
        "current_lateral",
        "prior_frontal",
        "prior_lateral",
    )
    assert "slot_embedding.time" in one_step(system)
    with torch.no_grad():
        torch.nn.init.normal_(system.slot_embedding.time)
    image = torch.randint(0, 256, (1, 1, 32, 32), dtype=torch.uint8).expand(2, 4, -1, -1)
    slots = torch.tensor([[True, False, False, False], [False, False, True, False]])
    now, before = system.eval().encode_images(ImageBatch(image, slots)).global_
    assert not torch.allclose(now, before, atol=1e-3)


@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize("name", ["clinvla-temporal", "alta", "cca"])
def test_a_batch_with_other_slots_than_the_models_is_refused(name, slots):
    more = ["model.decoder_heads=2"] if name == "alta" else []
    system = rival(name, 'data.slots=["current_frontal", "prior_frontal"]', *more).eval()
    image = torch.zeros(2, slots, 32, 32, dtype=torch.uint8)
    with pytest.raises(ValueError, match=rf"{slots} slots per study and this model was made for 2"):
        system.encode_images(ImageBatch(image, torch.ones(2, slots, dtype=torch.bool)))


def test_view_and_time_embeddings_start_at_zero(tiny):
    system = tiny("clinvla", "model.temporal=true")
    assert not system.slot_embedding(torch.ones(1, 4, dtype=torch.bool)).any()


def test_the_reconstruction_head_is_absent_unless_asked_for(tiny):
    assert tiny().reconstruction_head is None
    only_words = tiny("clinvla", "objectives.masked_language=1.0")
    assert only_words.reconstruction_head.decoder is None


@pytest.mark.parametrize("invertible", [True, False])
def test_the_reconstruction_head_trains_with_everything_it_reads(tiny, invertible):
    system = tiny("clinvla", *RECONSTRUCTION, f"model.invertible={str(invertible).lower()}")
    moved = one_step(system)
    assert {"reconstruction_head.decoder.mask_token", "reconstruction_head.word_head.bias"} <= moved
    terms = system.objectives(some_batch(system))
    assert terms["image_reconstruction"] > 0
    assert terms["masked_language"] > 0


@pytest.mark.parametrize("side", ["vision", "text"])
def test_the_inverse_stands_before_the_output_and_undoes_the_adapter(tiny, side):
    system = tiny("clinvla", 'model.adapter_init="he"', *RECONSTRUCTION)
    adapter = getattr(system, side).embedding_adapter
    tokens = torch.randn(7, 32)
    assert (adapter(tokens) - tokens).abs().max() > 0.01
    torch.testing.assert_close(undone(adapter(tokens), adapter), tokens, rtol=0, atol=1e-5)
    assert undone(tokens, None) is tokens
    system.train()
    seen = {}
    head = system.reconstruction_head
    part = head.decoder if side == "vision" else head.word_head
    part.register_forward_pre_hook(lambda _, given: seen.update(given=given[0]))
    tower = getattr(system, side)
    tower.register_forward_hook(lambda _, __, out: seen.update(out=out))
    system.objectives(some_batch(system))
    expected = adapter.inverse(seen["out"])
    if side == "text":  # the head reads hidden words only: each of its rows is among the undone tokens
        expected = expected.flatten(0, 1)
        exact = "donot_use_mm_for_euclid_dist"  # by products, a distance of 0 may come out as 0.005
        nearest = torch.cdist(seen["given"], expected, compute_mode=exact).min(1).values
        assert (nearest < 1e-4).all()
    else:
        torch.testing.assert_close(seen["given"], expected)


@pytest.mark.parametrize("width", [32, 384, 768])
def test_the_round_trip_is_exact_to_1e_5_in_fp32(width):
    torch.manual_seed(0)
    adapter = InvertibleAdapter(width, "he")
    tokens = torch.randn(500, width)
    with torch.no_grad():
        assert (adapter.inverse(adapter(tokens)) - tokens).abs().max() < 1e-5
        assert (adapter(adapter.inverse(tokens)) - tokens).abs().max() < 1e-5


def test_rebuilding_patches_without_dropping_any_is_a_contradiction(tiny):
    with pytest.raises(RecipeError, match=r"set model\.mask_ratio above 0"):
        tiny("clinvla", *RECONSTRUCTION, "model.mask_ratio=0")


def test_a_system_that_reconstructs_embeds_the_same_size_as_one_that_does_not(tiny):
    system = tiny("clinvla", *RECONSTRUCTION).eval()
    assert system.encode_images(some_batch(system).images).local.shape == (4, 2 * 16, 16)


def test_foreground_masking_and_pairing_by_index_train(tiny):
    assert one_step(tiny("clinvla", 'model.mask="foreground"'))
    assert one_step(tiny("clinvla-published", 'model.local_pairing="index"'))


def test_language_adapters_learn_at_half_the_rate_of_the_rest(tiny):
    groups = {g["name"]: g for g in tiny().parameter_groups()}
    assert groups["language adapters"]["lr"] == 5e-5
    assert groups["rest"]["lr"] == 1e-4
    assert {g["weight_decay"] for g in groups.values()} == {1e-4}


def test_a_long_report_ends_with_a_whole_sentence(tiny):
    system = tiny("clinvla", "backbones.max_tokens=12")
    text = "No effusion is seen today. The heart is not enlarged at all."
    whole = system.tokenize([text])
    assert torch.equal(whole.input_ids, system.tokenize(["No effusion is seen today."]).input_ids)
    cut = tiny("clinvla", "backbones.max_tokens=12", "model.whole_sentences=false").tokenize([text])
    assert cut.input_ids.shape == (1, 12)
