"""Frontal and lateral by their pixels: made-up chests, and the real ones when they are there."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from radalign.images.position import FRONTAL_FROM, frontal_score
from radalign.images.read import read_image


def chest(lateral: bool, seed: int) -> np.ndarray:
    """A body with two lungs beside a spine, or one with a single lung before the spine; with noise."""
    y, x = np.mgrid[-1:1:120j, -1:1:100j]
    image = np.where(np.abs(x) < 0.9, 0.7, 0.0)
    if lateral:
        image -= 0.5 * (((x + 0.25) / 0.5) ** 2 + (y / 0.7) ** 2 < 1)
        image += 0.2 * (x > 0.5) * (x < 0.7)
    else:
        for side in (-0.45, 0.45):
            image -= 0.5 * (((x - side) / 0.3) ** 2 + (y / 0.7) ** 2 < 1)
        image += 0.3 * (np.abs(x) < 0.1)
    return (image + np.random.default_rng(seed).normal(0, 0.05, image.shape)).clip(0, 1).astype(np.float32)


def test_made_up_chests_are_told_apart() -> None:
    for seed in range(5):
        assert frontal_score(chest(False, seed)) >= FRONTAL_FROM > frontal_score(chest(True, seed))


def test_a_flat_and_a_tiny_image_have_a_score() -> None:
    for image in (np.zeros((5, 5), np.float32), np.ones((1, 1), np.float32)):
        assert np.isfinite(frontal_score(image))


@pytest.mark.data
def test_real_pairs_are_told_apart(real_data: Path) -> None:
    folder = real_data / "openi_iu_xray"
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[::28]  # spread evenly over the set
    scores = [frontal_score(read_image(folder / row["image_path"])) for row in rows]
    right = [(s >= FRONTAL_FROM) == (r["view_class"] == "frontal") for s, r in zip(scores, rows, strict=True)]
    assert np.mean(right) > 0.95
