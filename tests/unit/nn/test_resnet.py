"""ResNet: the published form with torch's own batch normalisation is the oracle."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from radalign.nn.resnet import Convolution, ResNet, ResNetConfig


def shaken(module):
    """A module whose weights and running statistics all matter."""
    torch.manual_seed(0)
    for name, tensor in module.named_parameters():
        nn.init.normal_(tensor, 1.0 if name.endswith("gain") else 0.0, 0.2)
    for name, tensor in module.named_buffers():
        tensor.uniform_(0.5, 2.0) if name.endswith("variance") else tensor.normal_(0, 0.2)
    return module


def a_resnet(**more):
    torch.manual_seed(0)
    sizes = {"stem_width": 8, "widths": (16, 32, 64), "depths": (2, 1, 1), **more}
    return shaken(ResNet(ResNetConfig(**sizes)))


@pytest.mark.parametrize("frozen", [True, False])
def test_a_convolution_is_one_followed_by_batch_normalisation(frozen):
    layer, x = shaken(Convolution(3, 5, 3, 2)).requires_grad_(not frozen), torch.randn(2, 3, 9, 7)
    plain = F.conv2d(x, layer.weight, stride=2, padding=1)
    expected = F.batch_norm(plain, layer.mean, layer.variance, layer.gain, layer.bias, eps=1e-5)
    torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-5)


def test_gradients_are_those_of_batch_normalisation_with_fixed_statistics():
    layer, x = shaken(Convolution(3, 5, 3, 2)), torch.randn(2, 3, 9, 7)
    weighted = torch.randn_like(layer(x))
    (layer(x) * weighted).sum().backward()
    ours = [p.grad.clone() for p in layer.parameters()]
    layer.zero_grad()
    plain = F.conv2d(x, layer.weight, stride=2, padding=1)
    out = F.batch_norm(plain, layer.mean, layer.variance, layer.gain, layer.bias, eps=1e-5)
    (out * weighted).sum().backward()
    for mine, parameter in zip(ours, layer.parameters(), strict=True):
        torch.testing.assert_close(mine, parameter.grad, rtol=1e-4, atol=1e-4)


def test_a_frozen_layer_notices_that_its_weights_changed():
    layer, x = shaken(Convolution(1, 2, 1)).requires_grad_(False), torch.ones(1, 1, 2, 2)
    before = layer(x)
    layer.load_state_dict({**layer.state_dict(), "mean": layer.mean + 1})
    assert (layer(x) - before).abs().min() > 0.01


def test_the_pooled_feature_comes_first_and_then_the_places_along_rows():
    tower, images = a_resnet().eval(), torch.randn(2, 3, 64, 32)
    assert tower.patch_px == 16
    with torch.no_grad():
        tokens, places = tower(images), tower.places(images)
    assert tokens.shape == (2, 1 + 4 * 2, 64)
    torch.testing.assert_close(tokens[:, 0], places.mean((2, 3)))
    assert torch.equal(tokens[:, 1 + 2 * 2 + 1], places[:, :, 2, 1])  # third row, second column


@pytest.mark.parametrize(("height", "width"), [(33, 47), (17, 64), (299, 31)])
@pytest.mark.parametrize("first_halves", [False, True])
def test_sides_that_are_no_multiple_round_up(height, width, first_halves):
    tower = a_resnet(first_halves=first_halves)
    rows, columns = -(-height // tower.patch_px), -(-width // tower.patch_px)
    assert tower.places(torch.randn(1, 3, height, width)).shape[2:] == (rows, columns)


@pytest.mark.parametrize("training", [True, False])
def test_images_of_a_batch_do_not_see_each_other(training):
    tower, images = a_resnet().train(training), torch.randn(4, 3, 32, 32)
    statistics = {name: tensor.clone() for name, tensor in tower.named_buffers()}
    torch.testing.assert_close(tower(images)[2:3], tower(images[2:3]), rtol=1e-4, atol=1e-4)
    assert all(torch.equal(tensor, statistics[name]) for name, tensor in tower.named_buffers())


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_grey_images_equal_three_normalised_channels_up_to_the_border(dtype):
    tower = a_resnet(mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))
    grey = (
        torch.rand(2, 1, 32, 32) if dtype == torch.float32 else torch.randint(0, 256, (2, 1, 32, 32)).byte()
    )
    unit = grey / 255 if dtype == torch.uint8 else grey
    mean, std = torch.tensor(tower.mean)[:, None, None], torch.tensor(tower.std)[:, None, None]
    torch.testing.assert_close(tower(grey), tower((unit - mean) / std), rtol=1e-5, atol=1e-5)


def test_under_autocast_frozen_kernels_are_cast_once_and_the_result_is_close():
    tower, images = a_resnet().eval().requires_grad_(False), torch.randint(0, 256, (2, 1, 32, 32)).byte()
    exact = tower(images)
    with torch.autocast("cpu", torch.bfloat16):
        one = tower(images)
        kept = tower.stem._copy._copies
        tower(images)
        assert tower.stem._copy._copies is kept
    assert kept[0].dtype == torch.bfloat16
    assert (one.float() - exact).norm() < 0.03 * exact.norm()


def test_leaving_patches_out_is_refused_with_what_to_do():
    with pytest.raises(ValueError, match=r"cannot leave out patches; set model\.mask_ratio=0"):
        a_resnet()(torch.randn(1, 3, 32, 32), torch.tensor([[0]]))


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        ({"widths": (16, 32)}, "one depth per stage"),
        ({"widths": (2, 32, 64)}, "widths 4 or more"),
        ({"depths": (1, 0, 1)}, "depths and stem must be 1 or more"),
    ],
)
def test_impossible_sizes_are_refused(sizes, sentence):
    with pytest.raises(ValueError, match=sentence):
        a_resnet(**sizes)


def test_the_defaults_are_those_of_resnet_50():
    """25,557,032 parameters with the classifier (torchvision's count), which has 2048 * 1000 + 1000."""
    with torch.device("meta"):
        tower = ResNet(ResNetConfig())
    assert sum(p.numel() for p in tower.parameters()) == 25_557_032 - 2_049_000
