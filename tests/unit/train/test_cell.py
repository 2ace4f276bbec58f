"""A cell of a table: an interrupted one is neither tested nor thrown away."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from radalign.systems.recipe import load_recipe
from radalign.train import cell
from radalign.train.start import TrainError


def test_an_interrupted_cell_stops_the_table_and_goes_on_where_it_was(tmp_path, monkeypatch):
    folder, calls = tmp_path / "cell", []

    def train(system, manifest, out, cache_folder, *, resume, **_):
        calls.append((resume, (out / "resume.safetensors").is_file()))
        finished = len(calls) == 2
        out.mkdir(exist_ok=True)
        (out / "resume.safetensors").write_bytes(b"where it was")
        (out / "run.json").write_text(json.dumps({"finished": finished, "details": {}}))
        return SimpleNamespace(is_finished=finished)

    monkeypatch.setattr(cell, "train", train)
    monkeypatch.setattr(cell, "create", lambda recipe, overrides: None)
    with pytest.raises(KeyboardInterrupt):
        cell.train_cell("clip-adapter", (), None, folder, tmp_path / "pixels")
    assert cell.train_cell("clip-adapter", (), None, folder, tmp_path / "pixels")["finished"]
    assert calls == [(True, False), (True, True)]  # the second begins with what the first had saved


def test_a_cell_that_was_trained_before_a_setting_existed_is_kept(tmp_path):
    manifest = SimpleNamespace(sha256=lambda: "data")
    recipe = load_recipe("clip-adapter", ["data.crop_collimation=true"]).model_dump(mode="json")
    recipe["data"].pop("crop_collimation")
    run = {"finished": True, "details": {"recipe": recipe, "manifest_sha256": "data"}}
    (tmp_path / "run.json").write_text(json.dumps(run))
    assert cell.train_cell("clip-adapter", (), manifest, tmp_path, tmp_path / "pixels") == run
    with pytest.raises(TrainError, match=r"data\.crop_collimation = False, not True"):
        cell.train_cell("clip-adapter", ["data.crop_collimation=true"], manifest, tmp_path, tmp_path / "p")
