"""The image decoder of masked record modelling: kept tokens in, pixels of every patch (2x) out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from radalign.nn.linear import Linear
from radalign.nn.packing import Layout, Packed
from radalign.nn.transformer import Transformer, TransformerConfig
from radalign.nn.vision import sincos_positions


class ImageDecoder(nn.Module):
    """MRM's decoder: Linear, mask tokens, fixed positions, pre-LN blocks, LayerNorm, Linear to pixels.

    Args:
        width: D of the encoder and of the decoder.
        grid: Patches along each side.
        target_px: Side of a target patch (32 for 16-pixel patches at twice the resolution).
        depth: Blocks.
        heads: Attention heads.
        channels: Channels of a target pixel.

    References:
        MRM (Zhou et al., ICLR 2023); MAE (He et al., CVPR 2022), section 3.

    >>> sum(p.numel() for p in ImageDecoder(768, 14, 32).parameters())
    31458048
    """

    def __init__(
        self, width: int, grid: int, target_px: int, depth: int = 4, heads: int = 6, channels: int = 3
    ) -> None:
        super().__init__()
        self.embed = Linear(width, width)
        self.mask_token = nn.Parameter(torch.randn(width) * 0.02)
        self.position = nn.Parameter(sincos_positions(width, grid), requires_grad=False)  # [1 + P, D]
        self.transformer = Transformer(TransformerConfig(width, depth, heads, 4 * width))
        self.norm = nn.LayerNorm(width, 1e-6)
        self.predict = Linear(width, target_px**2 * channels)

    def forward(self, tokens: Tensor, keep: Tensor) -> Tensor:
        """Predict every patch.

        Args:
            tokens: [N, 1 + K, D] of the encoder, CLS first.
            keep: [N, K] which patches they are.

        Returns:
            [N, P, target_px * target_px * channels].
        """
        x = self.embed(tokens)
        patches = self.position.shape[0] - 1
        full = self.mask_token.to(x.dtype).expand(len(x), patches, -1)  # [N, P, D]
        full = full.scatter(1, keep[..., None].expand(-1, -1, x.shape[-1]), x[:, 1:])
        full = torch.cat([x[:, :1], full], 1) + self.position.to(x.dtype)  # [N, 1 + P, D]
        layout = Layout.even(len(full), full.shape[1], full.device)
        out = self.transformer(Packed(full.flatten(0, 1), layout)).unpack()
        predicted: Tensor = self.predict(self.norm(out[:, 1:]))
        return predicted
