"""Features of frozen towers are made once per batch of images, and are those that the tower makes."""

from __future__ import annotations

import pytest
import torch

from radalign.data.batches import ImageBatch
from radalign.evaluate import few_shot_cells
from radalign.evaluate.few_shot_cells import decide_on_test
from radalign.systems.base import create
from radalign.systems.remembered import Remembered
from tests.few_labels import APART, CALM, CLASSES, CLIP, labelled_manifest


def images(seed=0, present=True):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (2, 2, 4, 4), dtype=torch.uint8, generator=generator)
    return ImageBatch(pixels, torch.tensor([[True, True], [True, present]]))


class Tower:
    """Counts how often it is asked."""

    def __init__(self):
        self.asked = 0

    def __call__(self):
        self.asked += 1
        return torch.full((2, 3), float(self.asked))


def test_the_same_batch_is_made_once_and_any_other_anew():
    memory, tower = Remembered(), Tower()
    first = memory.of(images(), "a", tower)
    assert torch.equal(memory.of(images(), "a", tower), first)
    assert tower.asked == 1
    memory.of(images(1), "a", tower)
    memory.of(images(present=False), "a", tower)
    memory.of(images(), "b", tower)
    with torch.autocast("cpu", torch.bfloat16):
        memory.of(images(), "a", tower)
    assert tower.asked == 5


def test_the_oldest_go_when_there_are_too_many():
    memory, tower = Remembered(most_bytes=2 * 24), Tower()  # two batches of 2 x 3 float32
    for seed in (0, 1, 2):
        memory.of(images(seed), "a", tower)
    memory.of(images(2), "a", tower)
    assert tower.asked == 3
    memory.of(images(0), "a", tower)
    assert tower.asked == 4


def test_what_was_made_without_gradients_may_be_used_with_them():
    memory, weight = Remembered(), torch.ones(3, requires_grad=True)
    with torch.inference_mode():
        memory.of(images(), "a", Tower())
    (memory.of(images(), "a", Tower()) @ weight).sum().backward()
    assert weight.grad is not None


def passes(system):
    seen = []
    system.vision.register_forward_hook(lambda *_: seen.append(1))
    return seen


@pytest.mark.parametrize("backbones", [CLIP, APART])
def test_a_classifier_over_frozen_towers_looks_once_in_evaluation_and_always_in_training(backbones, tmp_path):
    manifest = labelled_manifest(tmp_path, 3, 1, 2)
    system = create("clip-adapter", [*backbones, *CALM])
    system.adopt_classes(CLASSES, 8)
    system.warm_start(manifest.where(split="train"))
    studies = [s for s in manifest.where(split="test") if len(s.positives) == 1]
    seen = passes(system)
    first = system.classify_studies(studies, manifest)
    once = len(seen)
    assert once
    assert (system.classify_studies(studies, manifest) == first).all()
    assert len(seen) == once
    system.space.memory = Remembered()
    assert (system.classify_studies(studies, manifest) == first).all()
    assert len(seen) == 2 * once
    from radalign.data.read_slots import read_slots

    batch = read_slots(studies, manifest, system.recipe.data)
    for _ in range(2):
        system.train().encode_images(batch)
    assert len(seen) == 2 * once + 2


def test_the_cells_of_a_table_share_the_features_of_the_test_studies(tmp_path):
    manifest = labelled_manifest(tmp_path / "data", 3, 1, 2)
    memory, asked = Remembered(), []
    made = memory.of
    memory.of = lambda batch, tower, make: made(batch, tower, lambda: (asked.append(tower), make())[1])
    for seed in (1, 2):
        system = create("tip-adapter", [*CLIP, *CALM, f"train.seed={seed}"])
        system.adopt_classes(CLASSES, len(manifest.where(split="train")) - 1)
        system.warm_start(manifest.where(split="train"))
        place = tmp_path / f"cell{seed}"
        system.save(place)
        alone = decide_on_test(place, manifest, few_shot_cells.FEW_SHOT)
        shared = decide_on_test(place, manifest, few_shot_cells.FEW_SHOT, memory=memory)
        assert all((a == b).all() for a, b in zip(alone["all"], shared["all"], strict=True))
    assert len(asked) == 1  # one batch of test studies
