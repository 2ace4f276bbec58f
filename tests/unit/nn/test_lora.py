"""Low-rank updates: nothing at the start, the written formula afterwards, and nothing lost by merging."""

from __future__ import annotations

import pytest
import torch

from radalign.nn.linear import Linear
from radalign.nn.lora import LowRank


def shaken(linear: Linear, **kwargs) -> LowRank:
    torch.manual_seed(1)
    low_rank = LowRank(linear.in_features, linear.out_features, **kwargs)
    torch.nn.init.normal_(low_rank.up)
    linear.low_rank = low_rank
    return low_rank


def test_an_update_starts_at_nothing():
    torch.manual_seed(0)
    linear, x = Linear(6, 12), torch.randn(5, 6)
    before = linear(x)
    linear.low_rank = LowRank(6, 12, rank=2, parts=(0, 2), of=3)
    assert torch.equal(linear(x), before)


def test_the_update_is_alpha_over_rank_up_down_in_the_chosen_parts_only():
    linear, x = Linear(6, 12), torch.randn(5, 6)
    low_rank = shaken(linear, rank=2, alpha=3.0, parts=(0, 2), of=3)
    delta = (linear(x) - torch.nn.functional.linear(x, linear.weight, linear.bias)).detach()
    for place, part in ((0, slice(0, 4)), (1, slice(8, 12))):
        expected = 3.0 / 2 * (x @ low_rank.down[place].T) @ low_rank.up[place].T
        torch.testing.assert_close(delta[:, part], expected.detach(), atol=1e-5, rtol=0)
    assert torch.equal(delta[:, 4:8], torch.zeros(5, 4))


@pytest.mark.parametrize("kwargs", [{"parts": (0, 2), "of": 3}, {}])
def test_a_merged_layer_gives_the_same_results(kwargs):
    linear, x = Linear(6, 12), torch.randn(5, 6)
    low_rank = shaken(linear, rank=3, **kwargs)
    before = linear(x)
    low_rank.merge_into(linear)
    assert linear.low_rank is None
    torch.testing.assert_close(linear(x), before, atol=1e-5, rtol=0)


def test_layer_scale_scales_the_update_too():
    linear, x, scale = Linear(6, 6), torch.randn(5, 6), torch.rand(6)
    shaken(linear, rank=2)
    torch.testing.assert_close(linear(x, scale), linear(x) * scale)


def test_the_update_trains_while_the_low_precision_copy_of_the_weight_stays():
    linear = Linear(6, 6).requires_grad_(False)
    low_rank = shaken(linear, rank=2)
    with torch.autocast("cpu", torch.bfloat16):
        linear(torch.randn(5, 6)).float().sum().backward()
    assert low_rank.down.grad is not None
    assert linear.weight.grad is None


def test_parts_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match=r"Parts \[3\] of 3 .* choose parts in 0..2"):
        LowRank(6, 12, parts=(3,), of=3)
