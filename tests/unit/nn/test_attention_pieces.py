"""Attention in pieces equals attention at once, forwards and backwards, and keeps no weights."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from radalign.nn.attention import attend
from radalign.nn.attention_pieces import attend_in_pieces
from radalign.nn.packing import Layout


def plainly(qkv, count, heads):
    """Attention as the definition has it, one sequence and one head at a time."""
    rows = []
    for sequence in qkv.view(count, -1, qkv.shape[1]):
        query, key, value = sequence.chunk(3, dim=1)
        width = query.shape[1] // heads
        outs = []
        for h in range(heads):
            part = slice(h * width, (h + 1) * width)
            weights = (query[:, part] @ key[:, part].T / width**0.5).softmax(-1)
            outs.append(weights @ value[:, part])
        rows.append(torch.cat(outs, 1))
    return torch.cat(rows)


@pytest.mark.parametrize("piece", [0, 1, 2, 5])
def test_pieces_equal_the_definition_and_its_gradient(piece):
    torch.manual_seed(0)
    qkv = torch.randn(5 * 7, 3 * 12, dtype=torch.float64, requires_grad=True)
    grad = torch.randn(5 * 7, 12, dtype=torch.float64)
    want = plainly(qkv, 5, 3)
    (want_grad,) = torch.autograd.grad(want, qkv, grad)
    got = attend_in_pieces(qkv, 5, 3, piece)
    (got_grad,) = torch.autograd.grad(got, qkv, grad)
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(got_grad, want_grad)


def test_the_gradient_is_the_numerical_one():
    torch.manual_seed(1)
    qkv = torch.randn(2 * 3, 3 * 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: attend_in_pieces(x, 2, 2, 1), qkv)


def test_training_on_a_cpu_takes_pieces_for_long_sequences_in_low_precision():
    torch.manual_seed(2)
    qkv = torch.randn(3 * 257, 3 * 16).bfloat16().requires_grad_()
    out = attend(qkv, Layout.even(3, 257), heads=2)
    assert "Pieces" in type(out.grad_fn).__name__
    split = qkv.detach().float().view(3, 257, 3, 2, 8).permute(2, 0, 3, 1, 4)
    want = F.scaled_dot_product_attention(*split).transpose(1, 2).reshape(3 * 257, 16)
    assert (out.float() - want).norm() / want.norm() < 0.01
