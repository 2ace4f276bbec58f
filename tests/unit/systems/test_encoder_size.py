"""`data.size_px` is what the encoder sees, whatever the objectives; targets are read larger; older recipes."""

from __future__ import annotations

import tomllib

import pytest
import tomli_w
import torch

import radalign
from radalign.data.batches import BatchError, ImageBatch, StudyBatch
from radalign.data.settings import DataSettings
from radalign.systems.base import create
from radalign.systems.recipe import RecipeError, load_recipe
from radalign.train.device import Processes
from radalign.train.prepare import prepare_data
from tests.training_toy import toy_manifest
from tests.unit.systems.conftest import TINY

DECODER = ["model.decoder_heads=2", "model.decoder_depth=1"]
SMALL = {
    "alta": [*(s for s in TINY if "adapter_hidden" not in s), *DECODER],
    "clinvla": [*TINY, *DECODER],
    "mrm": [*TINY[:3], "data.size_px=32", *DECODER],
}


def sides_seen(system, monkeypatch):
    """Sides of the images that the vision tower embeds."""
    seen, real = set(), type(system.vision).embed_patches

    def embed_patches(self, images, keep=None):
        seen.add(images.shape[-1])
        return real(self, images, keep)

    monkeypatch.setattr(type(system.vision), "embed_patches", embed_patches)
    return seen


@pytest.mark.parametrize("recipe", SMALL)
@pytest.mark.parametrize("weight", [0.0, 0.1])
def test_the_weight_of_the_reconstruction_does_not_change_what_the_encoder_sees(
    recipe, weight, monkeypatch, tmp_path
):
    settings = [f"objectives.image_reconstruction={weight}", "objectives.masked_language=1.0"]
    system = create(recipe, [*SMALL[recipe], *settings]).train()
    manifest, pixels = toy_manifest(tmp_path / "images", 12), tmp_path / "pixels"
    data = prepare_data(system, manifest, pixels, Processes(system.recipe.train, "cpu", tmp_path))
    batch = data.train.dataset.batch([0, 1, 2])
    assert batch.images.images.shape[-1] == (64 if weight else 32)
    seen = sides_seen(system, monkeypatch)
    system.total(system.objectives(batch)).backward()
    system.eval().embed_studies(list(manifest)[:2], manifest)
    assert seen == {32}


@pytest.mark.parametrize("recipe", SMALL)
@pytest.mark.parametrize("size", [(32, 32), (64, 32)])
def test_images_that_are_too_small_to_rebuild_are_a_sentence(recipe, size):
    settings = ["objectives.image_reconstruction=1.0", 'data.slots=["current_frontal"]']
    system = create(recipe, [*SMALL[recipe], *settings]).train()
    images = ImageBatch(torch.zeros(2, 1, *size, dtype=torch.uint8), torch.ones(2, 1, dtype=torch.bool))
    with pytest.raises(BatchError, match=rf"rebuilt from 64 x 64 px, not {size[0]} x {size[1]}"):
        system.objectives(StudyBatch(images, system.tokenize(["Normal.", "Effusion."])))


def test_the_published_sizes_stay():
    for name in ("alta", "alta-paper", "mrm", "mrm-paper"):
        data = load_recipe(name).data
        assert (data.size_px, data.enlarged(2).size_px) == (224, 448), name


def test_a_cache_that_is_too_small_for_the_targets_is_refused():
    with pytest.raises(ValueError, match=r"data\.cache_px \(256\) is smaller than the images to rebuild"):
        DataSettings(size_px=224, cache_px=256).enlarged(2)


@pytest.mark.parametrize("recipe", ["alta", "mrm"])
def test_a_saved_system_of_version_1_keeps_its_encoders_size_and_says_so(recipe, tmp_path, caplog):
    system = create(recipe, SMALL[recipe]).eval()
    system.save(tmp_path / "run")
    path = tmp_path / "run" / "recipe.toml"
    table = tomllib.loads(path.read_text())
    assert table.pop("version") == 2
    table["data"]["size_px"] = 64  # the targets' size, as version 1 wrote it
    path.write_text(tomli_w.dumps(table))
    again = radalign.load(tmp_path / "run")
    assert (again.recipe.data.size_px, again.recipe.version) == (32, 2)
    assert "is of an earlier version" in caplog.text
    assert all(torch.equal(t, again.state_dict()[n]) for n, t in system.state_dict().items())


def test_a_recipe_file_that_leaves_the_meaning_open_is_refused(tmp_path):
    path = tmp_path / "mine.toml"
    text = load_recipe("alta").to_toml()
    path.write_text(text.replace("version = 2\n", ""))
    with pytest.raises(RecipeError, match=r"says no version\. data\.size_px has become the encoder's size"):
        load_recipe(path)
    path.write_text(text.replace("version = 2\n", "version = 3\n"))
    with pytest.raises(RecipeError, match="written by a later version of radalign"):
        load_recipe(path)
    path.write_text(
        load_recipe("alta", ["objectives.image_reconstruction=0"]).to_toml().replace("version = 2\n", "")
    )
    assert load_recipe(path).data.size_px == 224  # both versions agree
