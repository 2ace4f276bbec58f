"""Fine-tuning learns what is there to see, keeps the best epoch, and leaves the system alone."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from radalign.evaluate.embeddings import EvaluationError
from radalign.evaluate.fine_tune import FineTuneSettings
from radalign.evaluate.learning import learn_from_labels
from radalign.evaluate.probing import ProbeSettings
from radalign.study import Manifest, Study, View
from radalign.systems.base import create

TINY = "width=16, depth=1, heads=2, mlp_width=32"


@pytest.fixture(scope="module")
def system():
    return create(
        "clinvla",
        [
            f"backbones.vision={{random={{{TINY}, patch_px=8, image_px=16}}}}",
            f"backbones.text={{random={{{TINY}, vocabulary=100, max_tokens=16}}}}",
            "backbones.max_tokens=16", "data.size_px=16", "model.embedding_width=8", "model.adapter_hidden=4",
            "model.mask_ratio=0", "train.lr=3e-3",
        ],
    )  # fmt: skip


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """120 images: `Dense` is a bright right half; `Blank` is unknown everywhere."""
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    studies = []
    for i in range(120):
        dense = bool(random.random() < 0.5)
        pixels = random.integers(60, 120, (16, 16))
        pixels[:, 8:] += 60 * dense
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")
        split = ("train", "train", "validate", "test")[i % 4]
        studies.append(
            Study(f"s{i}", f"p{i}", (View(f"{i}.png", "PA"),), labels={"Dense": int(dense)}, split=split)
        )
    return Manifest(studies, folder)


def settings(*labels):
    return ProbeSettings(labels, shares=(1.0,), penalties=(10.0,), resamples=20)


def test_the_copy_learns_and_the_system_stays(system, manifest):
    before = system.identity
    tune = FineTuneSettings(epochs=6, batch_size=12)
    found = learn_from_labels({"tiny": system}, manifest, settings("Dense"), tune)
    assert found["tiny", "fine-tuning, 100 %", "mean AUC"].value > 0.95
    assert found["tiny", "fine-tuning, 100 %", "mean AUC"].n == 30
    assert system.identity == before
    assert found.settings["epochs"] == 6


def test_without_a_single_epoch_it_knows_nothing_of_the_labels(system, manifest):
    none = learn_from_labels({"tiny": system}, manifest, settings("Dense"), FineTuneSettings(epochs=0))
    again = learn_from_labels({"tiny": system}, manifest, settings("Dense"), FineTuneSettings(epochs=0))
    assert again.measures == none.measures
    probe = learn_from_labels({"tiny": system}, manifest, settings("Dense"))
    assert probe["tiny", "linear probe, 100 %", "mean AUC"].value > 0.9  # the probe did see the labels
    assert (
        none["tiny", "fine-tuning, 100 %", "mean AUC"].value
        != probe["tiny", "linear probe, 100 %", "mean AUC"].value
    )


def test_a_missing_split_is_named(system, manifest):
    with pytest.raises(EvaluationError, match="'train'"):
        learn_from_labels({"tiny": system}, manifest.where(split="test"), settings("Dense"))
