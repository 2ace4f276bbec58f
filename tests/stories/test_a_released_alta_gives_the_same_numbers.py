"""A released ALTA, through `radalign weights import`, reproduces the golden numbers of the public code."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from typer.testing import CliRunner

import radalign
from radalign.cli.weights import app
from radalign.data.batches import TextBatch
from radalign.nn.masking import random_keep
from radalign.objectives.contrastive import global_contrastive
from radalign.objectives.local import LocalScales, local_contrastive

SLOTS = ("current_frontal", "current_lateral", "prior_frontal", "prior_lateral")
GOLDEN = Path(os.environ.get("RADALIGN_GOLDEN", Path(__file__).parents[3] / "shared" / "golden")) / "alta"


@pytest.fixture(scope="module", params=["alta_small", "alta_medium"])
def golden(request, tmp_path_factory):
    """The imported system (moved after the import), what the public code gave, and its configuration."""
    folder = GOLDEN / request.param
    if not folder.is_dir():
        pytest.skip(f"The golden numbers are not here ({folder}); set RADALIGN_GOLDEN to their folder.")
    made = tmp_path_factory.mktemp("weights") / "made"
    asked = ["import", "alta", str(folder / "checkpoint.safetensors"), "--out", str(made), "--json"]
    found = CliRunner().invoke(app, [*asked, "--config", str(folder / "config.json")])
    assert found.exit_code == 0, found.output
    said = json.loads(found.stdout)
    assert {
        part: len(account["missing"]) for part, account in said["parts"].items() if account["missing"]
    } in (
        {},
        {"image into text": 2},  # of another width in the small checkpoint
    )
    made.rename(made.with_name("moved"))
    system = radalign.load(made.with_name("moved"))
    return system, load_file(folder / "io.safetensors"), json.loads((folder / "config.json").read_text())


def see(system, images, present, counted):
    """Tokens of the counted views of [B, V, 3, H, W] normalised images."""
    views = images[counted]
    p = system.vision.patch_px
    grid = (views.shape[-2] // p, views.shape[-1] // p)
    keep = random_keep(len(views), grid[0] * grid[1], 0.0)
    with torch.no_grad():
        return system.see_patches(system.vision.embed_patches(views, keep), keep, grid, counted, present)


def study(system, io):
    images = torch.stack([io[f"views.{slot}"] for slot in SLOTS], 1)  # [B, V, 3, H, W]
    return images, images.flatten(2).abs().sum(-1) > 0


def frontal(system, io):
    """The inference path as published: one current frontal view, which the imported recipe asks for."""
    images, present = study(system, io)
    counted = system._counted(present)
    assert counted.tolist() == [[True, False, False, False]] * len(images)
    return see(system, images, present, counted)


def test_cls_of_every_slot_and_the_global_embedding_with_missing_views_counted(golden):
    system, io, _ = golden
    images, present = study(system, io)
    seen = see(system, images, present, torch.ones_like(present))
    cls = seen.tokens[:, 0].view(-1, 4, seen.tokens.shape[-1])
    torch.testing.assert_close(cls, io["cls_embed"], rtol=0, atol=1e-5)
    z = system._project_images(seen)[0]
    torch.testing.assert_close(F.normalize(z, dim=-1), io["image_global"], rtol=0, atol=1e-5)


def test_the_inference_path_with_one_current_frontal_view(golden):
    system, io, _ = golden
    seen = frontal(system, io)
    torch.testing.assert_close(seen.tokens, io["tokens_frontal_only"], rtol=0, atol=1e-5)
    z, local, mask = system._project_images(seen)
    torch.testing.assert_close(F.normalize(z, dim=-1), io["image_global_frontal_only"], rtol=0, atol=1e-5)
    local = local[mask].view(len(z), -1, local.shape[-1])  # the other three slots are left out
    torch.testing.assert_close(local, io["image_local_frontal_only"], rtol=0, atol=1e-5)


def test_texts_and_losses(golden):
    system, io, _ = golden
    mask = io["attention_mask"].bool()
    with torch.no_grad():
        texts = TextBatch(io["input_ids"], mask)
        torch.testing.assert_close(system.encode_texts(texts).global_, io["text_global"], rtol=0, atol=1e-5)
        assert torch.equal(F.normalize(system.text_points(texts), dim=-1), system.encode_texts(texts).global_)
        _, words, word_mask = system._project_texts(system.text(io["input_ids"], mask), mask)
        real = word_mask[..., None]
        torch.testing.assert_close(words * real, io["text_local"] * real, rtol=0, atol=1e-5)
        scales = system.log_scales
        loss = global_contrastive(io["image_global"], io["text_global"], scales[0])
        torch.testing.assert_close(loss, io["loss_global"], rtol=0, atol=1e-4)
        _, patches, patch_mask = system._project_images(frontal(system, io))
        counted = torch.arange(words.shape[1]) < io["cap_lens"][:, None]
        local = local_contrastive(patches, patch_mask, words, counted, LocalScales(*scales[1:].exp()))
        torch.testing.assert_close(local, io["loss_local"], rtol=0, atol=1e-4)


def test_words_are_all_tokens_but_cls(golden):
    _, io, config = golden
    mask = io["attention_mask"].bool()
    full = mask.all(1)
    expected = torch.where(full, config["text_length"] - 1, mask.sum(1) - 1)
    assert torch.equal(io["cap_lens"], expected)
    assert golden[0].recipe.backbones.max_tokens == config["text_length"]


def test_normalisation_travels_and_the_absent_tokenizer_is_named(golden):
    system, _, _ = golden
    assert (system.vision.mean[0], system.vision.std[0]) == (0.4785, 0.2834)
    with pytest.raises(ValueError, match=r"came without a tokenizer.*copy the tokenizer\.json"):
        system.embed_texts(["No effusion."])


@pytest.mark.parametrize(("words", "fits"), [(40, True), (90, False)])
def test_a_tokenizer_beside_it_is_taken_if_it_belongs_to_it(tmp_path, words, fits):
    folder = GOLDEN / "alta_small"
    if not folder.is_dir():
        pytest.skip(f"The golden numbers are not here ({folder}); set RADALIGN_GOLDEN to their folder.")
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    (tmp_path / "vocab.txt").write_text("\n".join([*special, *(f"w{i}" for i in range(words))]))
    asked = ["import", "alta", str(folder / "checkpoint.safetensors"), "--tokenizer", str(tmp_path)]
    asked += ["--out", str(tmp_path / "out"), "--config", str(folder / "config.json")]
    found = CliRunner().invoke(app, asked)
    if not fits:
        assert "The tokenizer has 95 words, but the encoder's table 61" in str(found.exception)
        assert not (tmp_path / "out").exists()
        return
    assert found.exit_code == 0, found.output
    assert radalign.load(tmp_path / "out").embed_texts(["w1 w2 " * 20]).shape == (1, 128)


def test_an_adapter_too_few_is_no_alta(tmp_path):
    folder = GOLDEN / "alta_small"
    if not folder.is_dir():
        pytest.skip(f"The golden numbers are not here ({folder}); set RADALIGN_GOLDEN to their folder.")
    tensors = load_file(folder / "checkpoint.safetensors")
    del tensors["blocks.0.attn_adapter.D_fc2.weight"]
    torch.save({"model": tensors}, tmp_path / "ALTA.pth")
    asked = ["import", "alta", str(tmp_path / "ALTA.pth"), "--out", str(tmp_path / "no"), "--json"]
    failed = CliRunner().invoke(app, [*asked, "--config", str(folder / "config.json")])
    assert "The checkpoint does not cover ALTA: 1 tensors are missing" in str(failed.exception)
    lost = json.loads(failed.stdout)["missing"]
    assert lost == ["vision.transformer.blocks.0.attention_adapter.bottleneck.up.weight"]
    assert [path.name for path in tmp_path.iterdir()] == ["ALTA.pth"]


def test_images_are_prepared_as_published(golden):
    system, _, said = golden
    data, augment = system.recipe.data, system.recipe.data.augment
    assert (data.geometry, data.resample) == ("crop", "bicubic")
    assert data.resize_px == round(data.size_px * 256 / 224)
    assert (augment.rotate_deg, augment.translate, augment.shear_deg) == (20, 0.1, 10)
    assert system.vision.mean == tuple(said.get("image_mean", [0.4785] * 3))
    assert system.vision.std == tuple(said.get("image_std", [0.2834] * 3))


def test_heads_that_a_checkpoint_does_not_tell_are_asked_for(tmp_path):
    checkpoint = GOLDEN / "alta_small" / "checkpoint.safetensors"
    if not checkpoint.is_file():
        pytest.skip(f"The golden checkpoint is not here ({checkpoint}); set RADALIGN_GOLDEN to its folder.")
    found = CliRunner().invoke(app, ["import", "alta", str(checkpoint), "--out", str(tmp_path / "out")])
    assert "give --config with a JSON file that says text_heads" in str(found.exception)
    assert not (tmp_path / "out").exists()
