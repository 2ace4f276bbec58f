"""ResNet: a convolutional tower that speaks like a vision transformer, pooled feature first, then its places.

    images [N, 3, H, W] -> 7 x 7 convolution, 3 x 3 maximum -> stages of residual blocks -> [N, D, h, w]
    -> tokens [N, 1 + h w, D]: the mean over all places, then the places of the last stage along rows

Every normalisation uses the published running statistics, in training too: batches here are small, and an
embedding must not depend on its neighbours in the batch. Gains and biases train with the kernels. Statistics
that never move are a fixed scale and shift per channel, so they are multiplied into the kernel before it.

References: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, table 1. The stride
    stands in a bottleneck's 3 x 3 convolution unless `stride_first`, as in the weights published today.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from radalign.nn.linear import FrozenCopy, Tensors, autocast_dtype
from radalign.nn.vision import IMAGENET_MEAN, IMAGENET_STD

NARROWER = 4  # a bottleneck's inner width is a quarter of its outer one
NORM_EPS = 1e-5


@dataclass(frozen=True)
class ResNetConfig:
    """The sizes and habits of a ResNet; the defaults are ResNet-50's.

    Attributes:
        stem_width: Channels after the first convolution.
        widths: Channels after each stage; the last is D.
        depths: Blocks of each stage.
        block: `bottleneck` (1 x 1, 3 x 3, 1 x 1) or `basic` (3 x 3 twice, ResNet-18 and -34).
        first_halves: Whether the first stage halves the sides too, as every later one does.
        stride_first: Whether a bottleneck's first 1 x 1 convolution halves the sides, not its 3 x 3.
        mean: The published mean of each colour channel, for images in 0..1.
        std: The published standard deviation of each colour channel.
    """

    stem_width: int = 64
    widths: tuple[int, ...] = (256, 512, 1024, 2048)
    depths: tuple[int, ...] = (3, 4, 6, 3)
    block: Literal["bottleneck", "basic"] = "bottleneck"
    first_halves: bool = False
    stride_first: bool = False
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    projection: ClassVar[int] = 0  # no published joint space

    def __post_init__(self) -> None:
        if not self.widths or len(self.widths) != len(self.depths):
            raise ValueError(
                f"A ResNet needs one depth per stage, not widths {list(self.widths)} and depths "
                f"{list(self.depths)}; give as many of both."
            )
        least = NARROWER if self.block == "bottleneck" else 1
        if min(self.stem_width, *self.depths) < 1 or min(self.widths) < least:
            raise ValueError(
                f"A ResNet's depths and stem must be 1 or more and its widths {least} or more; give others."
            )

    @property
    def patch_px(self) -> int:
        """The side of the image part that belongs to one place of the last stage.

        >>> ResNetConfig().patch_px
        32
        """
        return 4 << (len(self.widths) - 1 + self.first_halves)


class Convolution(nn.Module):
    """A convolution and its normalisation by running statistics, as one: [N, I, H, W] -> [N, O, h, w].

    Odd sides round up where the stride halves them.

    Attributes:
        weight: The kernel [O, I, k, k], trainable.
        gain: [O], trainable.
        bias: [O], trainable.
        mean: [O], published, never moves.
        variance: [O], published, never moves.

    >>> layer = Convolution(1, 1, 1).requires_grad_(False)
    >>> _ = layer.weight.fill_(2.0), layer.mean.fill_(1.0), layer.variance.fill_(4 - NORM_EPS)
    >>> layer(torch.full((1, 1, 1, 1), 3.0)).item()  # (2 * 3 - 1) / sqrt(4)
    2.5
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, width_in: int, width_out: int, size: int, stride: int = 1) -> None:
        super().__init__()
        self.stride, self.padding = stride, size // 2
        self.weight = nn.Parameter(torch.empty(width_out, width_in, size, size))
        self.gain = nn.Parameter(torch.ones(width_out))
        self.bias = nn.Parameter(torch.zeros(width_out))
        self.register_buffer("mean", torch.zeros(width_out))
        self.register_buffer("variance", torch.ones(width_out))
        self._copy = FrozenCopy(_folded)
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and normalise x [N, I, H, W]; without activation."""
        sources = (self.weight, self.gain, self.bias, self.mean, self.variance)
        if any(source.requires_grad for source in sources):
            weight, bias = _folded(*sources)
        else:  # as with every frozen matrix, made once
            dtype = autocast_dtype(x.device) or self.weight.dtype
            x = x.to(dtype)
            weight, bias = self._copy.of(dtype, *sources)
        return F.conv2d(x, weight, bias, self.stride, self.padding)


class Residual(nn.Module):
    """One residual block, basic or bottleneck: relu(branch + shortcut), [N, I, H, W] -> [N, O, h, w]."""

    def __init__(self, config: ResNetConfig, width_in: int, width_out: int, stride: int) -> None:
        super().__init__()
        plain = width_in == width_out and stride == 1
        self.shortcut = None if plain else Convolution(width_in, width_out, 1, stride)
        if config.block == "basic":
            layers = [Convolution(width_in, width_out, 3, stride), Convolution(width_out, width_out, 3)]
        else:
            inner = width_out // NARROWER
            first, second = (stride, 1) if config.stride_first else (1, stride)
            layers = [
                Convolution(width_in, inner, 1, first),
                Convolution(inner, inner, 3, second),
                Convolution(inner, width_out, 1),
            ]
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        """The activation of the sum."""
        branch = x
        for layer in self.layers[:-1]:
            branch = F.relu(layer(branch))
        return F.relu(self.layers[-1](branch) + (x if self.shortcut is None else self.shortcut(x)))


class ResNet(nn.Module):
    """A ResNet whose tokens are its pooled feature and the places of its last stage.

    Attributes:
        width: D.
        patch_px: The side of the image part that belongs to one place; a border that is narrower counts too.
        depth: The number of stages.
        mean: The published normalisation, for images in 0..1.
        std: The published normalisation.
        name: What the encoder is called.
        identity: The name and the SHA-256 of the published weights; empty until weights are loaded.
        projection: None: there is no published joint space.
    """

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        self.config = config
        self.width, self.patch_px, self.depth = config.widths[-1], config.patch_px, len(config.depths)
        self.mean, self.std = config.mean, config.std
        self.name = self.identity = ""
        self.projection: nn.Module | None = None
        self.stem = Convolution(3, config.stem_width, 7, 2)
        self.stages = nn.ModuleList(_stage(config, number) for number in range(self.depth))

    def forward(self, images: Tensor, keep: Tensor | None = None) -> Tensor:
        """Encode images.

        Args:
            images: float [N, 3, H, W], normalised by `mean` and `std`; or grey [N, 1, H, W], not normalised,
                float in 0..1 or uint8.
            keep: None; a convolution cannot leave places out.

        Returns:
            float [N, 1 + P, D]: the mean over the last stage's places, then the places along rows. P is
            h * w, where h and w are H and W over `patch_px`, rounded up.

        Raises:
            ValueError: Some patches only are asked for.
        """
        if keep is not None:
            raise ValueError(
                "A ResNet sees whole images and cannot leave out patches; set model.mask_ratio=0, or name a "
                "vision transformer in backbones.vision."
            )
        places = self.places(images).flatten(2).transpose(1, 2)  # [N, D, h, w] -> [N, P, D]
        return torch.cat([places.mean(1, keepdim=True), places], 1)

    def places(self, images: Tensor) -> Tensor:
        """The last stage's output [N, D, h, w]. `images` as in `forward`."""
        x = images if images.shape[1] == 3 else self._normalised(images)
        x = F.max_pool2d(F.relu(self.stem(x)), 3, 2, 1)
        for stage in self.stages:
            x = stage(x)
        return x

    def _normalised(self, images: Tensor) -> Tensor:
        """Grey pixels as three published channels: [N, 1, H, W] -> [N, 3, H, W].

        The vision transformer folds this into its first matrix. Here the first convolution pads with zeros,
        which mean the published grey, so that folding would change the borders.
        """
        dtype = self.stem.weight.dtype
        unit = images.to(dtype) / 255 if images.dtype == torch.uint8 else images.to(dtype)
        mean, std = (unit.new_tensor(three)[:, None, None] for three in (self.mean, self.std))  # [3, 1, 1]
        return (unit - mean) / std


def _stage(config: ResNetConfig, number: int) -> nn.Sequential:
    """The blocks of a stage, of which the first changes the width and halves the sides."""
    width_in = config.widths[number - 1] if number else config.stem_width
    width, stride = config.widths[number], 2 if number or config.first_halves else 1
    first = Residual(config, width_in, width, stride)
    return nn.Sequential(
        first, *(Residual(config, width, width, 1) for _ in range(config.depths[number] - 1))
    )


def _folded(weight: Tensor, gain: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensors:
    """Kernel [O, I, k, k] and bias [O] of a convolution followed by gain * (y - mean) / deviation + bias."""
    scale = gain * torch.rsqrt(variance + NORM_EPS)  # [O]
    return weight * scale[:, None, None, None], bias - mean * scale
