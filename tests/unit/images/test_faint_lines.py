"""Writing over bright places is found; what only resembles it is not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from radalign.images.burned_in import clean
from radalign.images.faint_lines import find_faint_lines
from radalign.images.strokes import Box, find_by_edges

SIDE = 400


def tissue(grain: float = 2.0, seed: int = 0) -> np.ndarray:
    """Bright, smooth, with a slope and a little grain: uint8 [400, 400]."""
    slope = np.linspace(120, 190, SIDE)[None, :] + np.linspace(0, 20, SIDE)[:, None]
    noise = np.random.default_rng(seed).normal(0, grain, (SIDE, SIDE))
    return np.clip(slope + noise, 0, 255).astype(np.uint8)


def written(image: np.ndarray, text: str, at: tuple[int, int], shade: int, height: int = 15):
    """The image with a text on it, and the text's ink."""
    stencil = Image.new("L", image.shape[::-1])
    ImageDraw.Draw(stencil).text(at, text, 255, ImageFont.load_default(size=height))
    ink = np.asarray(stencil) > 127
    out = image.copy()
    out[ink] = shade
    return out, ink


def covers(boxes: list[Box], ink: np.ndarray) -> float:
    """The share of the ink inside the boxes."""
    inside = np.zeros(ink.shape, bool)
    for box in boxes:
        inside[box.top : box.bottom, box.left : box.right] = True
    return float(inside[ink].mean())


@settings(max_examples=20, deadline=None)
@given(
    number=st.integers(10**6, 10**7 - 1),
    left=st.integers(20, 180),
    top=st.integers(20, 360),
    height=st.integers(12, 20),
)
def test_a_record_number_over_bright_tissue_is_found_wherever_it_is(number, left, top, height):
    image, ink = written(tissue(), f"{number} 08.04.2019", (left, top), 245, height)
    assert covers(find_faint_lines(image), ink) > 0.9


def test_it_is_found_where_strong_edges_are_not_and_masked():
    image, ink = written(tissue(), "5600228  08.04.2019", (200, 370), 232)
    assert covers(find_by_edges(image), ink) < 0.5
    cleaned = clean(image)
    assert (cleaned.image != image)[ink].mean() > 0.9
    assert (cleaned.image != image)[~ink].mean() < 0.05


def test_dark_letters_on_bright_tissue_are_found():
    image, ink = written(tissue(), "5600228  08.04.2019", (60, 200), 100)
    assert covers(find_faint_lines(image), ink) > 0.9


@pytest.mark.parametrize("grain", [0.0, 2.0, 8.0, 20.0])
def test_grain_is_no_writing(grain):
    assert find_faint_lines(tissue(grain)) == []


def test_a_wire_and_a_stack_of_ribs_are_no_writing():
    image = tissue()
    image[200:203, 20:380] = 230
    for row in range(40, 160, 12):
        image[row : row + 3, 60:340] = np.linspace(140, 220, 280).astype(np.uint8)
    assert find_faint_lines(image) == []


def test_a_small_image_without_anything_gives_nothing():
    assert find_faint_lines(np.zeros((1, 1), np.uint8)) == []
    assert find_faint_lines(np.full((30, 8), 90, np.uint8)) == []
