"""LoRA: the start is the frozen towers, merging changes nothing, and merged towers are not saved."""

from __future__ import annotations

import pytest
import torch

from tests.unit.systems.conftest import frontal_batch, rival


def shaken(*overrides):
    system = rival("lora", *overrides).eval()
    torch.manual_seed(2)
    for name, parameter in system.named_parameters():
        if name.endswith("low_rank.up"):
            torch.nn.init.normal_(parameter, std=0.3)
    return system


@pytest.mark.parametrize("targets", ["attention", "all"])
def test_before_training_lora_is_the_linear_heads_on_frozen_towers(targets):
    adapted, bare = rival("lora", f'model.targets="{targets}"').eval(), rival("linear-heads").eval()
    bare.load_state_dict({n: t for n, t in adapted.state_dict().items() if "low_rank" not in n})
    b = frontal_batch(bare)
    with torch.no_grad():  # with gradients, attention takes another way and rounds differently
        assert torch.equal(adapted.encode_images(b.images).global_, bare.encode_images(b.images).global_)
        assert torch.equal(adapted.encode_texts(b.texts).global_, bare.encode_texts(b.texts).global_)


@pytest.mark.parametrize("targets", ["attention", "all"])
def test_a_merged_system_gives_the_same_embeddings(targets):
    system = shaken(f'model.targets="{targets}"')
    merged, b = system.merged(), frontal_batch(system)
    assert not any("low_rank" in name for name, _ in merged.named_parameters())
    one, two = system.encode_images(b.images).global_, merged.encode_images(b.images).global_
    torch.testing.assert_close(two, one, atol=1e-5, rtol=0)
    one, two = system.encode_texts(b.texts).global_, merged.encode_texts(b.texts).global_
    torch.testing.assert_close(two, one, atol=1e-5, rtol=0)


def test_merging_leaves_the_original_alone_and_is_not_saved(tmp_path):
    system = shaken()
    before = system.vision.transformer.blocks[0].qkv.weight.clone()
    merged = system.merged()
    assert torch.equal(system.vision.transformer.blocks[0].qkv.weight, before)
    with pytest.raises(ValueError, match="save the system before merging"):
        merged.save(tmp_path / "merged")


def test_only_updates_and_heads_train_and_travel():
    system = rival("lora")
    own = set(system.own_state())
    assert {n for n in own if n.startswith(("vision", "text."))} == {n for n in own if "low_rank" in n}
    report = system.trainable_report()
    # two blocks of width 32, query and value, rank 8, in and out
    assert report["vision adapters"]["trainable"] == 2 * 2 * 8 * (32 + 32)
    assert report["vision backbone"]["trainable"] == 0


def test_with_all_targets_every_matrix_of_a_block_has_an_update():
    block = rival("lora", 'model.targets="all"').text.transformer.blocks[0]
    assert all(layer.low_rank is not None for layer in (block.qkv, block.out, block.up, block.down))
    assert block.qkv.low_rank.parts == (0, 1, 2)
