"""The command line: an overview without weight, verbs that exist, sentences for errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from radalign.cli import VERBS, build_app
from radalign.systems.recipe import load_recipe, recipe_from_table, recipe_names

HEAVY = {"torch", "numpy", "pyarrow", "PIL", "matplotlib", "pydicom", "accelerate", "transformers", "pandas"}


def python(code, *args):
    return subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, timeout=60)


def cli(*args, cwd=None):
    command = [sys.executable, "-m", "radalign", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=cwd)


def test_the_overview_names_every_verb_and_imports_nothing_heavy():
    code = (
        "import sys, radalign.cli\n"
        "sys.argv = ['radalign', '--help']\n"
        "try: radalign.cli.main()\n"
        "except SystemExit: print('MODULES', ' '.join(sorted(sys.modules)))"
    )
    shown = python(code).stdout
    overview, _, modules = shown.partition("MODULES")
    assert all(verb in overview for verb in VERBS)
    assert not HEAVY & set(modules.split())


def test_importing_the_package_imports_nothing_heavy():
    loaded = python("import sys, radalign; print(' '.join(sys.modules))").stdout.split()
    assert not HEAVY & set(loaded)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_exists_and_importing_it_imports_nothing_heavy(verb):
    code = (
        "import sys\nfrom radalign.cli import build_app\nbuild_app(sys.argv[1])\nprint(' '.join(sys.modules))"
    )
    done = python(code, verb)
    assert done.returncode == 0, done.stderr
    assert not HEAVY & set(done.stdout.split())
    assert isinstance(build_app(verb), typer.Typer)


def test_a_mendable_error_is_a_sentence_and_exit_code_2(tmp_path):
    done = cli("train", "clinvla", "--data", tmp_path / "none.parquet", "--out", tmp_path / "run")
    assert done.returncode == 2
    assert "There is no manifest at" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_recipe_is_named_together_with_the_known_ones(tmp_path):
    done = cli("recipes", "clinvlaa")
    assert done.returncode == 2
    assert "clinvla-warm" in done.stderr


def test_a_recipe_prints_as_toml_that_reads_back(tmp_path):
    import tomllib

    done = cli("recipes", "clinvla-warm")
    assert tomllib.loads(done.stdout)["model"]["warm_start"] == "cca"


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_prints_every_setting_of_its_system_and_still_reads_back_as_itself(name):
    import tomllib

    from radalign.cli.recipes import with_defaults
    from radalign.systems.kinds import system_class

    recipe = load_recipe(name)
    printed = with_defaults(recipe)
    assert recipe_from_table(tomllib.loads(printed)) == recipe
    section = printed.split("[model]\n")[1].split("\n[objectives]")[0]
    named = {line.removeprefix("# ").split(" = ")[0] for line in section.splitlines() if " = " in line}
    assert named >= set(system_class(recipe).Settings.model_fields)


def test_the_readme_names_only_verbs_that_exist():
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    blocks = readme.split("```")[1::2]
    named = {x.split()[1] for block in blocks for x in block.splitlines() if x.startswith("radalign ")}
    assert named
    assert named <= set(VERBS)


@pytest.mark.parametrize("error", ["zlib.error", "zipfile.BadZipFile", "csv.Error"])
def test_a_damaged_file_that_no_reader_named_is_a_sentence(error):
    code = (
        f"import sys, csv, zipfile, zlib, radalign.cli\n"
        f"def fail(*_): raise {error}('line 3')\n"
        f"radalign.cli.build_app = lambda wanted: fail\n"
        f"sys.argv = ['radalign', 'data']\n"
        f"radalign.cli.main()"
    )
    done = python(code)
    assert done.returncode == 2
    assert done.stderr.startswith("radalign: A file that was read is damaged (line 3)")


def test_a_few_shot_table_asks_for_its_device_before_it_reads_anything(tmp_path):
    words = ("few-shot", "nearl-few-shot", "--data", tmp_path / "none.parquet", "--out", tmp_path / "table")
    done = cli(*words, "--device", "tpu9")
    assert done.returncode == 2
    assert "The device tpu9 cannot be used here" in done.stderr
    assert "choose cpu" in done.stderr
    assert not (tmp_path / "table").exists()
