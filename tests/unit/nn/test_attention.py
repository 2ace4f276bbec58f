import pytest
import torch

from radalign.nn.attention import attend
from radalign.nn.packing import Layout, Packed


def slow(qkv, mask, heads, causal=False):
    """Attention as written in the paper: one sequence, one head, one query at a time."""
    width = qkv.shape[-1] // 3
    depth = width // heads
    out = torch.zeros(*qkv.shape[:2], width, dtype=qkv.dtype)
    for b in range(qkv.shape[0]):
        there = mask[b].nonzero()[:, 0].tolist()
        for h in range(heads):
            q, k, v = (qkv[b, :, i * width + h * depth : i * width + (h + 1) * depth] for i in range(3))
            for i in there:
                keys = [j for j in there if j <= i] if causal else there
                weights = torch.softmax(k[keys] @ q[i] / depth**0.5, 0)
                out[b, i, h * depth : (h + 1) * depth] = weights @ v[keys]
    return out


def a_batch(dtype=torch.float64):
    torch.manual_seed(0)
    mask = torch.arange(7) < torch.tensor([7, 3, 1, 3, 5])[:, None]
    return torch.randn(5, 7, 24, dtype=dtype), mask


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("waste", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("trains", [False, True])
def test_packed_attention_equals_the_loop(causal, waste, trains):
    qkv, mask = a_batch()
    layout = Layout.of_mask(mask, waste)
    rows = qkv.flatten(0, 1)[layout.gather].requires_grad_(trains)
    found = Packed(attend(rows, layout, 2, causal), layout).unpack()
    torch.testing.assert_close(found.detach(), slow(qkv, mask, 2, causal), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("waste", [0.0, 1.0])
def test_gradients_equal_those_of_the_loop(causal, waste):
    qkv, mask = a_batch()
    layout, weight = Layout.of_mask(mask, waste), torch.randn(5, 7, 8, dtype=torch.float64)
    fast_in, slow_in = qkv.clone().requires_grad_(), qkv.clone().requires_grad_()
    rows = fast_in.flatten(0, 1)[layout.gather]
    (Packed(attend(rows, layout, 2, causal), layout).unpack() * weight).sum().backward()
    (slow(slow_in, mask, 2, causal) * weight).sum().backward()
    torch.testing.assert_close(fast_in.grad, slow_in.grad, rtol=1e-10, atol=1e-12)


def test_long_sequences_in_training_use_the_other_way_and_agree():
    torch.manual_seed(0)
    qkv, layout = torch.randn(2 * 150, 24), Layout.even(2, 150)
    with torch.no_grad():
        plain = attend(qkv, layout, 2)
    torch.testing.assert_close(attend(qkv.requires_grad_(), layout, 2), plain, rtol=1e-5, atol=1e-6)


def test_dropped_weights_keep_the_mean_and_are_off_at_zero():
    torch.manual_seed(0)
    one = torch.randn(6, 12)
    many = one.repeat(4000, 1).requires_grad_()  # the same sequence 4,000 times
    plain = attend(one, Layout.even(1, 6), 2)
    dropped = attend(many, Layout.even(4000, 6), 2, dropout=0.25).detach().view(4000, 6, 4)
    assert not torch.equal(dropped[0], dropped[1])
    torch.testing.assert_close(dropped.mean(0), plain, rtol=0.0, atol=0.06)
    torch.testing.assert_close(attend(many, Layout.even(4000, 6), 2)[:6].detach(), plain)


def test_no_rows_give_no_rows():
    assert attend(torch.zeros(0, 12), Layout.even(0, 4), 2).shape == (0, 4)
