"""Rendering: what the image is made of, how it is marked, and that it is the same every time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from radalign.data.phantom.case import Acquisition
from radalign.data.phantom.marker import WORD, letters
from radalign.data.phantom.render import positions, render


def test_a_chest_looks_like_a_radiograph(healthy):
    """Dark lungs, bright middle and abdomen, the heart to the left; air before and a body on the lateral."""
    front, side = (render(healthy, 128)[p] for p in ("PA", "LL"))
    lungs = [front[45:75, 22:44].mean(), front[45:75, 84:106].mean()]
    middle, abdomen = front[45:75, 58:68].mean(), front[104:118, 30:100].mean()
    assert max(lungs) < 0.5 < middle
    assert abdomen > max(lungs) + 0.3
    assert front[80:95, 66:84].mean() > front[80:95, 42:56].mean()  # the heart points to the patient's left
    assert side[:, :8].mean() < 0.1  # air in front of the patient
    assert side[60:80, 30:60].mean() > side[60:80, :10].mean() + 0.2


def test_the_word_simulated_is_in_every_image(healthy):
    for marker in (False, True):
        for size in (64, 128, 300):
            for image in render(healthy, size, side_marker=marker).values():
                word = letters(WORD, max(7, round(0.034 * size)))
                height, width = word.shape
                spot = image[size - height - 3 : size - 3, 3 : 3 + width]
                ink = word[: spot.shape[0], : spot.shape[1]]
                assert np.corrcoef(spot.ravel(), ink.ravel())[0, 1] > 0.8


def test_a_side_marker_is_on_the_patients_left(healthy):
    marked, plain = render(healthy, 128, side_marker=True)["PA"], render(healthy, 128)["PA"]
    rows, columns = np.nonzero(marked != plain)
    assert columns.min() > 100
    assert rows.max() < 30


def test_the_same_case_gives_the_same_pixels(healthy):
    first, second = render(healthy, 128), render(healthy, 128)
    for position in first:
        np.testing.assert_array_equal(first[position], second[position])


def test_a_larger_image_shows_the_same_patient(healthy):
    small, large = render(healthy, 128)["PA"], render(healthy, 256)["PA"]
    halved = large.reshape(128, 2, 128, 2).mean((1, 3))
    inner = np.s_[4:118, 4:124]  # without the word and the edges
    assert np.corrcoef(small[inner].ravel(), halved[inner].ravel())[0, 1] > 0.885


def test_without_a_lateral_only_the_frontal_view_is_made(healthy):
    alone = replace(healthy, acquisition=Acquisition("AP", has_lateral=False))
    assert positions(alone) == ("AP",)
    assert list(render(alone, 64)) == ["AP"]


def test_values_are_grey_levels(healthy):
    for image in render(healthy, 128).values():
        assert image.dtype == np.float32
        assert image.min() >= 0
        assert image.max() <= 1


@pytest.mark.parametrize("size", [63, 0, 4096])
def test_a_size_that_cannot_be_made_is_refused_with_a_sentence(healthy, size):
    with pytest.raises(ValueError, match="choose 64 to 2048"):
        render(healthy, size)
