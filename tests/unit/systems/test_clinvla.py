"""ClinVLA: counts, identity at the start, absent views, order, stages, save and load."""

from __future__ import annotations

import dataclasses

import pytest
import torch

import radalign
from radalign.data.batches import ImageBatch, StudyBatch
from radalign.systems.recipe import RecipeError
from tests.unit.systems.conftest import REPORTS


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_at_the_published_size_the_parameter_counts_are_those_of_the_notes():
    sizes = "width=768, depth=12, heads=12, mlp_width=3072"
    system = radalign.systems.base.create(
        "clinvla",
        [
            f"backbones.vision={{random={{{sizes}, patch_px=16, image_px=224}}}}",
            f"backbones.text={{random={{{sizes}, vocabulary=28996, max_tokens=512}}}}",
        ],
    )
    layers = [b.output_adapter for b in system.vision.transformer.blocks]
    assert sum(count(layer) for layer in layers) == 2_379_264
    assert count(system.vision.embedding_adapter) == 296_064
    report = system.trainable_report()
    assert report["vision adapters"]["trainable"] == 2_675_328
    assert report["text adapters"]["trainable"] == 2_675_328
    assert report["heads"]["trainable"] == 4 * 115_200 + 4
    assert report["total"]["trainable"] == 5_811_456 + 4  # four learned scales


def test_before_training_the_towers_are_the_frozen_backbones(tiny, batch):
    adapted, bare = tiny(), tiny("clinvla-heads")
    b = batch(adapted)
    views = b.images.images[b.images.view_mask][:, None]
    torch.testing.assert_close(adapted.vision(views), bare.vision(views), rtol=0, atol=1e-6)
    ids, mask = b.texts.input_ids, b.texts.attention_mask
    torch.testing.assert_close(adapted.text(ids, mask), bare.text(ids, mask), rtol=0, atol=1e-6)


def test_he_initialisation_changes_the_towers_at_once(tiny, batch):
    b = batch(paper := tiny("clinvla", 'model.adapter_init="he"'))
    views = b.images.images[b.images.view_mask][:, None]
    assert (paper.vision(views) - tiny("clinvla-heads").vision(views)).abs().max() > 1e-3


def test_what_stands_in_an_absent_slot_never_matters(tiny, batch):
    system = tiny().eval()
    b = batch(system)
    scribbled = b.images.images.clone()
    scribbled[~b.images.view_mask] = 255
    one = system.encode_images(b.images)
    two = system.encode_images(ImageBatch(scribbled, b.images.view_mask))
    assert torch.equal(one.global_, two.global_)
    assert torch.equal(one.local, two.local)


def test_the_order_of_a_batch_is_irrelevant(tiny, batch):
    system = tiny().eval()
    b = batch(system)
    flipped = ImageBatch(b.images.images.flip(0), b.images.view_mask.flip(0))
    torch.testing.assert_close(
        system.encode_images(flipped).global_.flip(0),
        system.encode_images(b.images).global_,
        rtol=0,
        atol=1e-6,
    )
    texts = system.encode_texts(system.tokenize(REPORTS[::-1])).global_.flip(0)
    torch.testing.assert_close(
        texts, system.encode_texts(system.tokenize(REPORTS)).global_, rtol=0, atol=1e-6
    )


def test_embeddings_have_unit_length_and_local_masks_follow_the_views(tiny, batch):
    system = tiny().eval()
    b = batch(system)
    z = system.encode_images(b.images)
    torch.testing.assert_close(z.global_.norm(dim=1), torch.ones(4))
    assert z.local.shape == (4, 2 * 16, 16)
    assert z.mask[1].sum() == 16
    assert z.mask[0].sum() == 32


def test_training_drops_three_quarters_of_the_patches_of_each_view(tiny, batch):
    system = tiny().train()
    torch.manual_seed(0)
    assert system.encode_images(batch(system).images).local.shape == (4, 2 * 4, 16)


RECIPES = [
    "clinvla",
    "clinvla-published",
    "clinvla-variance",
    "clinvla-heads",
    "clinvla-full",
    "clinvla-warm",
]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_parameter_trains_exactly_if_an_objective_reaches_it(recipe, tiny, batch):
    system = tiny(recipe, 'model.adapter_init="he"').train()
    system.total(system.objectives(batch(system))).backward()
    without = [n for n, p in system.named_parameters() if p.requires_grad and p.grad is None]
    frozen = [n for n, p in system.named_parameters() if not p.requires_grad and p.grad is not None]
    assert without == []
    assert frozen == []


def test_the_downstream_stage_trains_task_adapters_and_heads_only(tiny):
    system = tiny("clinvla", 'model.stage="downstream"')
    parts = {n.split(".")[-3] for n, p in system.named_parameters() if p.requires_grad and "adapter" in n}
    assert parts == {"task"}


def test_the_downstream_stage_leaves_the_warm_start_as_it_is(tiny):
    system = tiny("clinvla-warm", 'model.stage="downstream"')
    assert {n.split(".")[0] for n, p in system.named_parameters() if p.requires_grad} == {"vision", "text"}


def test_full_fine_tuning_leaves_the_maps_of_the_folds_alone(tiny):
    system = tiny("clinvla-warm", "model.train_backbones=true")
    assert system.vision.cls.requires_grad
    assert not any(p.requires_grad for p in system.maps_head.parameters())


def test_full_fine_tuning_trains_the_backbones_and_saves_them(tiny, tmp_path):
    system = tiny("clinvla-full")
    assert all(p.requires_grad for p in system.parameters())
    with torch.no_grad():
        system.vision.cls.add_(1.0)
    system.save(tmp_path / "full")
    assert torch.equal(radalign.load(tmp_path / "full").vision.cls, system.vision.cls)


@pytest.mark.parametrize("recipe", ["clinvla", "clinvla-published", "clinvla-variance"])
def test_every_recipe_states_its_terms_and_they_add_up(recipe, tiny, batch):
    system = tiny(recipe).train()
    terms = system.objectives(batch(system))
    assert set(terms) == set(system.recipe.objectives)
    expected = sum(system.recipe.objectives[name] * value for name, value in terms.items())
    torch.testing.assert_close(system.total(terms), expected)


def test_a_batch_of_one_has_a_defined_loss(tiny, batch):
    system = tiny().train()
    b = batch(system)
    one = StudyBatch(ImageBatch(b.images.images[:1], b.images.view_mask[:1]), system.tokenize(REPORTS[:1]))
    assert system.total(system.objectives(one)).item() == pytest.approx(0.0, abs=1e-6)


def test_saving_and_loading_gives_the_same_numbers(tiny, batch, tmp_path):
    system = tiny("clinvla", 'model.adapter_init="he"').eval()
    system.save(tmp_path / "run")
    again = radalign.load(tmp_path / "run")
    b = batch(system)
    assert torch.equal(system.encode_images(b.images).global_, again.encode_images(b.images).global_)
    assert again.identity == system.identity
    assert again.settings == system.settings
    assert again.recipe.model_copy(update={"model": {}}) == system.recipe.model_copy(update={"model": {}})


def test_a_changed_adapter_changes_the_identity(tiny):
    system = tiny()
    before = system.identity
    with torch.no_grad():
        system.log_scales += 0.1
    assert system.identity != before


def test_another_backbone_is_refused_and_both_are_named(tiny, tmp_path):
    system = tiny()
    system.save(tmp_path / "run")
    recipe = tmp_path / "run" / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("seed = 1", "seed = 9"))
    with pytest.raises(ValueError, match=r"was trained on the vision backbone .* but this is .*"):
        radalign.load(tmp_path / "run")


def test_a_half_written_checkpoint_is_refused_with_a_sentence(tiny, tmp_path):
    tiny().save(tmp_path / "run")
    path = tmp_path / "run" / "adapters.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"is damaged .* copy it again"):
        radalign.load(tmp_path / "run")


def test_one_flipped_bit_in_a_saved_system_is_refused_with_a_sentence(tiny, tmp_path):
    tiny().save(tmp_path / "run")
    path = tmp_path / "run" / "adapters.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-2] + bytes([whole[-2] ^ 4]) + whole[-1:])
    with pytest.raises(ValueError, match=r"is damaged .*SHA-256 differs.* copy it again"):
        radalign.load(tmp_path / "run")


@pytest.mark.parametrize("name", ["recipe.toml", "backbones.toml"])
def test_a_half_written_table_is_named(tiny, tmp_path, name):
    tiny().save(tmp_path / "run")
    (tmp_path / "run" / name).write_text("[vision\n")
    with pytest.raises(ValueError, match=f"{name} is not readable TOML .* copy it again"):
        radalign.load(tmp_path / "run")


def test_a_checkpoint_of_other_sizes_is_refused(tiny, tmp_path):
    tiny("clinvla", "model.adapter_hidden=4").save(tmp_path / "run")
    recipe = tmp_path / "run" / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("adapter_hidden = 4", "adapter_hidden = 8"))
    with pytest.raises(ValueError, match="does not fit its recipe"):
        radalign.load(tmp_path / "run")


def test_a_full_disk_leaves_the_earlier_folder_as_it_was(tiny, tmp_path, monkeypatch):
    system = tiny()
    system.save(tmp_path / "run")
    before = (tmp_path / "run" / "adapters.safetensors").read_bytes()

    def no_space(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("radalign.systems.folder.save_summed", no_space)
    with torch.no_grad():
        system.log_scales += 1
    with pytest.raises(OSError, match="No space left"):
        system.save(tmp_path / "run")
    assert (tmp_path / "run" / "adapters.safetensors").read_bytes() == before
    assert [f.name for f in tmp_path.iterdir()] == ["run"]


def test_unknown_settings_and_objectives_are_named(tiny):
    with pytest.raises(
        RecipeError, match=r"adapter_hiden: there is no such setting; there are adapter_hidden,"
    ):
        tiny("clinvla", "model.adapter_hiden=3")
    with pytest.raises(RecipeError, match=r"no objective triplet; it has global_contrastive"):
        tiny("clinvla", "objectives.triplet=1")


def test_two_slots_and_the_frozen_dropout_stay_off_in_training(tiny):
    system = tiny().train()
    assert system.training
    assert not system.vision.norm.training
    assert system.vision.transformer.blocks[0].output_adapter.training


def test_soft_targets_change_the_loss(tiny, batch):
    system = tiny("clinvla", "model.mask_ratio=0").train()
    b = batch(system)
    soft = dataclasses.replace(b, same=torch.eye(4) * 0.5 + 0.5)
    assert not torch.isclose(system.total(system.objectives(b)), system.total(system.objectives(soft)))
