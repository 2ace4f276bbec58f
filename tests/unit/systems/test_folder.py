"""A system's folder: the wrong backbone is named, a crash between two renames loses nothing."""

from __future__ import annotations

import pytest

import radalign
from radalign.systems.base import create
from radalign.systems.folder import SystemFolderError
from radalign.weights.hub import load_text, load_vision
from radalign.weights.write import write_text, write_vision

SIZES = {"width": 32, "depth": 1, "heads": 2, "mlp_width": 32}


def encoders(folder, seed):
    vision = load_vision({"random": {**SIZES, "patch_px": 8, "image_px": 32, "seed": seed}})
    text, tokenizer = load_text({"random": {**SIZES, "vocabulary": 50, "max_tokens": 32, "seed": seed}})
    write_vision(vision, folder / "vision")
    write_text(text, folder / "text")
    tokenizer.save(folder / "text")


@pytest.fixture
def system(tmp_path):
    encoders(tmp_path / "weights", seed=1)
    where = [f"backbones.{side}={tmp_path / 'weights' / side}" for side in ("vision", "text")]
    small = [
        "data.size_px=32",
        "backbones.max_tokens=16",
        "model.adapter_hidden=4",
        "model.embedding_width=8",
    ]
    return create("clinvla", [*where, *small]).eval()


@pytest.mark.parametrize("side", ["vision", "text"])
def test_the_wrong_backbone_is_an_error_that_names_both(system, tmp_path, side):
    system.save(tmp_path / "run")
    trained_on = system.backbones[side]
    encoders(tmp_path / "other", seed=2)
    (tmp_path / "weights" / side).rename(tmp_path / "kept")
    (tmp_path / "other" / side).rename(tmp_path / "weights" / side)
    with pytest.raises(SystemFolderError) as error:
        radalign.load(tmp_path / "run")
    load = load_vision if side == "vision" else load_text
    found = load(str(tmp_path / "weights" / side))
    now = (found if side == "vision" else found[0]).identity
    assert trained_on in str(error.value)
    assert now in str(error.value)
    assert now != trained_on
    assert f"put the right encoder where `backbones.{side}` of its recipe points" in str(error.value)


@pytest.mark.parametrize("crash", ["best.old", "last.old"])
def test_a_crash_between_the_two_renames_of_a_save_loses_nothing(system, tmp_path, crash):
    system.save(tmp_path / "run" / "best")
    (tmp_path / "run" / "best").rename(tmp_path / "run" / crash)
    assert radalign.load(tmp_path / "run").identity == system.identity


def test_a_whole_best_one_goes_before_an_old_one(system, tmp_path):
    system.save(tmp_path / "run" / "best")
    (tmp_path / "run" / "best.old").mkdir()
    (tmp_path / "run" / "best.old" / "recipe.toml").write_text("not TOML [")
    assert radalign.load(tmp_path / "run").identity == system.identity


def test_a_saved_recipe_states_every_model_setting(system, tmp_path):
    system.save(tmp_path / "run")
    model = radalign.load(tmp_path / "run").recipe.model
    assert model == system.settings.model_dump(mode="json", exclude_none=True)
    assert "task" in model  # one that the recipe never named


def test_a_setting_that_a_later_version_adds_leaves_an_identity_alone(system, tmp_path):
    class Later(type(system).Settings):
        invented_later: int = 3

    before = system.identity
    system.settings = Later.model_validate(system.recipe.model)
    assert system.identity == before
    system.settings = Later.model_validate(system.recipe.model | {"invented_later": 4})
    assert system.identity != before
