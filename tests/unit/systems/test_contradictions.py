"""Settings that exclude each other: one sentence before an image is read, never a traceback, never silence."""

from __future__ import annotations

import pytest

from radalign.study import Manifest
from radalign.systems.base import create
from radalign.systems.recipe import RecipeError
from radalign.train.loop import train
from tests.unit.systems.conftest import TINY
from tests.unit.systems.test_nearl_clip import CLIP

PLAIN = [setting for setting in TINY if "adapter_hidden" not in setting]
ALTA = [*PLAIN, "model.decoder_heads=2"]
NONE = ["objectives.global_contrastive=0", "objectives.local_contrastive=0"]


@pytest.mark.parametrize(
    ("recipe", "settings", "sentence"),
    [
        ("alta", [*ALTA, 'data.slots=["current_lateral"]'], "rebuilds current_frontal, which is not in"),
        ("alta", [*ALTA, "model.mask_ratio=0"], r"set model\.mask_ratio above 0"),
        ("alta", [*ALTA, "model.word_replace=[0.9, 0.9, 0.9]"], "must be 0 or more and add up to 1"),
        ("mrm", [*PLAIN[:3], "model.word_replace=[2.0, -1.0, 0.0]"], "must be 0 or more and add up to 1"),
        ("clinvla", [*TINY, "objectives.image_reconstruction=1", "model.mask_ratio=0"], "mask_ratio above 0"),
        ("clinvla", [*TINY, "model.stage=downstream", "model.task=false"], r"set model\.task=true"),
        ("clinvla", [*TINY, "model.stage=downstream", "model.adapter_hidden=0"], "adapter_hidden above 0"),
        ("clinvla", [*TINY, "model.stage=downstream", "model.train_backbones=true"], "train_backbones=false"),
        ("clinvla", [*TINY, "model.train_heads=false"], "there is no warm start"),
        ("clinvla", [*TINY, "model.train_maps=true"], r"set model\.warm_start=cca"),
        ("nearl-clip", [*CLIP, "model.warm_start=cca"], r"share a space .* set model\.warm_start=none"),
        ("clinvla", [*TINY, "objectives.global_contrastive=-1"], "greater than or equal to 0"),
        ("clinvla", [*TINY, "objectives.global_contrastive=nan"], "finite number"),
        (
            "nearl-clip",
            [*CLIP, "model.vision_adapters=false", "model.text_adapters=false"],
            "adapters to true",
        ),
        (
            "nearl-clip",
            [CLIP[0], CLIP[1].replace("projection=24", "projection=16")],
            "to 24 numbers and .* 16",
        ),
        ("nearl-clip", [*CLIP, "model.template=a {x} {}"], "must name the class once"),
        ("nearl-clip", [*CLIP, "model.template=chest"], "must name the class once"),
        ("clip-adapter", [*CLIP, "model.template={"], "must name the class once"),
        ("alta", [*PLAIN, "model.decoder_heads=5"], r"set model\.decoder_heads"),
        (
            "clinvla",
            [*TINY, "objectives.image_reconstruction=1", "model.decoder_heads=5"],
            "model.decoder_heads",
        ),
        ("mrm", [*PLAIN[:3], "data.size_px=32", "model.decoder_heads=5"], r"model\.decoder_heads"),
        ("alta", [*ALTA, "model.adapter_ratio=0.01"], r"set model\.adapter_ratio"),
        ("alta", [*ALTA, "data.size_px=36"], r"no multiple of a patch \(8 px\); use 32"),
        ("clinvla", [*TINY, "data.size_px=36"], r"no multiple of a patch \(8 px\); use 32"),
        ("clinvla", [*TINY, "model.mask=foreground", "model.mask_ratio=0"], r"set model\.mask_ratio above 0"),
        ("nearl-clip", [*CLIP, "model.inner_heads=5"], r"inner_width=192 .* model\.inner_heads=5"),
        (
            "nearl-clip",
            [*CLIP, "model.interaction=instance", "objectives.global_contrastive=1"],
            r"set model\.interaction=\"prototype\"",
        ),
        ("clinvla", [*TINY, "train.epochs=4", "train.horizon_epochs=2"], "would have a learning rate of 0"),
    ],
)
def test_a_contradiction_is_refused_where_the_system_is_made(recipe, settings, sentence):
    with pytest.raises(RecipeError, match=sentence):
        create(recipe, settings)


@pytest.mark.parametrize(
    ("recipe", "settings"),
    [
        ("alta", [*ALTA, "objectives={}"]),
        ("clinvla", [*TINY, *NONE]),
        ("linear-heads", [*PLAIN, NONE[0]]),
        ("nearl-clip", [*CLIP, "objectives={}"]),
        ("nearl-clip", [*CLIP, "objectives={orthogonality=0.1}"]),
    ],
)
def test_weights_that_are_all_zero_are_refused_before_an_image_is_read(recipe, settings, tmp_path):
    system = create(recipe, settings)
    with pytest.raises(
        RecipeError, match="No objective has a weight above 0, so nothing could train; set one"
    ):
        train(system, Manifest([], tmp_path), tmp_path / "run", tmp_path / "pixels", device="cpu")
    assert not (tmp_path / "run").exists()
    with pytest.raises(RecipeError, match=system.objective_names[0]):
        system.total({})


def test_a_run_that_could_move_temperatures_alone_is_refused_before_an_image_is_read(tmp_path):
    system = create("linear-heads", [*PLAIN, "model.warm_start=cca", "model.train_heads=false"])
    with pytest.raises(RecipeError, match=r"Nothing but temperatures would train \(log_scale\)"):
        train(system, Manifest([], tmp_path), tmp_path / "run", tmp_path / "pixels", device="cpu")
    assert not (tmp_path / "run").exists()


def test_heads_may_train_without_adapters_and_then_no_query_counts_as_trainable():
    system = create("nearl-offline", [*PLAIN, "model.vision_adapters=false", "model.text_adapters=false"])
    trains = {name.split(".")[0] for name, p in system.named_parameters() if p.requires_grad}
    assert trains == {"image_head", "text_head", "log_scale"}


def test_without_its_frontal_slot_alta_trains_on_the_other_objectives():
    settings = ['data.slots=["current_lateral"]', "objectives.image_reconstruction=0"]
    assert create("alta", [*ALTA, *settings]).recipe.data.slots == ("current_lateral",)
