"""Recipes: inheritance, overrides, and errors that name the key."""

from __future__ import annotations

import pytest

from radalign.systems.kinds import SYSTEMS
from radalign.systems.recipe import RecipeError, load_recipe, recipe_from_table, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_every_packaged_recipe_is_valid_and_stands_alone_once_written(name):
    import tomllib

    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.system in SYSTEMS
    assert recipe.description
    assert recipe_from_table(tomllib.loads(recipe.to_toml())) == recipe


def test_what_clinvlas_paper_leaves_open_is_altas():
    """(R22)"""
    paper, alta = load_recipe("clinvla-paper"), load_recipe("alta-paper")
    for name in ("epochs", "horizon_epochs", "warmup_epochs", "betas"):
        assert getattr(paper.train, name) == getattr(alta.train, name), name
    assert paper.data.augment == alta.data.augment


def test_an_override_wins_over_the_file():
    assert load_recipe("clinvla", ["train.epochs=5", "train.lr=1e-3"]).train.epochs == 5


def test_a_recipe_extends_another_and_replaces_objectives_whole(tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text('extends = "clinvla"\nname = "mine"\n[objectives]\nglobal_contrastive = 2.0\n')
    recipe = load_recipe(mine)
    assert recipe.objectives == {"global_contrastive": 2.0}
    assert recipe.train == load_recipe("clinvla").train


def test_a_recipe_changes_how_texts_vary_one_setting_at_a_time_and_replaces_an_encoder_whole(tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text(
        'extends = "clinvla-warm"\nname = "mine"\n[data.text]\nsection = "impression"\n'
        "[backbones]\ntext = { random = { width = 8 } }\n"
    )
    (tmp_path / "child.toml").write_text(
        'extends = "mine.toml"\nname = "child"\n[backbones]\ntext = { file = "x" }\n'
    )
    parent, recipe = load_recipe("clinvla-warm"), load_recipe(tmp_path / "child.toml")
    assert recipe.data.text.section == "impression"
    assert recipe.data.text.sample_probability == parent.data.text.sample_probability == 0.5
    assert recipe.backbones.text == {"file": "x"}
    assert recipe.backbones.vision == parent.backbones.vision


def test_a_circle_of_recipes_is_an_error(tmp_path):
    (tmp_path / "a.toml").write_text('extends = "b.toml"\n')
    (tmp_path / "b.toml").write_text('extends = "a.toml"\n')
    with pytest.raises(RecipeError, match="in a circle"):
        load_recipe(tmp_path / "a.toml")


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("train.epoch=5", "train.epoch: there is no such setting; there are accumulate, "),
        ("train.epochs=0", "train.epochs: .*greater than or equal to 1"),
        ("train.epochs", "is not a setting; write it as"),
        ("name.deeper=1", "name is a single value"),
        ("objectives.global_contrastive=much", "objectives.global_contrastive"),
    ],
)
def test_a_wrong_override_says_what_is_wrong(override, sentence):
    with pytest.raises(RecipeError, match=sentence):
        load_recipe("clinvla", [override])


def test_an_unknown_recipe_lists_the_known_ones():
    with pytest.raises(RecipeError, match=r"no recipe 'clinvlaa'; packaged are .*clinvla"):
        load_recipe("clinvlaa")


def test_broken_toml_names_the_file(tmp_path):
    (tmp_path / "x.toml").write_text("name = ")
    with pytest.raises(RecipeError, match=r"x\.toml is not readable TOML"):
        load_recipe(tmp_path / "x.toml")
