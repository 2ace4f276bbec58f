"""A cell of a table: an interrupted one is neither tested nor thrown away."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from radalign.train import cell


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
