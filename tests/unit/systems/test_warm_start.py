"""Closed-form heads are fitted on what the towers see later: the same image size, and masks where training masks."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
import torch
from safetensors import SafetensorError

from radalign.data.phantom.simulate import simulate
from radalign.study import Manifest
from radalign.systems.base import create
from radalign.systems.frozen_features import FeatureCacheError, cached_features, training_features
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


@pytest.fixture
def cached(manifest, tmp_path):
    """A system that keeps its features, a manifest whose images may be changed, and what was computed."""
    system = create("clinvla", [*TINY, "model.warm_start=cca"])
    system.feature_cache = tmp_path / "kept"
    copied = shutil.copytree(manifest.root, tmp_path / "images")
    return system, Manifest(manifest.studies, copied)


def test_images_that_were_replaced_are_read_again(cached):
    system, manifest = cached
    before = cached_features(system, manifest)[1]
    assert torch.equal(cached_features(system, manifest)[1], before)
    paths = [manifest.image_path(view) for study in manifest for view in study.views]
    for path in paths[1:]:
        shutil.copyfile(paths[0], path)
    after = cached_features(system, manifest)[1]
    assert not torch.allclose(after, before)
    assert torch.equal(after, training_features(system, manifest)[1])


def test_features_that_were_stopped_go_on_where_they_were(cached, monkeypatch):
    system, manifest = cached
    monkeypatch.setattr("radalign.systems.frozen_features.BATCH", 2)
    monkeypatch.setattr("radalign.systems.frozen_features.PORTION", 4)
    whole = training_features(system, manifest)
    assert len(whole[0]) == 14

    def stopped(starts, label):
        for start in starts:
            if start == 10:  # two portions of four are whole, the third has one batch
                raise KeyboardInterrupt
            yield start

    with pytest.raises(KeyboardInterrupt):
        cached_features(system, manifest, stopped)
    assert len(list(system.feature_cache.iterdir())) == 2
    seen, real = [], system.tokenize
    monkeypatch.setattr(system, "tokenize", lambda texts: seen.append(len(texts)) or real(texts))
    resumed = cached_features(system, manifest)
    assert seen == [2, 2, 2]
    assert resumed[0] == whole[0]
    assert all(torch.equal(one, other) for one, other in zip(resumed[1:], whole[1:], strict=True))
    assert len(list(system.feature_cache.iterdir())) == 1


def test_a_damaged_feature_file_is_as_good_as_none(cached):
    system, manifest = cached
    before = cached_features(system, manifest)
    (kept,) = system.feature_cache.iterdir()
    kept.write_bytes(kept.read_bytes()[:100])
    assert torch.equal(cached_features(system, manifest)[1], before[1])
    kept_again = cached_features(system, manifest)
    assert kept_again[0] == before[0]
    assert torch.equal(kept_again[3], before[3])


def test_a_full_disk_is_a_sentence_and_leaves_no_part(cached, monkeypatch):
    system, manifest = cached

    def full(_tensors, path, _metadata):
        path.write_bytes(b"half")
        raise SafetensorError("No space left on device")

    monkeypatch.setattr("radalign.systems.frozen_features.save_file", full)
    with pytest.raises(FeatureCacheError, match=r"kept in .*kept \(No space .*free some space"):
        cached_features(system, manifest)
    assert not list(system.feature_cache.iterdir())


@pytest.mark.parametrize(("studies", "folds"), [(1, 0), (1, 2), (2, 2)])
def test_too_few_studies_for_a_warm_start_are_a_sentence(manifest, studies, folds):
    system = create("clinvla", [*TINY, "model.warm_start=cca", f"model.warm_folds={folds}"])
    few = Manifest(manifest.studies[:studies], manifest.root)
    with pytest.raises(ValueError, match=r"needs 2 training studies .* there is [01] .*warm_start=none"):
        system.warm_start(few)
