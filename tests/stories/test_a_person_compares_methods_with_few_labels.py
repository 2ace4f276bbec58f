"""From a CoOp split file to a table of methods by shots, interrupted on the way; and base to novel."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from radalign.cli import build_app
from radalign.evaluate import few_shot_cells
from radalign.evaluate.embeddings import EvaluationError
from radalign.study import Manifest
from tests.few_labels import APART, CALM, CLASSES, CLIP, labelled_manifest

SETTINGS = [part for setting in [*CLIP, *CALM, "train.epochs=1"] for part in ("--set", setting)]


def radalign(*arguments):
    done = CliRunner().invoke(build_app(), [str(a) for a in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


@pytest.fixture(autouse=True)
def without_run_cards(monkeypatch):
    """The pictures of eight runs take longer than the runs, and other tests look at them."""
    monkeypatch.setattr("radalign.train.run.write_card", lambda result: None)


@pytest.fixture
def manifest(tmp_path):
    path = tmp_path / "chest" / "manifest.parquet"
    labelled_manifest(tmp_path / "chest", 6, 3, 4).write(path)
    return path


def table(manifest, out, *more, methods=("clip-adapter", "tip-adapter")):
    return radalign("few-shot", *methods, "--data", manifest, "--out", out, *SETTINGS, *more)


def test_every_cell_is_trained_once_and_the_table_has_methods_by_shots(manifest, tmp_path, monkeypatch):
    out = tmp_path / "table"
    page = table(manifest, out, "--shots", "1", "--seeds", "1,2").stdout
    assert "| method | accuracy, K = 1 | class accuracy, K = 1 |" in page
    assert "| chance | 33.3 | 33.3 |" in page
    result = json.loads((out / "few-shot.json").read_text())
    made = result["made_by"]
    assert made["manifest_sha256"] == Manifest.read(manifest).sha256()
    assert made["systems"]["tip-adapter"]["recipe"]["name"] == "tip-adapter"
    assert made["device"] == "cpu"
    assert made["wall_time_s"]["train"] > 0
    assert made["table"]["seeds"] == [1, 2]
    cells = result["settings"]["cells"]
    assert [(c["method"], c["shots"], c["seed"]) for c in cells] == [
        (m, k, s) for m in ("clip-adapter", "tip-adapter") for k in (1,) for s in (1, 2)
    ]
    lists = {(c["shots"], c["seed"]): c["list_sha256"] for c in cells}
    assert len(set(lists.values())) == 2  # every K and seed has a list of its own, the same for both methods
    for m in ("clip-adapter", "tip-adapter"):
        for k in (1,):
            tested = [
                json.loads((out / "chest" / m / f"few-shot-{k}-seed{s}" / "test.json").read_text())["all"]
                for s in (1, 2)
            ]
            rights = [np.mean(right) for right, _ in tested]
            by_class = [
                np.mean([np.mean([r for r, t in zip(*pair, strict=True) if t == c]) for c in set(pair[1])])
                for pair in tested
            ]
            found = {x["metric"]: x["value"] for x in result["measures"]
                     if (x["system"], x["task"], x["group"]) == (m, f"K = {k}", "chest")}  # fmt: skip
            assert found["accuracy"] == pytest.approx(np.mean(rights))
            assert found["class accuracy"] == pytest.approx(np.mean(by_class))
            assert found["SD of accuracy"] == pytest.approx(np.std(rights, ddof=1))

    def refuse(*arguments):
        raise AssertionError("a finished cell was tested again")

    monkeypatch.setattr(few_shot_cells, "decide_on_test", refuse)
    assert table(manifest, out, "--shots", "1", "--seeds", "1,2").stdout == page
    with pytest.raises(ValueError, match=r"was trained with train.lr = .*choose another --out"):
        table(manifest, out, "--shots", "1", "--seeds", "1", "--set", "train.lr=0.5")


def test_base_to_novel_names_both_ways_to_average(manifest, tmp_path):
    four = (*CLASSES, "Fracture")
    manifest, other = (tmp_path / name / "manifest.parquet" for name in ("chest", "second"))
    for path, (train, test) in {manifest: (6, 4), other: (5, 3)}.items():
        labelled_manifest(path.parent, train, 3, test, four).write(path)
    out = tmp_path / "table"
    how = ("--protocol", "base-to-novel", "--shots", "2", "--seeds", "1", "--data", other)
    table(manifest, out, *how, methods=["clip-adapter"])
    result = json.loads((out / "base-to-novel.json").read_text())
    value = {
        (m["metric"], m["group"]): m["value"] for m in result["measures"] if m["system"] == "clip-adapter"
    }
    base, novel = ([value[f"{side} accuracy", s] for s in ("chest", "second")] for side in ("base", "novel"))
    for side in ("base", "novel"):
        right, truth = json.loads(
            (out / "chest" / "clip-adapter" / "base-to-novel-2-seed1" / "test.json").read_text()
        )[side]
        by_class = [np.mean([r for r, t in zip(right, truth, strict=True) if t == c]) for c in (0, 1)]
        assert value[f"{side} accuracy", "chest"] == pytest.approx(np.mean(right))
        assert value[f"{side} class accuracy", "chest"] == pytest.approx(np.mean(by_class))
    assert "base class accuracy, K = 2" in (out / "base-to-novel.md").read_text()
    harmonic = [2 * b * n / (b + n) if b + n else 0 for b, n in zip(base, novel, strict=True)]
    assert value["mean of HM", ""] == pytest.approx(np.mean(harmonic))
    b, n = np.mean(base), np.mean(novel)
    assert value["HM of means", ""] == pytest.approx(2 * b * n / (b + n) if b + n else 0)


def test_base_to_novel_with_a_single_novel_class_is_refused_before_anything_trains(manifest, tmp_path):
    with pytest.raises(EvaluationError, match="chest has 3 classes; base-to-novel needs at least four"):
        table(manifest, tmp_path / "table", "--protocol", "base-to-novel", "--shots", "2", "--seeds", "1")
    assert not (tmp_path / "table").exists()


def test_a_split_file_becomes_a_manifest_trains_offline_and_is_evaluated(tmp_path):
    folder = tmp_path / "covid"
    lists: dict[str, list] = {"train": [], "val": [], "test": []}
    rng = np.random.default_rng(0)
    for part in lists:
        for label, name in enumerate(["Normal", "COVID"]):
            for i in range(4):
                path = f"{name}/{part}{i}.png"
                (folder / name).mkdir(parents=True, exist_ok=True)
                Image.fromarray(rng.integers(0, 255, (40, 40)).astype(np.uint8)).save(folder / path)
                lists[part].append([path, label, name])
    Path(folder / "split_zhou.json").write_text(json.dumps(lists))
    radalign("data", "import", "coop-json", folder, "--out", folder / "manifest.parquet", "--workers", "1")
    sets = [part for setting in [*APART, *CALM, "data.shots=2"] for part in ("--set", setting)]
    run = tmp_path / "run"
    radalign("train", "nearl-offline", "--data", folder / "manifest.parquet", "--out", run, "--json", *sets)
    done = radalign(
        "evaluate", run, "--data", folder / "manifest.parquet", "--task", "few-shot", "--resamples", 20
    )
    assert "as trained" in done.stdout
    assert json.loads((run / "run.json").read_text())["details"]["recipe"]["model"]["classes"] == [
        "Normal",
        "COVID",
    ]
