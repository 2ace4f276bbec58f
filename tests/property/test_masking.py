import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from radalign.nn.masking import foreground_keep, kept_count, random_keep

ratios = st.floats(0, 1, allow_nan=False)


@settings(deadline=None)
@given(st.integers(0, 6), st.integers(1, 300), ratios)
def test_kept_patches_are_distinct_sorted_places(count, patches, ratio):
    keep = random_keep(count, patches, ratio)
    assert keep.shape == (count, kept_count(patches, ratio))
    assert (keep[:, 1:] > keep[:, :-1]).all()
    assert ((keep >= 0) & (keep < patches)).all()


@given(st.integers(1, 2000), ratios)
def test_the_share_kept_is_within_one_patch_of_what_was_asked(patches, ratio):
    kept = kept_count(patches, ratio)
    assert 1 <= kept <= patches
    assert abs(kept - patches * (1 - ratio)) <= 1


@given(st.sampled_from([0.1, 0.25, 0.5, 0.75, 0.9]), st.integers(1, 40))
def test_whole_shares_are_not_lost_to_rounding(ratio, times):
    patches = 20 * times
    assert kept_count(patches, ratio) == round(patches * (1 - ratio))


def test_every_patch_is_kept_equally_often_and_views_differ():
    generator = torch.Generator().manual_seed(0)
    keep = random_keep(8000, 16, 0.75, generator)
    share = torch.bincount(keep.flatten(), minlength=16) / 8000
    assert (share - 0.25).abs().max() < 0.02  # four standard deviations of a share
    assert len(torch.unique(keep, dim=0)) > 1500  # of 1,820 possible


def test_a_generator_repeats_a_draw():
    one = random_keep(3, 64, 0.5, torch.Generator().manual_seed(3))
    assert torch.equal(one, random_keep(3, 64, 0.5, torch.Generator().manual_seed(3)))
    assert not torch.equal(one, random_keep(3, 64, 0.5, torch.Generator().manual_seed(4)))


@pytest.mark.parametrize("ratio", [-0.1, 1.1])
def test_a_ratio_outside_0_and_1_is_refused(ratio):
    with pytest.raises(ValueError, match="between 0 and 1"):
        kept_count(10, ratio)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 3), st.integers(1, 5), st.integers(1, 5), ratios, st.integers(0, 99))
def test_foreground_draws_are_distinct_sorted_places_too(count, rows, columns, ratio, seed):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(count, 1, rows * 4, columns * 4, generator=generator)
    keep = foreground_keep(images, 4, ratio, generator)
    assert keep.shape == (count, kept_count(rows * columns, ratio))
    assert (keep[:, 1:] > keep[:, :-1]).all()
    assert ((keep >= 0) & (keep < rows * columns)).all()


def test_foreground_is_preferred_and_background_is_possible():
    generator = torch.Generator().manual_seed(0)
    image = torch.zeros(1, 1, 32, 32)
    image[..., :16, :] = torch.rand(16, 32, generator=generator)  # the upper 32 of 64 patches have contrast
    keep = foreground_keep(image.expand(4000, 1, 32, 32), 4, 0.75, generator)
    upper = (keep < 32).float().mean().item()
    assert 0.9 < upper < 0.999


def test_a_blank_image_is_drawn_evenly():
    generator = torch.Generator().manual_seed(0)
    keep = foreground_keep(torch.full((8000, 1, 16, 16), 7, dtype=torch.uint8), 4, 0.75, generator)
    share = torch.bincount(keep.flatten(), minlength=16) / 8000
    assert (share - 0.25).abs().max() < 0.02
