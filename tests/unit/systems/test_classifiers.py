"""CLIP-Adapter, Tip-Adapter and NEARL-CLIP as classifiers: against loops, and on encoders of every kind."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from radalign.data.batches import StudyBatch
from radalign.data.read_slots import read_slots
from radalign.systems.base import create, load
from radalign.systems.frozen_space import LabelMaps
from tests.few_labels import APART, BIOMEDCLIP, CALM, CLASSES, CLIP, labelled_manifest

RECIPES = ("nearl-few-shot", "clip-adapter", "tip-adapter", "tip-adapter-f")
BACKBONES = {"clip": CLIP, "biomedclip": BIOMEDCLIP, "apart": APART}


def prepared(recipe, manifest, *overrides, backbones=CLIP):
    """A system with its classes, warm-started, as a run would begin."""
    system = create(recipe, [*backbones, *CALM, *overrides])
    train = manifest.where(split="train")
    system.adopt_classes(CLASSES, len(train) - 1)  # one study shows two classes
    system.warm_start(train)
    return system


def batch_of(system, manifest, part="test"):
    studies = [s for s in manifest.where(split=part) if len(s.positives) == 1]
    labels = torch.tensor([[s.labels.get(name, -2) for name in CLASSES] for s in studies], dtype=torch.int8)
    images = read_slots(studies, manifest, system.recipe.data)
    return StudyBatch(images, system.tokenize([""] * len(studies)), labels=labels)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("kind", BACKBONES)
def test_every_classifier_decides_on_every_kind_of_encoder_and_travels(recipe, kind, tmp_path):
    manifest = labelled_manifest(tmp_path / "data", 3, 1, 2)
    system = prepared(recipe, manifest, backbones=BACKBONES[kind]).eval()
    batch = batch_of(system, manifest)
    with torch.no_grad():
        logits = system.logits(batch.images)
        assert logits.shape == (5, 3)
        system.save(tmp_path / "system")
        again = load(tmp_path / "system")
        assert again.classes == CLASSES
        assert again.identity == system.identity
        torch.testing.assert_close(again.logits(batch.images), logits)


def test_clip_adapter_equals_its_equations_and_has_131_072_weights_at_clip_size(tmp_path):
    manifest = labelled_manifest(tmp_path, 2, 1, 2)
    system = prepared("clip-adapter", manifest).eval()
    batch = batch_of(system, manifest)
    w1, w2 = system.adapter[0].weight, system.adapter[2].weight
    with torch.no_grad():
        f = system.vision.projection(system.vision(batch.images.images)[:, 0])
        mixed = 0.2 * torch.relu(w2 @ torch.relu(w1 @ f.T)).T + 0.8 * f
        words = system.encode_texts(system.tokenize([f"a photo of a {name}." for name in CLASSES])).global_
        torch.testing.assert_close(system.logits(batch.images), 100 * F.normalize(mixed, dim=-1) @ words.T)
    assert (tuple(w1.shape), tuple(w2.shape)) == ((6, 24), (24, 6))  # at CLIP's 512: 2 * 512 * 128 = 131,072


def test_tip_adapters_votes_equal_a_loop_and_unknown_classes_get_none(tmp_path):
    manifest = labelled_manifest(tmp_path, 3, 1, 2)
    system = prepared("tip-adapter", manifest).eval()
    z = system.encode_images(batch_of(system, manifest).images).global_
    got = system._votes(z, 5.5)
    for n in range(len(z)):
        for c in range(3):
            own = [key for key, k in zip(system.keys, system.key_classes, strict=True) if k == c]
            want = sum(math.exp(-5.5 * (1 - float(z[n] @ key))) for key in own)
            assert float(got[n, c]) == pytest.approx(want, rel=1e-4)
    system.set_classes(["fracture", "normal"])
    assert float(system._votes(z, 5.5)[:, 0].abs().max()) == 0
    torch.testing.assert_close(system._votes(z, 5.5)[:, 1], got[:, 2])


def test_tip_adapter_tunes_on_what_it_is_given_and_prefers_the_best(tmp_path):
    manifest = labelled_manifest(tmp_path, 3, 3, 2)
    system = prepared("tip-adapter", manifest).eval()
    batch = batch_of(system, manifest, "validate")
    z = system.evidence(batch.images)
    target = (batch.labels == 1).int().argmax(1)

    def accuracy():
        return (system.decide(z).argmax(1) == target).float().mean().item()

    system.tune(z, target)
    tuned = accuracy()
    for alpha in system.settings.alphas:
        for beta in system.settings.betas:
            system.chosen.copy_(torch.tensor([alpha, beta]))
            assert accuracy() <= tuned


def test_changed_copies_of_a_shot_make_its_key(tmp_path):
    manifest = labelled_manifest(tmp_path, 2, 1, 1)
    plain = prepared("tip-adapter", manifest)
    changed = prepared("tip-adapter", manifest, "data.augment.probability=1", "model.passes=3")
    torch.testing.assert_close(changed.keys.norm(dim=1), torch.ones(5))
    assert (changed.keys - plain.keys).abs().max() > 1e-4


def test_the_map_from_labels_is_the_ridge_solution(tmp_path):
    manifest = labelled_manifest(tmp_path, 3, 1, 1)
    system = prepared("clip-adapter", manifest, backbones=APART)
    maps = system.space.maps
    assert isinstance(maps, LabelMaps)
    from radalign.systems.frozen_features import pooled_texts
    from radalign.systems.frozen_space import shot_features

    rows, present, classes = shot_features(system, manifest.where(split="train"))
    x = maps.image.standardise(rows, present).double()
    with torch.no_grad():
        words = F.normalize(pooled_texts(system.text, system.class_prompts()), dim=-1).double()
    y = (words - words.mean(0))[classes]
    penalty = 0.1 * x.square().sum(1).mean()  # the primal form, as an oracle
    want = torch.linalg.solve(x.T @ x + penalty * torch.eye(x.shape[1], dtype=torch.float64), x.T @ y)
    torch.testing.assert_close(maps.image.weight.double(), want, rtol=1e-3, atol=1e-5)
