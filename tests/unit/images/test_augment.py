"""Augmentation: each change does what its name says, alike in any batch, and never turns left into right."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from radalign.images.augment import (
    Change,
    ChangeRanges,
    change_images,
    draw_change,
    resize_images,
    sampling_matrix,
)

RANGES = ChangeRanges(20, 0.1, (0.8, 1.2), 10, (0.7, 1.3), (0.7, 1.3))


def disc(size: int, x: float, y: float, radius: float = 3) -> torch.Tensor:
    """A bright disc at (x, y), in pixels from the top left corner."""
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return (((columns - x) ** 2 + (rows - y) ** 2) <= radius**2).float()


def centre(image: torch.Tensor) -> tuple[float, float]:
    rows, columns = torch.meshgrid(torch.arange(image.shape[0]), torch.arange(image.shape[1]), indexing="ij")
    return float((image * columns).sum() / image.sum()), float((image * rows).sum() / image.sum())


def test_no_change_leaves_the_image_alone():
    image = torch.randint(0, 256, (2, 31, 31), dtype=torch.uint8)
    assert torch.equal(change_images(image, [Change()] * 2, 31), image)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (Change(shift_x=0.25), (40, 16)),
        (Change(shift_y=-0.125), (24, 8)),
        (Change(rotate_deg=90), (46, 24)),
        (Change(scale=1.5), (20.5, 8.5)),
        (Change(shear_deg=45), (39, 16)),
    ],
)
def test_a_disc_moves_to_where_the_change_says(change, wanted):
    # The centre of a 64 px image is 31.5; the disc starts 7.5 px left of it and 15.5 px above it.
    x, y = centre(change_images(disc(64, 24, 16)[None], [change], 64)[0])
    assert (x, y) == pytest.approx(wanted, abs=1.1)


def test_a_turn_is_clockwise_as_seen():
    top = disc(65, 32, 8)[None]
    x, y = centre(change_images(top, [Change(rotate_deg=90)], 65)[0])
    assert x > 50
    assert y == pytest.approx(32, abs=0.5)


def test_brightness_and_contrast_are_the_plain_formulas():
    image = torch.rand(1, 16, 16) * 0.4 + 0.2
    bright = change_images(image, [Change(brightness=1.2)], 16)
    assert torch.allclose(bright, image * 1.2, atol=1e-6)
    flat = change_images(image, [Change(contrast=0.5)], 16)
    assert torch.allclose(flat, image.mean() + 0.5 * (image - image.mean()), atol=1e-6)


def test_the_sampling_grid_is_that_of_affine_grid():
    change = Change(13, 0.1, -0.05, 1.3, 7)
    image = torch.rand(1, 40, 40)
    grid = F.affine_grid(torch.tensor([sampling_matrix(change)]), [1, 1, 40, 40], align_corners=False)
    oracle = F.grid_sample(image[:, None], grid, align_corners=False)[:, 0].clamp(0, 1)
    assert torch.allclose(change_images(image, [change], 40), oracle, atol=1e-5)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_a_change_never_mirrors(seed):
    (a, b, _), (c, d, _) = sampling_matrix(draw_change(np.random.default_rng(seed), RANGES))
    assert a * d - b * c > 0


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_a_draw_stays_in_its_ranges(seed):
    change = draw_change(np.random.default_rng(seed), RANGES)
    assert abs(change.rotate_deg) <= 20
    assert max(abs(change.shift_x), abs(change.shift_y)) <= 0.1
    assert 0.8 <= change.scale <= 1.2
    assert abs(change.shear_deg) <= 10
    assert 0.7 <= min(change.brightness, change.contrast) <= max(change.brightness, change.contrast) <= 1.3


def test_an_image_does_not_depend_on_its_batch():
    images = torch.randint(0, 256, (9, 20, 20), dtype=torch.uint8)
    changes = [draw_change(np.random.default_rng(i), RANGES) for i in range(9)]
    together = change_images(images, changes, 16)
    alone = torch.cat([change_images(images[i : i + 1], changes[i : i + 1], 16) for i in range(9)])
    assert torch.equal(together, alone)


def test_a_larger_cached_image_keeps_its_field_of_view():
    large = F.interpolate(disc(32, 8, 24, 5)[None, None], 64, mode="bilinear")[0]
    small = change_images(large, [Change(shift_x=1e-9)], 32)[0]
    assert centre(small) == pytest.approx((8, 24), abs=0.3)
    assert centre(resize_images(large, 32)[0]) == pytest.approx((8, 24), abs=0.3)


def test_uint8_and_float_agree():
    images = torch.randint(0, 256, (3, 20, 20), dtype=torch.uint8)
    changes = [draw_change(np.random.default_rng(i), RANGES) for i in range(3)]
    bytes_ = change_images(images, changes, 20)
    floats = change_images(images.float() / 255, changes, 20)
    assert (bytes_.float() / 255 - floats).abs().max() <= 0.5 / 255 + 1e-6


def test_each_image_needs_its_change():
    with pytest.raises(ValueError, match="2 images but 1 changes"):
        change_images(torch.zeros(2, 4, 4), [Change()], 4)
