"""Masked record modelling: what trains, what its losses see, and its result as another system's backbone."""

from __future__ import annotations

import json

import pytest
import torch

import radalign
from radalign.data.batches import ImageBatch, StudyBatch
from radalign.nn.masking import random_keep
from radalign.objectives.masked import IGNORE
from radalign.study import Manifest
from radalign.systems.base import build, create
from radalign.systems.masked_record import hide_words, shrink
from radalign.systems.recipe import RecipeError, load_recipe
from radalign.train.loop import train
from radalign.train.start import TrainError
from radalign.train.validate import mean_losses
from radalign.weights.hub import load_text, load_vision
from radalign.weights.names import CheckpointError
from tests.training_toy import toy_manifest
from tests.unit.systems.conftest import REPORTS, TINY

NARROW_TEXT = "backbones.text={random={width=24, depth=2, heads=2, mlp_width=48, vocabulary=200, max_tokens=64, seed=2}}"
SMALL = [
    TINY[0],
    NARROW_TEXT,
    "backbones.max_tokens=32",
    "data.size_px=32",
    "model.decoder_heads=2",
    "model.decoder_depth=1",
]


def mrm(*overrides):
    return create("mrm", [*SMALL, *overrides])


def batch_of(system):
    slots = len(system.recipe.data.slots)
    images = torch.randint(
        0, 256, (4, slots, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    mask = torch.ones(4, slots, dtype=torch.bool)
    return StudyBatch(ImageBatch(images, mask), system.tokenize(REPORTS))


@pytest.mark.parametrize("objective", ["both", "image_reconstruction", "masked_language"])
def test_a_parameter_trains_exactly_if_an_objective_reaches_it(objective):
    more = [] if objective == "both" else [f"objectives={{{objective}=1.0}}"]
    system = mrm(*more).train()
    terms = system.objectives(batch_of(system))
    assert set(terms) == set(system.recipe.objectives)
    system.total(terms).backward()
    assert [n for n, p in system.named_parameters() if p.requires_grad and p.grad is None] == []
    assert system.vision.patch.weight.requires_grad
    assert system.text.word.weight.requires_grad == (objective != "image_reconstruction")


def test_at_the_published_size_the_parts_have_the_published_shapes():
    recipe = load_recipe(
        "mrm-paper", [NARROW_TEXT.replace("width=24, depth=2, heads=2", "width=384, depth=1, heads=6")]
    )
    system = radalign.systems.base.build(recipe)
    assert (system.vision.width, len(system.vision.transformer.blocks), system.vision.patch_px) == (
        768,
        12,
        16,
    )
    assert system.image_to_text.weight.shape == (384, 768)
    assert system.decoder.predict.weight.shape == (32 * 32 * 3, 768)
    assert len(system.decoder.transformer.blocks) == 4
    assert not system.vision.position.requires_grad
    assert system.vision.mean[0] == 0.4978
    assert (recipe.train.batch_size * recipe.train.accumulate * 4, recipe.train.warmup_epochs) == (256, 40)


def test_the_words_see_the_image_and_the_pixels_do_not_see_the_report():
    system = mrm().eval()
    b = batch_of(system)
    dark = ImageBatch(torch.zeros_like(b.images.images), b.images.view_mask)
    torch.manual_seed(0)
    one = system.objectives(b)
    torch.manual_seed(0)
    words = system.objectives(StudyBatch(dark, b.texts))["masked_language"]
    torch.manual_seed(0)
    other = system.objectives(StudyBatch(b.images, system.tokenize(REPORTS[::-1])))
    assert not torch.isclose(one["masked_language"], words)
    assert torch.equal(one["image_reconstruction"], other["image_reconstruction"])


def test_hidden_words_are_half_of_those_between_the_ends():
    system = mrm()
    texts = system.tokenize(["a b c d e f g h i j"] * 400)
    torch.manual_seed(0)
    ids, labels = hide_words(system, texts, 0.5, (1.0, 0.0, 0.0))
    hidden = labels != IGNORE
    assert not hidden[:, [0, -1]].any()
    assert hidden[:, 1:-1].float().mean().item() == pytest.approx(0.5, abs=0.03)
    assert (ids[hidden] == system.tokenizer.mask_id).all()
    assert torch.equal(labels[hidden], texts.input_ids[hidden])


def test_three_quarters_of_the_patches_are_dropped_and_targets_have_twice_the_resolution():
    system = mrm()
    assert random_keep(1, 196, system.settings.mask_ratio).shape == (1, 49)
    assert system.decoder.predict.out_features == 16 * 16 * 3  # patches of 8 px seen, 16 px rebuilt
    assert shrink(torch.zeros(1, 64, 64), 32).shape == (1, 32, 32)


def test_random_starts_are_drawn_anew_and_positions_on_a_fixed_grid_stay():
    sincos = SMALL[0].replace("seed=1", "position='sincos', seed=1")
    given, fresh = mrm(), mrm(sincos, "model.vision_start='random'", "model.text_start='random'")
    assert not torch.equal(given.vision.patch.weight, fresh.vision.patch.weight)
    assert not torch.equal(given.text.word.weight, fresh.text.word.weight)
    assert torch.equal(
        fresh.vision.position, load_vision(create("mrm", [*SMALL, sincos]).recipe.backbones.vision).position
    )
    assert fresh.objectives(batch_of(fresh))["image_reconstruction"].isfinite()


def test_validation_repeats_and_is_the_mean_over_studies():
    system = mrm().eval()
    b = batch_of(system)
    halves = [
        StudyBatch(ImageBatch(b.images.images[i], b.images.view_mask[i]), system.tokenize(REPORTS[i]))
        for i in (slice(0, 3), slice(3, 4))
    ]
    first, again = (mean_losses(system, halves, torch.no_grad) for _ in range(2))
    assert first == again
    assert first["loss"] == pytest.approx(first["image_reconstruction"] + first["masked_language"], rel=1e-5)


def test_contradictions_are_sentences():
    with pytest.raises(RecipeError, match=r"no multiple of a patch \(8 px\); use 24"):
        mrm("data.size_px=30")
    with pytest.raises(RecipeError, match="has no objective"):
        mrm("objectives={}")
    system = mrm()
    with pytest.raises(RecipeError, match="does not align texts"):
        system.embed_texts(["normal"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of two epochs on drawn studies, from a folder a user would have."""
    folder = tmp_path_factory.mktemp("mrm")
    manifest = toy_manifest(folder)
    settings = ["train.epochs=2", "train.batch_size=8", "train.warmup_epochs=0", "train.lr=0.003"]
    result = train(mrm(*settings), manifest, folder / "run", folder / "pixels")
    return folder, manifest, result


def test_a_run_is_validated_by_its_losses_and_they_fall(trained):
    folder, _, result = trained
    assert result.select == "loss"
    log = [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]
    checks = [line["loss"] for line in log if line["kind"] == "validation"]
    assert checks[-1] < checks[0]
    assert result.best == min(checks)
    assert "| image reconstruction |" in (folder / "run" / "README.md").read_text()


@pytest.mark.parametrize("recipe", ["clinvla", "alta"])
def test_its_result_is_the_vision_backbone_of_an_aligning_system(trained, recipe, tmp_path):
    folder = trained[0]
    run = folder / "run"
    own = radalign.load(run).vision
    small = [s for s in TINY[1:] if "adapter_hidden" not in s or recipe == "clinvla"]
    more = [] if recipe == "clinvla" else ["model.decoder_heads=2", "model.decoder_depth=1"]
    system = create(recipe, [*small, *more, f"backbones.vision={run}"])
    assert system.backbones["vision"].startswith("mrm sha256:")
    assert system.backbones["vision"] == load_vision(str(run / "best")).identity
    images = torch.rand(2, 1, 32, 32)
    bare = load_vision(str(run))
    torch.testing.assert_close(bare(images), own(images))
    assert not torch.equal(bare.patch.weight, mrm().vision.patch.weight)
    system.save(tmp_path / "aligned")
    assert radalign.load(tmp_path / "aligned").backbones == system.backbones


def alta_on(run, *settings):
    return [*(s for s in TINY[1:] if "adapter_hidden" not in s), f"backbones.vision={run}", *settings]


def test_altas_decoder_attends_with_the_heads_of_the_run_that_it_begins_with(trained, tmp_path):
    run = trained[0] / "run"
    system = create("alta", alta_on(run, "model.decoder_depth=1"))
    assert "decoder" in system.begun_with
    assert system.settings.decoder_heads == 2
    tokens, keep = torch.randn(2, 5, 32), torch.tensor([[0, 3, 5, 9], [1, 2, 3, 4]])
    torch.testing.assert_close(system.decoder(tokens, keep), radalign.load(run).decoder(tokens, keep))
    system.save(tmp_path / "aligned")
    again = radalign.load(tmp_path / "aligned")
    assert again.identity == system.identity
    torch.testing.assert_close(again.decoder(tokens, keep), system.decoder(tokens, keep))


def test_other_heads_than_the_runs_are_a_sentence_for_a_new_system_alone(trained, tmp_path):
    settings = alta_on(trained[0] / "run", "model.decoder_depth=1", "model.decoder_heads=4")
    with pytest.raises(RecipeError, match=r"has 2 attention heads, not 4; set model\.decoder_heads=2"):
        create("alta", settings)
    build(load_recipe("alta", settings)).save(tmp_path / "of an earlier version")
    assert radalign.load(tmp_path / "of an earlier version").settings.decoder_heads == 4


def test_a_part_of_the_runs_decoder_is_a_sentence_and_another_decoder_begins_anew(trained, tmp_path):
    mrm("model.decoder_depth=2").save(tmp_path / "deep")
    with pytest.raises(RecipeError, match=r"has 2 blocks, not 1; set model\.decoder_depth=2"):
        create("alta", alta_on(tmp_path / "deep", "model.decoder_depth=1"))
    deeper = create("alta", alta_on(trained[0] / "run", "model.decoder_depth=2", "model.decoder_heads=4"))
    assert "decoder" not in deeper.begun_with


def test_a_system_on_a_run_opens_from_another_folder(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(trained[0])
    system = create("clinvla-heads", [*TINY[1:], "backbones.vision=./run"])
    system.save(tmp_path / "aligned")
    monkeypatch.chdir(tmp_path)
    assert radalign.load("aligned").backbones == system.backbones


def test_its_text_tower_loads_with_the_tokenizer_it_began_with(trained):
    encoder, tokenizer = load_text(str(trained[0] / "run"))
    assert encoder.identity.startswith("mrm sha256:")
    assert tokenizer.mask_id == mrm().tokenizer.mask_id


def test_a_run_with_a_frozen_backbone_is_no_backbone(tmp_path, trained):
    create("clinvla-heads", TINY).save(tmp_path / "heads")
    with pytest.raises(CheckpointError, match=r"left .* vision backbone frozen"):
        load_vision(str(tmp_path / "heads"))
    create("clinvla", TINY).save(tmp_path / "adapters")
    with pytest.raises(CheckpointError, match="carries adapters"):
        load_vision(str(tmp_path / "adapters"))


def test_nothing_can_collapse_where_nothing_is_aligned(trained, tmp_path):
    folder, manifest, _ = trained
    assert isinstance(manifest, Manifest)
    with pytest.raises(TrainError, match="leave --fail-on-collapse out"):
        train(mrm(), manifest, tmp_path / "run", folder / "pixels", fail_on_collapse=True)
