"""A converted ALTA checkpoint reproduces the golden numbers of the public implementation."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from radalign.nn.masking import random_keep
from radalign.objectives.contrastive import global_contrastive
from radalign.objectives.local import LocalScales, local_contrastive
from radalign.systems.base import create
from radalign.weights import alta

SLOTS = ("current_frontal", "current_lateral", "prior_frontal", "prior_lateral")
GOLDEN = Path(os.environ.get("RADALIGN_GOLDEN", Path(__file__).parents[3] / "shared" / "golden")) / "alta"


@pytest.fixture(params=["alta_small", "alta_medium"])
def golden(request):
    folder = GOLDEN / request.param
    if not folder.is_dir():
        pytest.skip(f"The golden numbers are not here ({folder}); set RADALIGN_GOLDEN to their folder.")
    config = json.loads((folder / "config.json").read_text())
    return config, load_file(folder / "checkpoint.safetensors"), load_file(folder / "io.safetensors")


def build(config, published, *overrides):
    sizes = alta.sizes(published, config)
    spell = lambda t: "{random={" + ", ".join(f"{k}={v}" for k, v in t.items()) + "}}"  # noqa: E731
    system = create(
        "alta",
        [
            f"backbones.vision={spell(sizes['vision'])}",
            f"backbones.text={spell(sizes['text'])}",
            f"backbones.max_tokens={config['text_length']}",
            f"data.size_px={2 * sizes['image_px']}",
            'model.text_pool="cls"',
            f"model.adapter_ratio={sizes['adapter_ratio']}",
            f"model.decoder_depth={sizes['decoder_depth']}",
            "model.official_missing=true",
            *overrides,
        ],
    )
    found = alta.tensors(published)
    own = system.state_dict()
    unfit = {n for n, t in found.items() if n in own and own[n].shape != t.shape}
    assert unfit <= {"image_to_text.weight", "image_to_text.bias"}  # another width in the small checkpoints
    result = system.load_state_dict({n: t for n, t in found.items() if n not in unfit}, strict=False)
    assert set(result.missing_keys) <= {"image_to_text.weight", "image_to_text.bias"}
    assert result.unexpected_keys == []
    return system.eval()


def see(system, views):
    images = torch.stack([views[f"views.{slot}"] for slot in SLOTS], 1)  # [B, V, 3, H, W]
    present = images.flatten(2).abs().sum(-1) > 0
    flat = images.flatten(0, 1)
    p = system.vision.patch_px
    grid = (flat.shape[-2] // p, flat.shape[-1] // p)
    keep = random_keep(len(flat), grid[0] * grid[1], 0.0)
    patches = system.vision.embed_patches(flat, keep)
    return system.see_patches(patches, keep, grid, torch.ones_like(present), present)


def test_cls_of_every_slot_and_the_global_embedding_with_missing_views_counted(golden):
    config, published, io = golden
    system = build(config, published)
    with torch.no_grad():
        seen = see(system, io)
        cls = seen.tokens[:, 0].view(-1, 4, seen.tokens.shape[-1])
        torch.testing.assert_close(cls, io["cls_embed"], rtol=0, atol=1e-5)
        z, _, _ = system._project_images(seen)
        torch.testing.assert_close(F.normalize(z, dim=-1), io["image_global"], rtol=0, atol=1e-5)


def frontal(config, published, io):
    system = build(config, published, 'data.slots=["current_frontal"]')
    images = io["views.current_frontal"]
    p = system.vision.patch_px
    grid = (images.shape[-2] // p, images.shape[-1] // p)
    keep = random_keep(len(images), grid[0] * grid[1], 0.0)
    present = torch.ones(len(images), 1, dtype=torch.bool)
    return system, system.see_patches(system.vision.embed_patches(images, keep), keep, grid, present, present)


def test_the_inference_path_with_one_current_frontal_view(golden):
    config, published, io = golden
    with torch.no_grad():
        system, seen = frontal(config, published, io)
        torch.testing.assert_close(seen.tokens, io["tokens_frontal_only"], rtol=0, atol=1e-5)
        z, local, _ = system._project_images(seen)
        torch.testing.assert_close(F.normalize(z, dim=-1), io["image_global_frontal_only"], rtol=0, atol=1e-5)
        torch.testing.assert_close(local, io["image_local_frontal_only"], rtol=0, atol=1e-5)


def test_texts_and_losses(golden):
    config, published, io = golden
    mask = io["attention_mask"].bool()
    with torch.no_grad():
        system, seen = frontal(config, published, io)
        z_txt, words, word_mask = system._project_texts(system.text(io["input_ids"], mask), mask)
        torch.testing.assert_close(F.normalize(z_txt, dim=-1), io["text_global"], rtol=0, atol=1e-5)
        real = word_mask[..., None]
        torch.testing.assert_close(words * real, io["text_local"] * real, rtol=0, atol=1e-5)
        scales = system.log_scales
        loss = global_contrastive(io["image_global"], io["text_global"], scales[0])
        torch.testing.assert_close(loss, io["loss_global"], rtol=0, atol=1e-4)
        _, patches, patch_mask = system._project_images(seen)
        counted = torch.arange(words.shape[1]) < io["cap_lens"][:, None]
        local = local_contrastive(patches, patch_mask, words, counted, LocalScales(*scales[1:].exp()))
        torch.testing.assert_close(local, io["loss_local"], rtol=0, atol=1e-4)


def test_words_are_all_tokens_but_cls(golden):
    config, _, io = golden
    mask = io["attention_mask"].bool()
    full = mask.all(1)
    expected = torch.where(full, config["text_length"] - 1, mask.sum(1) - 1)
    assert torch.equal(io["cap_lens"], expected)
