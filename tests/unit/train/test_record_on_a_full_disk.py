"""A disk that fills up while a run writes about itself is told by the file's name, with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from radalign.files import WriteRefused
from radalign.train.loop import train
from radalign.train.record import RunLog, write_json
from tests.training_toy import ToySystem, toy_manifest, toy_recipe

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
REFUSED = r": the disk is full. Free some space"


@needs_full
def test_a_log_on_a_full_disk_is_a_sentence_and_closes(tmp_path):
    log = RunLog(tmp_path / "log.jsonl")
    log._file.close()
    log._file = FULL.open("r+b", buffering=0)
    with pytest.raises(WriteRefused, match=r"log\.jsonl" + REFUSED):
        log.write("step", total=1.0)
    log.close()


@needs_full
def test_a_json_file_on_a_full_disk_leaves_the_earlier_one(tmp_path):
    write_json(tmp_path / "run.json", {"a": 1})
    (tmp_path / "run.json.partial").symlink_to(FULL)
    with pytest.raises(WriteRefused, match=r"run\.json" + REFUSED):
        write_json(tmp_path / "run.json", {"a": 2})
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]
    assert '"a": 1' in (tmp_path / "run.json").read_text()


@needs_full
def test_a_card_on_a_full_disk_is_a_sentence(tmp_path, monkeypatch):
    def full(*_):
        (tmp_path / "run" / "README.md").symlink_to(FULL)
        return False

    monkeypatch.setattr("radalign.train.card.draw_curves", full)
    manifest = toy_manifest(tmp_path / "images", 16)
    with pytest.raises(WriteRefused, match=r"README\.md" + REFUSED):
        train(
            ToySystem(toy_recipe(train={"epochs": 1})),
            manifest,
            tmp_path / "run",
            tmp_path / "px",
            device="cpu",
        )
