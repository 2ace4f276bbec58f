"""Labelled studies without reports, and backbones small enough to train on them in a test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from radalign.study import Manifest, Study, View

CLASSES = ("airspace disease", "cardiomegaly", "normal")
CLIP = [
    "backbones.vision={random={width=48, depth=2, heads=4, mlp_width=96, patch_px=8, image_px=32, projection=24}}",
    "backbones.text={random={width=32, depth=2, heads=4, mlp_width=64, vocabulary=99, max_tokens=77, norm='pre',"
    " causal=true, projection=24}}",
    "data.size_px=32",
]
BIOMEDCLIP = [
    CLIP[0],
    "backbones.text={random={width=32, depth=2, heads=4, mlp_width=64, vocabulary=99, max_tokens=64, projection=24,"
    " projection_hidden=28}}",
    "data.size_px=32",
]
APART = [
    "backbones.vision={random={width=48, depth=2, heads=4, mlp_width=96, patch_px=8, image_px=32}}",
    "backbones.text={random={width=32, depth=2, heads=4, mlp_width=64, vocabulary=99, max_tokens=64}}",
    "data.size_px=32",
]
CALM = ["data.augment.probability=0", "train.precision=fp32", "train.warmup_epochs=0", "train.epochs=3"]


def labelled_manifest(
    folder: Path, train: int = 8, validate: int = 5, test: int = 6, classes: Sequence[str] = CLASSES
) -> Manifest:
    """Studies of three classes or four, each with its own bright part of the image, and some that show two."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, step = np.random.default_rng(0), 30 // len(classes)
    studies = []
    for part, count in (("train", train), ("validate", validate), ("test", test)):
        for c, name in enumerate(classes):
            for i in range(count):
                pixels = rng.integers(0, 40, (32, 32)).astype(np.uint8)
                pixels[:, c * step : c * step + step + 2] += 180
                key = f"{part}{c}-{i}"
                Image.fromarray(pixels).save(folder / f"{key}.png")
                both = {"normal": 1} if c == 0 and i == 0 else {}
                labels = {name: 1, "Nodule": 0} | both
                studies.append(Study(key, key, (View(f"{key}.png", "PA"),), labels=labels, split=part))
    return Manifest(studies, folder)
