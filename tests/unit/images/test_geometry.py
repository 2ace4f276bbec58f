"""Resizing and squares against what can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radalign.images.geometry import fit_square, inner_size, resize

SIDES = st.integers(1, 40)


@given(SIDES, SIDES, SIDES, SIDES)
def test_a_flat_image_stays_flat_at_any_size(
    height: int, width: int, new_height: int, new_width: int
) -> None:
    image = resize(np.full((height, width), 0.3, np.float32), new_height, new_width)
    assert image.shape == (new_height, new_width)
    np.testing.assert_allclose(image, 0.3, atol=1e-6)


@given(st.integers(2, 12), SIDES)
def test_shrinking_never_leaves_the_range_of_the_input(factor: int, seed: int) -> None:
    image = np.random.default_rng(seed).random((factor * 4, factor * 4)).astype(np.float32)
    small = resize(image, 4, 4)
    assert image.min() - 1e-6 <= small.min()
    assert small.max() <= image.max() + 1e-6


def test_shrinking_is_antialiased() -> None:
    stripes = np.tile(np.array([0, 1], np.float32), (8, 32))
    assert np.abs(resize(stripes, 8, 8) - 0.5).max() < 0.1


@given(SIDES, SIDES, st.sampled_from(["stretch", "crop", "pad"]), st.integers(1, 32))
def test_every_mode_gives_the_square(height: int, width: int, mode: str, size: int) -> None:
    assert fit_square(np.ones((height, width), np.float32), size, mode).shape == (size, size)  # type: ignore[arg-type]


def test_crop_keeps_the_middle() -> None:
    image = np.zeros((4, 8), np.float32)
    image[:, 2:6] = 1
    assert fit_square(image, 4, "crop").min() == 1


def test_pad_keeps_everything_and_the_aspect_ratio() -> None:
    square = fit_square(np.ones((10, 5), np.float32), 20, "pad")
    assert square.sum() == pytest.approx(200)
    assert square[:, :5].max() == 0


def test_a_squashed_image_gets_its_aspect_ratio_back() -> None:
    square = fit_square(np.ones((8, 8), np.float32), 8, "pad", original=(100, 200))
    assert square.sum(axis=0).tolist() == [0, 0, 8, 8, 8, 8, 0, 0]
    unknown = fit_square(np.ones((8, 8), np.float32), 8, "pad", original=(0, 0))
    assert unknown.min() == 1


@given(SIDES, SIDES, st.integers(1, 64))
def test_crop_covers_and_pad_fits(height: int, width: int, size: int) -> None:
    assert min(inner_size((height, width), size, "crop")) == size
    assert max(inner_size((height, width), size, "pad")) == size


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 x 1"):
        resize(np.ones((2, 2), np.float32), 0, 5)
    with pytest.raises(ValueError, match="stretch, crop or pad"):
        fit_square(np.ones((2, 2), np.float32), 5, "squash")  # type: ignore[arg-type]
