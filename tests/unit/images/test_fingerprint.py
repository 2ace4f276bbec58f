"""Copies agree in their fingerprint, different pictures do not; fast pairs against all pairs, one by one."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from radalign.images.fingerprint import SAME_IMAGE_BITS, fingerprint, near_pairs
from radalign.images.geometry import resize


def picture(seed: int) -> np.ndarray:
    """Smooth blobs, different for each seed."""
    return resize(np.random.default_rng(seed).random((9, 9)).astype(np.float32), 180, 150)


def bits_apart(a: bytes, b: bytes) -> int:
    return sum((x ^ y).bit_count() for x, y in zip(a, b, strict=True))


def jpeg(image: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray((image * 255).astype(np.uint8)).save(buffer, "JPEG", quality=60)
    return np.asarray(Image.open(buffer), np.float32) / 255


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a * 0.7 + 0.1,
        lambda a: resize(a, 90, 75),
        jpeg,
        lambda a: a[1:-1, 1:-1].copy(),
        lambda a: np.clip(a + np.random.default_rng(1).normal(0, 0.02, a.shape), 0, 1).astype(np.float32),
    ],
    ids=["darker", "smaller", "compressed", "cropped", "noisy"],
)
def test_a_copy_is_near_and_another_picture_is_far(change) -> None:
    for seed in range(5):
        image = picture(seed)
        assert bits_apart(fingerprint(image), fingerprint(change(image))) <= SAME_IMAGE_BITS
        assert bits_apart(fingerprint(image), fingerprint(change(picture(seed + 50)))) > SAME_IMAGE_BITS


def test_a_mirrored_picture_is_not_a_copy() -> None:
    image = picture(3)
    assert bits_apart(fingerprint(image), fingerprint(np.ascontiguousarray(image[:, ::-1]))) > SAME_IMAGE_BITS


@given(st.lists(st.integers(0, 20), max_size=12), st.integers(1, 5), st.integers(0, 40))
def test_pairs_are_those_of_comparing_all(seeds: list[int], block: int, most: int) -> None:
    rng = np.random.default_rng(0)
    base = rng.integers(0, 256, 32, dtype=np.uint8)
    prints = []
    for seed in seeds:
        bits = np.unpackbits(base)
        bits[:seed] ^= 1
        prints.append(b"" if seed == 20 else np.packbits(bits).tobytes())
    expected = [
        (i, j, bits_apart(prints[i], prints[j]))
        for i in range(len(prints))
        for j in range(i + 1, len(prints))
        if prints[i] and prints[j] and bits_apart(prints[i], prints[j]) <= most
    ]
    assert near_pairs(prints, most, block) == expected
