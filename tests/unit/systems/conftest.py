"""A ClinVLA small enough for unit tests: random tiny encoders, everything else as in the recipe."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from radalign.data.batches import ImageBatch, StudyBatch
from radalign.systems.base import System, create

TINY = [
    "backbones.vision={random={width=32, depth=2, heads=2, mlp_width=64, patch_px=8, image_px=32, seed=1}}",
    "backbones.text={random={width=32, depth=2, heads=2, mlp_width=64, vocabulary=200, max_tokens=64, seed=2}}",
    "backbones.max_tokens=32",
    "model.adapter_hidden=8",
    "model.embedding_width=16",
    "data.size_px=32",
]
REPORTS = [
    "No effusion. Heart size normal.",
    "Large left effusion.",
    "Small nodule in the right upper lobe.",
    "Normal.",
]


RIVAL = {
    "biovil-t": ["model.fusion_width=16", "model.fusion_heads=2", "model.fusion_depth=2"],
    "convirt": ["model.frozen_text_layers=1"],
    "medklip": ["model.decoder_width=16", "model.decoder_depth=2", "model.decoder_heads=2"],
}


def rival(name: str, *overrides: str) -> System:
    """A baseline as small as `TINY`; a CNN version needs a tower among the overrides."""
    plain = name.removesuffix("-resnet50")
    left = ["adapter_hidden", *(["embedding_width"] if plain in ("frozen", "medklip") else [])]
    shared = [setting for setting in TINY if not any(key in setting for key in left)]
    return create(name, [*shared, *RIVAL.get(plain, []), *overrides])


def frontal_batch(system: System) -> StudyBatch:
    """Four studies that all have their first view, as every baseline can see."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (4, 2, 32, 32), dtype=torch.uint8, generator=generator)
    mask = torch.tensor([[True, True], [True, False], [True, True], [True, False]])
    return StudyBatch(ImageBatch(images, mask), system.tokenize(REPORTS))


@pytest.fixture
def tiny() -> Callable[..., System]:
    return lambda recipe="clinvla", *overrides: create(recipe, [*TINY, *overrides])


@pytest.fixture
def batch() -> Callable[[System], StudyBatch]:
    def make(system: System) -> StudyBatch:
        generator = torch.Generator().manual_seed(0)
        slots = len(system.recipe.data.slots)
        images = torch.randint(0, 256, (4, slots, 32, 32), dtype=torch.uint8, generator=generator)
        mask = torch.tensor([[True, True], [True, False], [False, True], [True, True]])
        mask = torch.cat([mask, torch.zeros(4, slots - 2, dtype=torch.bool)], 1)
        return StudyBatch(ImageBatch(images, mask), system.tokenize(REPORTS))

    return make
