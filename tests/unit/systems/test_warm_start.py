"""Closed-form heads are fitted on what the towers see later: the same image size, and masks where training masks."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from radalign.data.phantom.simulate import simulate
from radalign.study import Manifest
from radalign.systems.base import create
from radalign.systems.warm_start import training_features
from tests.unit.systems.conftest import TINY

ALTA = [*(s for s in TINY if "adapter_hidden" not in s), "model.warm_start=cca", "model.decoder_heads=2"]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory) -> Manifest:
    made = simulate(tmp_path_factory.mktemp("phantom"), 14)
    return Manifest([replace(s, split="train") for s in made], made.root)


def sizes_seen(system, monkeypatch):
    """What the vision tower is given: the side of the views, and whether some patches are kept only."""
    seen, real = set(), type(system.vision).forward

    def forward(self, views, keep=None, extra=None):
        seen.add((views.shape[-1], None if keep is None else keep.shape[1]))
        return real(self, views, keep, extra)

    monkeypatch.setattr(type(system.vision), "forward", forward)
    return seen


@pytest.mark.parametrize("scale", [1, 2])
def test_features_have_the_encoders_size_even_where_images_are_targets_of_twice_that(
    manifest, monkeypatch, scale
):
    system = create(
        "alta", [*ALTA, "data.size_px=32", "model.decoder_depth=1", f"model.target_scale={scale}"]
    )
    seen = sizes_seen(system, monkeypatch)
    system.warm_start(manifest)
    assert seen == {(32, None)}


def test_the_folds_maps_are_fitted_on_masked_views_and_the_others_on_whole_ones(manifest, monkeypatch):
    system = create("clinvla", [*TINY, "model.warm_start=cca", "model.warm_folds=2", "model.mask_ratio=0.75"])
    seen = sizes_seen(system, monkeypatch)
    system.warm_start(manifest)
    patches = (system.recipe.data.size_px // system.vision.patch_px) ** 2
    assert seen == {(system.recipe.data.size_px, None), (system.recipe.data.size_px, patches // 4)}
    torch.manual_seed(0)
    whole = training_features(system, manifest)[1]
    masked = training_features(system, manifest, mask_ratio=0.75)[1]
    assert whole.shape == masked.shape
    assert not torch.allclose(whole, masked)
