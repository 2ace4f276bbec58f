"""Benchmarks in miniature: grey images whose brightness is an angle, and a fake system that reads it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def at(degrees) -> np.ndarray:
    """Unit vectors at these angles, [N, 2]."""
    angle = np.deg2rad(np.asarray(degrees, dtype=float).reshape(-1))
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


class Angles:
    """A fake system: an image's first pixel is its angle in degrees, a text's angle is looked up.

    Args:
        angles: Text (after the protocol's cleaning) to degrees; a text not named stands at `other`.
        other: Degrees of every other text.
    """

    def __init__(self, angles: dict[str, float], other: float = 180.0) -> None:
        self.angles, self.other, self.texts = angles, other, []

    def embed_studies(self, studies, manifest=None, batch_size=32, progress=None):
        paths = [manifest.image_path(study.views[0]) for study in studies]
        return at([float(np.asarray(Image.open(path))[0, 0]) for path in paths])

    def embed_texts(self, texts, batch_size=128, normalise=True):
        self.texts += list(texts)
        return at([self.angles.get(text, self.other) for text in texts])


@pytest.fixture
def angles() -> type[Angles]:
    return Angles


@pytest.fixture
def write_image() -> Callable[[Path, int], None]:
    """Writes a PNG (whatever its suffix) whose first pixel is an angle; no two files have the same bytes."""
    serials = count()

    def write(path: Path, degrees: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        serial = next(serials)
        pixels = np.array([[degrees, serial // 256], [serial % 256, 0]], np.uint8)
        Image.fromarray(pixels).save(path, format="PNG")

    return write


class _Recipe:
    def __init__(self, slots):
        from radalign.data.settings import DataSettings

        self.data = DataSettings(slots=slots)


@pytest.fixture
def fast_recipe():
    """As much of a recipe as evaluation looks at: one frontal slot."""
    return _Recipe(("current_frontal",))


@pytest.fixture
def temporal_recipe():
    """A recipe whose system also sees the prior frontal."""
    return _Recipe(("current_frontal", "prior_frontal"))
