"""The CNN versions, over a tiny random ResNet: they train, travel, keep studies apart, or refuse in a sentence."""

from __future__ import annotations

import json
import math

import pytest
import torch

import radalign
from radalign.data.batches import ImageBatch
from radalign.systems.base import create
from radalign.systems.recipe import RecipeError, load_recipe
from radalign.train.profile.counting import count_images, count_step
from radalign.weights.hub import load_vision
from radalign.weights.names import CheckpointError
from radalign.weights.write import write_vision
from tests.unit.systems.conftest import TINY, frontal_batch, rival

CNN = "backbones.vision={random={family='resnet', stem_width=4, widths=[8, 16], depths=[1, 2], seed=1}}"
PAPERS = ["convirt", "gloria", "biovil-t", "medklip"]


def cnn(name, *overrides):
    return rival(f"{name}-resnet50", CNN, *overrides)


def stepped(system):
    """The system after one training step, and its loss."""
    loss = system.total(system.train().objectives(frontal_batch(system)))
    loss.backward()
    torch.optim.SGD(system.parameter_groups()).step()
    system.after_step()
    return system.eval(), loss.item()


@pytest.mark.parametrize("name", PAPERS)
def test_a_step_moves_kernels_gains_and_biases_and_no_running_statistic(name):
    system = cnn(name, "train.lr=1.0")  # large, so that float32 shows a small gradient
    before = {n: t.clone() for n, t in system.vision.state_dict().items()}
    loss = stepped(system)[1]
    assert math.isfinite(loss)
    moved = {n for n, t in system.vision.state_dict().items() if not torch.equal(t, before[n])}
    statistics = {n for n, _ in system.vision.named_buffers()}
    assert moved == set(before) - statistics
    assert statistics


@pytest.mark.parametrize("name", PAPERS)
def test_what_trained_travels_and_statistics_stay_with_the_backbone(name, tmp_path):
    system = stepped(cnn(name, "train.lr=0.1"))[0]
    b = frontal_batch(system)
    system.save(tmp_path / "run")
    again = radalign.load(tmp_path / "run")
    assert torch.equal(system.encode_images(b.images).global_, again.encode_images(b.images).global_)
    assert torch.equal(system.encode_texts(b.texts).global_, again.encode_texts(b.texts).global_)
    assert again.identity == system.identity
    assert not any("variance" in n for n in system.own_state())


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", PAPERS)
def test_a_study_does_not_feel_its_neighbours_even_in_training(name, training):
    system = cnn(name).train(training)
    images = frontal_batch(system).images
    with torch.no_grad():
        together = system.encode_images(images).global_
        for i in range(4):
            alone = system.encode_images(ImageBatch(images.images[i][None], images.view_mask[i][None]))
            torch.testing.assert_close(alone.global_[0], together[i], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", PAPERS)
def test_the_recipes_are_those_of_the_vit_versions_but_for_the_tower_and_the_papers_size(name):
    ours, theirs = load_recipe(f"{name}-resnet50"), load_recipe(name)
    assert ours.backbones.vision == "hf://microsoft/resnet-50"
    assert "CNN version" in ours.description
    assert (ours.system, ours.model, ours.objectives, ours.train) == (
        theirs.system, theirs.model, theirs.objectives, theirs.train,
    )  # fmt: skip
    assert ours.data.model_copy(update={"size_px": theirs.data.size_px}) == theirs.data
    assert ours.data.size_px == {"gloria": 299, "biovil-t": 448}.get(name, 224)


@pytest.mark.parametrize("name", PAPERS)
def test_under_autocast_a_step_is_finite(name):
    system = cnn(name).train()
    with torch.autocast("cpu", torch.bfloat16):
        loss = system.total(system.objectives(frontal_batch(system)))
    loss.backward()
    assert all(p.grad.isfinite().all() for p in system.parameters() if p.grad is not None)


def test_a_size_that_is_no_multiple_of_a_place_is_seen_to_its_border():
    """299 px are 9.3 places of 32 px: ten."""
    system = cnn("biovil-t", "data.size_px=35").eval()
    images = torch.zeros(1, 2, 35, 35, dtype=torch.uint8)
    present = torch.ones(1, 2, dtype=torch.bool)
    changed = images.clone()
    changed[:, 0, -1, -1] = 255
    one, two = (system.encode_images(ImageBatch(i, present)) for i in (images, changed))
    assert one.local.shape[1] == 5 * 5
    assert not torch.equal(one.local[:, -1], two.local[:, -1])


@pytest.mark.parametrize("name", ["convirt", "medklip"])
def test_torch_confirms_the_profiles_count(name):
    system = cnn(name)
    counts = [*count_images(system, 2), count_step(system, 4, 1, 16)]
    assert all(abs(count.difference) < 0.02 for count in counts), counts


@pytest.mark.parametrize("name", ["frozen", "linear-heads", "clip-full", "hica"])
def test_the_other_two_tower_systems_take_a_resnet_too(name):
    system = rival(name, CNN).eval()
    z = system.encode_images(frontal_batch(system).images).global_
    torch.testing.assert_close(z.norm(dim=1), torch.ones(4))


@pytest.mark.parametrize("recipe", ["clinvla", "alta", "nearl-offline", "lora", "mrm"])
def test_what_works_inside_a_transformer_refuses_in_one_sentence(recipe):
    plain = [setting for setting in TINY if not setting.startswith("model.")]
    with pytest.raises(RecipeError, match=r"\(random-1\) is a ResNet, which has none; name a ViT") as refused:
        create(recipe, [*plain, CNN])
    assert str(refused.value).count(". ") == 0


def test_a_trained_towers_run_is_a_backbone_like_any_other(tmp_path):
    system = stepped(cnn("convirt", "train.lr=0.1"))[0]
    system.save(tmp_path / "run")
    tower = load_vision(str(tmp_path / "run"))
    images = torch.randint(0, 256, (2, 1, 32, 32)).byte()
    torch.testing.assert_close(tower(images), system.vision(images))
    assert not any(p.requires_grad for p in tower.parameters())


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_a_folder_that_is_written_reads_back_and_serves_a_recipe(block, tmp_path):
    sizes = {"stem_width": 4, "widths": [8, 16], "depths": [1, 2], "block": block, "first_halves": True}
    tower = load_vision({"random": {"family": "resnet", **sizes, "mean": [0.4, 0.4, 0.4]}})
    write_vision(tower, tmp_path / "cnn")
    again = load_vision(str(tmp_path / "cnn"))
    assert again.identity.split("sha256:")[1] == tower.identity.split("sha256:")[1]
    system = cnn("gloria", f"backbones.vision={tmp_path / 'cnn'}").eval()
    images = frontal_batch(system).images
    system.save(tmp_path / "run")
    loaded = radalign.load(tmp_path / "run")
    assert torch.equal(loaded.encode_images(images).global_, system.encode_images(images).global_)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"layer_type": "preactivation"}, "has layer_type preactivation; radalign has bottleneck or basic"),
        ({"hidden_act": "gelu"}, "has hidden_act gelu; radalign has relu only"),
        ({"num_channels": 1}, "has num_channels 1; radalign has 3 only"),
        ({"depths": [1, 1]}, "not those of a ResNet .*one depth per stage"),
        ({"depths": "3463"}, "not those of a ResNet .*no whole number"),
        ({"hidden_sizes": None}, "not those of a ResNet"),
        ({"hidden_sizes": [0, 8, 8, 8]}, "not those of a ResNet .*widths 4 or more"),
    ],
)
def test_an_unreadable_configuration_is_a_sentence(settings, sentence, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "resnet", **settings}))
    with pytest.raises(CheckpointError, match=sentence):
        load_vision(str(tmp_path))


@pytest.mark.parametrize(
    ("held", "said", "sentence"),
    [
        ([1, 1], [1, 2], r"45 tensors loaded, 15 missing \(stages\.1\.1\.layers\.0\.weight"),
        ([1, 2], [1, 1], r".*0 missing \(none\), 15 unexpected \(encoder\.stages\.1\.layers\.1\."),
    ],
)
def test_a_folder_of_other_depths_lists_what_does_not_fit(held, said, sentence, tmp_path):
    write_vision(load_vision({"random": {"family": "resnet", "depths": held}}), tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text()) | {"depths": said}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(CheckpointError, match=rf"not a ResNet of this size: {sentence}"):
        load_vision(str(tmp_path))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"family": "vgg"}, "no random encoder of family 'vgg'; use vit or resnet"),
        ({"family": "resnet", "heads": 2}, "Unknown keys in a random encoder: heads; use some of block, "),
        ({"family": "resnet", "depths": [1]}, "one depth per stage"),
    ],
)
def test_an_impossible_random_tower_is_a_sentence(settings, sentence):
    with pytest.raises(CheckpointError, match=sentence):
        load_vision({"random": settings})
