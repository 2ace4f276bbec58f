import pytest
import torch
import torch.nn.functional as F

from radalign.nn.adapters import (
    Bottleneck,
    InvertibleAdapter,
    ParallelAdapter,
    SequentialAdapter,
    StackedAdapter,
)


def count(*modules):
    return sum(p.numel() for module in modules for p in module.parameters())


def test_parameter_counts_are_the_published_ones():
    assert count(Bottleneck(768, 64)) == 99_136
    assert count(*(StackedAdapter(768) for _ in range(12))) == 2_379_264
    assert count(InvertibleAdapter(768)) == 296_064
    assert count(InvertibleAdapter(768), *(StackedAdapter(768) for _ in range(12))) == 2_675_328
    assert count(SequentialAdapter(768)) == count(ParallelAdapter(768)) == 295_872
    assert 12 * count(SequentialAdapter(768), ParallelAdapter(768)) == 7_100_928


def test_a_bottleneck_is_down_activation_up():
    torch.manual_seed(0)
    x = torch.randn(5, 16)
    for kind, function in (("relu", F.relu), ("gelu", F.gelu)):
        a = Bottleneck(16, 4, kind, "xavier")
        by_hand = function(x @ a.down.weight.T + a.down.bias) @ a.up.weight.T + a.up.bias
        torch.testing.assert_close(a(x), by_hand)


def test_zero_starts_as_nothing_and_he_has_its_spread():
    torch.manual_seed(0)
    x = torch.randn(5, 512)
    assert torch.equal(Bottleneck(512, 64)(x), torch.zeros(5, 512))
    he = Bottleneck(512, 256, "relu", "he")
    assert he.down.weight.std().item() == pytest.approx((2 / 512) ** 0.5, rel=0.02)
    assert he.up.weight.std().item() == pytest.approx((2 / 256) ** 0.5, rel=0.02)
    assert he.up.bias.abs().sum() == 0
    xavier = Bottleneck(512, 256, "gelu", "xavier")
    assert xavier.down.weight.abs().max().item() == pytest.approx((6 / 768) ** 0.5, rel=0.01)


def test_the_stack_follows_its_equations_with_each_part_removable():
    torch.manual_seed(0)
    h, r = torch.randn(5, 16), torch.randn(5, 16)
    both = StackedAdapter(16, 4, init="he")
    la = both.language(h) + r
    torch.testing.assert_close(both(h, r), both.task(la) + r)
    language = StackedAdapter(16, 4, task=False, init="he")
    torch.testing.assert_close(language(h, r), language.language(h) + r)
    task = StackedAdapter(16, 4, language=False, init="he")
    torch.testing.assert_close(task(h, r), task.task(h) + r)
    assert torch.equal(StackedAdapter(16, 4, language=False, task=False)(h, r), r)
    assert torch.equal(StackedAdapter(16, 4)(h, r), r)


def test_the_language_part_learns_only_once_the_task_part_has_moved():
    stack, x = StackedAdapter(16, 4), torch.randn(5, 16)
    stack(x, x).square().sum().backward()
    assert stack.task.up.weight.grad.abs().sum() > 0
    assert all(p.grad.abs().sum() == 0 for p in stack.language.parameters())


@pytest.mark.parametrize("width", [16, 384, 768])
def test_the_invertible_adapter_inverts(width):
    torch.manual_seed(0)
    adapter, e = InvertibleAdapter(width, "he"), torch.randn(64, width)
    with torch.no_grad():
        assert (adapter.inverse(adapter(e)) - e).abs().max() < 1e-5
        assert (adapter(adapter.inverse(e)) - e).abs().max() < 1e-5
        assert not torch.allclose(adapter(e), e)


def test_the_invertible_adapter_follows_its_equations_and_starts_as_identity():
    torch.manual_seed(0)
    adapter, e = InvertibleAdapter(16, "he"), torch.randn(5, 16)
    o1 = adapter.f(e[:, 8:]) + e[:, :8]
    torch.testing.assert_close(adapter(e), torch.cat([o1, adapter.g(o1) + e[:, 8:]], 1))
    assert torch.equal(InvertibleAdapter(16)(e), e)


def test_its_jacobian_keeps_volume():
    """A coupling of this form has determinant one: it neither loses nor makes information."""
    torch.manual_seed(0)
    adapter = InvertibleAdapter(8, "he").double()
    jacobian = torch.autograd.functional.jacobian(adapter, torch.randn(8, dtype=torch.float64))
    assert torch.linalg.det(jacobian).item() == pytest.approx(1.0)


def test_a_width_that_cannot_be_quartered_is_refused():
    with pytest.raises(ValueError, match="a width that 4 divides, not 6"):
        InvertibleAdapter(6)
