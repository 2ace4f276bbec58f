"""The bias inside the product gives the numbers of the plain layer, forwards and backwards."""

import pytest
import torch
import torch.nn.functional as F

from radalign.nn import fused_bias
from radalign.nn.fused_bias import frozen_linear
from radalign.nn.linear import Linear
from radalign.train.profile.products import MatrixProducts


def operands(dtype=torch.bfloat16, shape=(6, 5, 32), width=24):
    torch.manual_seed(0)
    x = torch.randn(*shape, dtype=dtype, requires_grad=True)
    return x, torch.randn(width, shape[-1], dtype=dtype), torch.randn(width, dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_it_equals_the_layer_in_double_precision_within_the_rounding_of_its_dtype(dtype):
    x, weight, bias = operands(dtype)
    expected = F.linear(x.double(), weight.double(), bias.double())
    for given in (x, x[:, ::2], x.transpose(0, 1), x[0, 0]):
        found = frozen_linear(given, weight, bias)
        wanted = F.linear(given.double(), weight.double(), bias.double())
        assert found.dtype == dtype
        assert found.shape == wanted.shape
        torch.testing.assert_close(found.double(), wanted, rtol=0.01, atol=0.02)
    assert expected.abs().max() > 1


def test_the_input_gets_the_gradient_of_the_plain_layer_and_nothing_else_does():
    x, weight, bias = operands()
    frozen_linear(x, weight, bias).sum().backward()
    mine, x.grad = x.grad, None
    F.linear(x, weight, bias).sum().backward()
    torch.testing.assert_close(mine, x.grad)
    assert weight.grad is None
    assert bias.grad is None


def test_without_the_library_or_a_bias_it_is_the_plain_layer(monkeypatch):
    x, weight, bias = operands()
    assert torch.equal(frozen_linear(x, weight, None), F.linear(x, weight))
    monkeypatch.setattr(fused_bias, "_FUSED", None)
    assert torch.equal(frozen_linear(x, weight, bias), F.linear(x, weight, bias))


def test_no_rows_give_no_rows():
    x, weight, bias = operands(shape=(0, 32))
    assert frozen_linear(x, weight, bias).shape == (0, 24)


def test_whoever_counts_products_sees_a_frozen_layer_in_any_precision():
    layer = Linear(32, 24).requires_grad_(False)
    x = torch.randn(6, 32, requires_grad=True)
    counts = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled), MatrixProducts() as count:
            out = layer(x)
        out.float().sum().backward()
        counts.append((count.forward, count.backward))
    assert counts == [(6 * 32 * 24, 6 * 32 * 24)] * 2
