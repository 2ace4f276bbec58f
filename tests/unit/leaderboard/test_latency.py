"""What is timed is computed: no system answers from what it remembers of the pass before."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from radalign.leaderboard import latency as module
from radalign.leaderboard.facts import cost_table
from radalign.leaderboard.latency import latency, study_flops
from radalign.leaderboard.remember import Remembering
from radalign.reports import assertions
from radalign.study import Manifest
from radalign.systems.base import create
from tests.few_labels import APART, CALM, CLIP
from tests.unit.leaderboard.conftest import drawn_studies

PASSES = 2 + 3  # that warm up, that count


def remembering(recipe, settings, folder):
    manifest = Manifest(drawn_studies(folder), folder)
    system = create(recipe, settings)
    if hasattr(system, "adopt_classes"):
        system.adopt_classes(("airspace disease", "cardiomegaly", "normal"), 24)
    return Remembering(system.eval(), nullcontext), manifest.where(split="test")


@pytest.mark.parametrize("recipe", ["clip-adapter-offline", "tip-adapter-offline"])
@pytest.mark.parametrize("backbones", [CLIP, APART], ids=["joint space", "map"])
def test_every_timed_pass_goes_through_the_tower(tmp_path, recipe, backbones):
    asked, studies = remembering(recipe, [*backbones, *CALM], tmp_path)
    times = []
    asked.system.vision.register_forward_hook(lambda *given: times.append(1))
    found = latency(asked, studies, repeats=PASSES - 2)
    assert found["study_ms"] > 0
    assert len(times) == PASSES


def test_operations_are_those_of_studies_that_were_embedded_before(tmp_path):
    asked, studies = remembering("clip-adapter-offline", [*APART, *CALM], tmp_path)
    fresh = study_flops(asked, studies)["study"]
    assert study_flops(asked, studies)["study"] == fresh > 0


def test_a_report_is_timed_from_its_words_and_read_anew(tmp_path, monkeypatch):
    tiny = "width=16, depth=1, heads=2, mlp_width=16"
    asked, studies = remembering(
        "medklip",
        [
            f"backbones.vision={{random={{{tiny}, patch_px=16, image_px=32}}}}",
            f"backbones.text={{random={{{tiny}, vocabulary=300, max_tokens=64}}}}",
            "data.size_px=32",
        ],
        tmp_path,
    )
    known, timed, median = [], [], module._median_ms

    def tokenize(texts, whole=asked.system.tokenize):
        known.append(assertions._remembered.cache_info().currsize)
        return whole(texts)

    def noted(call, *rest):
        before = len(known)
        found = median(call, *rest)
        timed.append(len(known) - before)
        return found

    monkeypatch.setattr(asked.system, "tokenize", tokenize)
    monkeypatch.setattr(module, "_median_ms", noted)
    assert latency(asked, studies, repeats=PASSES - 2)["report_ms"] > 0
    assert timed == [0, PASSES]  # of the study, of the report
    assert known == [0] * PASSES


def test_the_page_says_when_times_are_by_an_older_version():
    def judged(**latency):
        cell = SimpleNamespace(label="a, seed 0", seed=0, arm=SimpleNamespace(name="a"))
        return SimpleNamespace(
            cell=cell, run={}, pretrained={}, result=SimpleNamespace(made_by={"latency": latency})
        )

    older, newer = judged(study_ms=0.2), judged(study_ms=90.0, passes=9.0)
    assert "by an older version" not in cost_table([newer]).caption
    assert "Latencies of 1 of 2 cells are by an older version" in cost_table([older, newer]).caption
