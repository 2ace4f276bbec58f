from __future__ import annotations

import pytest

from radalign.leaderboard.plan import LeaderboardError, load_plan, needs_hub, plan_names
from radalign.systems.recipe import load_recipe, recipe_names

ARM = '[[arm]]\nname = "a"\nrecipe = "clinvla"\n'


def plan(tmp_path, text):
    path = tmp_path / "plan.toml"
    path.write_text(text)
    return load_plan(path)


@pytest.mark.parametrize("name", plan_names())
def test_packaged_plans_name_settings_that_exist(name):
    found = load_plan(name)
    for arm in found.arm:
        load_recipe(arm.recipe, (*found.settings, *arm.settings))
        if arm.pretrain:
            load_recipe(arm.pretrain.recipe, (*found.settings, *arm.pretrain.settings))
    assert found.title


def test_every_recipe_that_needs_no_hub_is_on_the_two_boards():
    offline = {name for name in recipe_names() if not needs_hub(name)}
    for name in ("openi", "simulated"):
        arms = load_plan(name).arm
        assert offline <= {arm.recipe for arm in arms} | {arm.pretrain.recipe for arm in arms if arm.pretrain}
        assert "linear-heads" in {arm.recipe for arm in arms if not arm.pretrain}


def test_an_ablation_changes_its_arm_and_names_it():
    for name in ("ablations-clinvla", "ablations-nearl"):
        found = load_plan(name)
        whole = found.arm[0]
        assert all(arm.ablates == whole.name for arm in found.arm[1:])
        start = load_recipe(whole.recipe, whole.settings)
        assert all(load_recipe(arm.recipe, arm.settings) != start for arm in found.arm[1:])


def test_a_recipe_beside_the_plan_is_found(tmp_path):
    (tmp_path / "own.toml").write_text('extends = "clinvla"\nname = "own"\n')
    found = plan(tmp_path, 'name = "x"\nbudget = {epochs = 1}\n' + ARM.replace("clinvla", "own.toml"))
    assert load_recipe(found.arm[0].recipe).name == "own"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('name = "x"\nbudget = {}\n' + ARM, "give minutes, epochs or flops"),
        ('name = "x"\nbudget = {epochs = 1}\n', "there is no arm"),
        ('name = "x"\nbudget = {epochs = 1}\n' + ARM + ARM, r"used twice: \['a'\]"),
        ('name = "x"\nreference = "b"\nbudget = {epochs = 1}\n' + ARM, r"do not exist: \['b'\]"),
        ('name = "x"\nbudget = {epochs = 1}\n' + ARM + 'tests = ["t"]\n', r"that do not: \['t'\]"),
        ('name = "x"\nbudget = {epochs = 1}\nrefrence = "a"\n' + ARM, "refrence: there is no such setting"),
        ("name = ", "not readable TOML"),
        (
            'name = "x"\nbudget = {epochs = 1}\nevaluate = {tasks = ["retrieval", "zero-shoot"]}\n' + ARM,
            "no task zero-shoot; tasks are retrieval, zero-shot",
        ),
        ('name = "x"\nbudget = {epochs = 1}\n' + ARM + 'tasks = ["probing"]\n', "no task probing"),
        (
            'name = "x"\nbudget = {epochs = 1}\nevaluate = {protocols = {rsnaa = "d"}}\n' + ARM,
            "no task rsnaa",
        ),
    ],
)
def test_a_wrong_plan_is_answered_with_a_sentence(tmp_path, text, sentence):
    with pytest.raises(LeaderboardError, match=sentence):
        plan(tmp_path, text)


def test_an_unknown_plan_names_the_known_ones():
    with pytest.raises(
        LeaderboardError,
        match="ablations-clinvla, ablations-clinvla-small, ablations-nearl",
    ):
        load_plan("nothing")


def test_a_plan_that_extends_another_keeps_its_arms_and_replaces_those_of_the_same_name(tmp_path):
    (tmp_path / "base.toml").write_text(
        'name = "base"\ntitle = "Base"\ndescription = "d"\nreference = "a"\nbudget = {minutes = 1}\n'
        '[[arm]]\nname = "a"\nrecipe = "ridge"\n[[arm]]\nname = "b"\nrecipe = "cca"\n'
    )
    (tmp_path / "own.toml").write_text(
        'extends = "base.toml"\nname = "own"\n[[arm]]\nname = "b"\nrecipe = "frozen"\n'
        '[[arm]]\nname = "c"\nrecipe = "clinvla"\n'
    )
    plan = load_plan(tmp_path / "own.toml")
    assert (plan.name, plan.title, plan.budget.minutes) == ("own", "Base", 1)
    assert [(arm.name, arm.recipe) for arm in plan.arm] == [("a", "ridge"), ("b", "frozen"), ("c", "clinvla")]


def test_a_plan_cannot_extend_itself(tmp_path):
    (tmp_path / "loop.toml").write_text('extends = "loop.toml"\nname = "loop"\n')
    with pytest.raises(LeaderboardError, match="extends itself"):
        load_plan(tmp_path / "loop.toml")
