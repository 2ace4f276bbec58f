import pytest
import torch

from radalign.nn.dropout import dropout


def test_the_share_dropped_and_the_scale_of_the_rest_agree():
    torch.manual_seed(0)
    out = dropout(torch.ones(200_000), 0.25)
    assert torch.equal(out.unique(), torch.tensor([0.0, 256 / 192]))
    assert abs((out == 0).float().mean().item() - 0.25) < 0.005
    assert abs(out.mean().item() - 1) < 0.005


@pytest.mark.parametrize("columns", [8, 17])  # a word of eight is a row, or crosses rows
def test_every_place_is_drawn_independently(columns):
    torch.manual_seed(0)
    kept = (dropout(torch.ones(4000, columns), 0.5) != 0).double()
    cov = torch.cov(kept.T)
    assert cov.diagonal().sub(0.25).abs().max() < 0.01
    assert (cov - cov.diagonal().diag()).abs().max() < 0.02


def test_the_gradient_is_the_same_mask():
    torch.manual_seed(0)
    x = torch.ones(1000, requires_grad=True)
    out = dropout(x, 0.1)
    out.sum().backward()
    assert torch.equal(x.grad, out.detach())


def test_draws_repeat_with_the_seed():
    torch.manual_seed(5)
    first = dropout(torch.ones(64), 0.5)
    torch.manual_seed(5)
    assert torch.equal(first, dropout(torch.ones(64), 0.5))
    assert dropout(first, 0.0) is first
