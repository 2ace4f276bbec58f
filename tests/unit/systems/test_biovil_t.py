"""BioViL-T: an absent prior is one learned vector, a present one matters, and slots are checked."""

from __future__ import annotations

import pytest
import torch

from radalign.data.batches import BatchError, ImageBatch
from radalign.systems.recipe import RecipeError
from tests.unit.systems.conftest import frontal_batch, rival


def shaken():
    system = rival("biovil-t").eval()
    torch.manual_seed(3)
    for parameter in system.comparison.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return system


def test_without_a_prior_the_difference_is_the_learned_vector_everywhere():
    system = shaken()
    b = frontal_batch(system)
    with torch.no_grad():
        z = system.encode_images(b.images).global_
        tokens = system.vision(b.images.images[1, 0][None, None])
        static = system.narrow_head(tokens[:, 1:]).mean(1)
        both = torch.cat([static, system.missing_prior[None]], -1)
        expected = torch.nn.functional.normalize(system.image_head(both), dim=-1)
    torch.testing.assert_close(z[1:2], expected, atol=1e-5, rtol=0)


def test_a_prior_that_is_there_matters_and_so_does_which_image_is_the_prior():
    system = shaken()
    b = frontal_batch(system)
    both = torch.ones(4, 2, dtype=torch.bool)
    one = system.encode_images(ImageBatch(b.images.images, both)).global_
    other_prior = b.images.images.clone()
    other_prior[:, 1] = 255 - other_prior[:, 1]
    assert (one - system.encode_images(ImageBatch(other_prior, both)).global_).abs().max() > 1e-3
    swapped = system.encode_images(ImageBatch(b.images.images.flip(1), both)).global_
    assert (one - swapped).abs().max() > 1e-3


def test_a_study_does_not_feel_the_priors_of_its_batch():
    system = shaken()
    b = frontal_batch(system)
    together = system.encode_images(b.images).global_
    alone = [
        system.encode_images(ImageBatch(b.images.images[i][None], b.images.view_mask[i][None]))
        for i in range(4)
    ]
    torch.testing.assert_close(torch.cat([z.global_ for z in alone]), together, atol=1e-5, rtol=0)


def test_the_order_of_the_slots_is_read_from_the_recipe():
    plain = shaken()
    turned = rival("biovil-t", 'data.slots=["prior_frontal", "current_frontal"]').eval()
    turned.load_state_dict(plain.state_dict())
    b = frontal_batch(plain)
    flipped = ImageBatch(b.images.images.flip(1), b.images.view_mask.flip(1))
    torch.testing.assert_close(turned.encode_images(flipped).global_, plain.encode_images(b.images).global_)


def test_a_study_without_a_current_frontal_view_is_refused_with_what_to_do():
    system = shaken()
    b = frontal_batch(system)
    with pytest.raises(BatchError, match="needs a current frontal view of every study; drop the others"):
        system.encode_images(ImageBatch(b.images.images, torch.tensor([[False, True]] * 4)))


def test_other_slots_are_refused():
    with pytest.raises(RecipeError, match=r"set data\.slots"):
        rival("biovil-t", 'data.slots=["current_frontal", "current_lateral"]')
