"""A request to stop before the first step is heard at once, and the same command begins again."""

from __future__ import annotations

import os
import signal

import pytest

from radalign.systems.base import create
from radalign.train.bar import Bar
from radalign.train.loop import train
from tests.training_toy import toy_manifest
from tests.unit.systems.conftest import TINY


class AskedToStop(Bar):
    """A bar whose loop of one label is interrupted as by `kill`, after its first item."""

    def __init__(self, label: str) -> None:
        super().__init__(quiet=True)
        self.label, self.after = label, 0

    def around(self, items, label):
        for item in items:
            yield item
            if label == self.label:
                self.after += 1
                os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("label", ["Decoding images", "Computing frozen features"])
def test_a_stop_before_the_first_step_does_not_wait_for_the_rest(tmp_path, monkeypatch, label):
    monkeypatch.setattr("radalign.data.pixel_cache._TOGETHER", 4)
    monkeypatch.setattr("radalign.systems.frozen_features.BATCH", 4)
    manifest = toy_manifest(tmp_path / "images", 24)
    settings = [*TINY, "model.warm_start=cca", "train.epochs=1", "train.precision=fp32"]
    run, cache, bar = tmp_path / "run", tmp_path / "pixels", AskedToStop(label)
    with pytest.raises(KeyboardInterrupt):
        train(create("clinvla", settings), manifest, run, cache, device="cpu", bar=bar)
    assert bar.after == 1
    assert not list(run.iterdir())
    assert train(create("clinvla", settings), manifest, run, cache, device="cpu").is_finished
