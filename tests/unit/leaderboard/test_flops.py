"""What a step takes, counted: forwards and backwards."""

import torch

from radalign.data.batches import ImageBatch, StudyBatch
from radalign.leaderboard.flops import step_flops
from radalign.systems.base import create
from radalign.train.profile.products import MatrixProducts
from tests.unit.systems.conftest import REPORTS, TINY


def a_step(recipe: str):
    system = create(recipe, TINY)
    images = torch.randint(0, 256, (4, 2, 32, 32), dtype=torch.uint8)
    mask = torch.tensor([[True, True], [True, False], [False, True], [True, True]])
    batch = StudyBatch(ImageBatch(images, mask), system.tokenize(REPORTS))
    with MatrixProducts() as count, torch.no_grad():
        system.train()
        system.total(system.objectives(batch))
    return system, batch, 2 * count.forward


def test_a_step_that_trains_everything_takes_three_times_its_forward_pass():
    system, batch, forward = a_step("clinvla-full")
    assert 2.5 * forward < step_flops(system, [batch]) <= 3.01 * forward
    assert all(p.grad is None for p in system.parameters())


def test_a_step_that_trains_heads_alone_takes_hardly_more_than_its_forward_pass():
    system, batch, forward = a_step("clinvla-heads")
    assert forward < step_flops(system, [batch]) < 1.5 * forward


def test_more_batches_give_their_mean():
    system, batch, _ = a_step("clinvla-heads")
    one = step_flops(system, [batch])
    assert step_flops(system, [batch, batch]) == one
