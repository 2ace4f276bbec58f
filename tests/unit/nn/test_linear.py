import copy
import pickle

import torch
import torch.nn.functional as F
from torch import nn

from radalign.nn.linear import Linear


def cast(on=True):
    return torch.autocast("cpu", torch.bfloat16, enabled=on)


def frozen():
    torch.manual_seed(0)
    return Linear(8, 4).requires_grad_(False)


def test_under_autocast_it_equals_the_plain_layer():
    layer, x = frozen(), torch.randn(5, 8)
    with cast():
        assert torch.equal(layer(x), F.linear(x, layer.weight, layer.bias))
    assert torch.equal(layer(x), F.linear(x, layer.weight, layer.bias))


def test_the_copy_is_made_once_and_again_when_the_weight_changes():
    layer, x = frozen(), torch.randn(5, 8)
    with cast():
        first = layer(x)
        copies = layer._copy._copies
        layer(x)
        assert layer._copy._copies is copies
        layer.weight.mul_(2)
        assert torch.equal(layer(x), F.linear(x, layer.weight, layer.bias))
        assert not torch.equal(layer(x), first)
        layer.load_state_dict(frozen().state_dict())
        assert torch.equal(layer(x), first)


def test_what_trains_gets_its_gradient():
    x = torch.randn(5, 8)
    for names in (["weight", "bias"], ["weight"], ["bias"]):
        layer = frozen()
        for name in names:
            getattr(layer, name).requires_grad_(True)
        with cast():
            layer(x).float().sum().backward()
        assert [name for name, p in layer.named_parameters() if p.grad is not None] == names
    scale = torch.ones(4, requires_grad=True)
    with cast():
        frozen()(x, scale).float().sum().backward()
    assert scale.grad is not None


def test_a_frozen_layer_passes_the_gradient_on():
    layer, x = frozen(), torch.randn(5, 8, requires_grad=True)
    with cast():
        layer(x).float().sum().backward()
    torch.testing.assert_close(x.grad, layer.weight.sum(0).expand(5, 8), rtol=0.02, atol=0.02)


def test_the_scale_is_folded_into_the_copy():
    layer, x, scale = frozen(), torch.randn(5, 8), torch.rand(4)
    plain = layer(x, scale)
    torch.testing.assert_close(plain, F.linear(x, layer.weight, layer.bias) * scale)
    with cast():
        torch.testing.assert_close(layer(x, scale).float(), plain, rtol=0.02, atol=0.02)


def test_a_copy_made_in_inference_serves_training():
    layer, x = frozen(), torch.randn(5, 8, requires_grad=True)
    with cast():
        with torch.inference_mode():
            layer(x.detach())
        layer(x).float().sum().backward()
    assert x.grad is not None


def test_the_copy_stays_behind_when_the_layer_is_copied_or_saved():
    layer, x = frozen(), torch.randn(5, 8)
    with cast():
        layer(x)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert twin._copy._copies is None
        assert torch.equal(twin(x), layer(x))
    assert list(layer.state_dict()) == list(nn.Linear(8, 4).state_dict())
