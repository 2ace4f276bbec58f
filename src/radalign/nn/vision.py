"""Vision transformers: ViT, DINOv2 and CLIP's image tower, embedding only the patches that are kept.

    images [N, 3, H, W] -> kept patches [N, K, p * p * 3] -> one matmul -> + position -> CLS first -> blocks
    -> norm

The caller passes only the views that are present. Patches are dropped before anything is computed on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from radalign.nn.linear import Linear
from radalign.nn.packing import Layout, Packed
from radalign.nn.transformer import Transformer, TransformerConfig

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class VisionConfig:
    """The sizes and habits of a vision encoder.

    Attributes:
        transformer: The blocks.
        patch_px: The side of a patch.
        image_px: The side of the image that the position grid was made for.
        position: `learned`, or `sincos` for the fixed two-dimensional sine-cosine grid of MAE and MRM.
        patch_bias: Whether the patch embedding has a bias (CLIP's has none).
        norm_first: Whether a LayerNorm follows the embeddings (CLIP).
        projection: The width of the published joint space after the final norm, or 0 for none (CLIP).
        mean: The published mean of each colour channel, for images in 0..1.
        std: The published standard deviation of each colour channel.
    """

    transformer: TransformerConfig
    patch_px: int
    image_px: int
    position: Literal["learned", "sincos"] = "learned"
    patch_bias: bool = True
    norm_first: bool = False
    projection: int = 0
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD


class VisionEncoder(nn.Module):
    """A vision transformer whose CLS token comes first.

    Attributes:
        width: D.
        patch_px: The side of a patch.
        depth: The number of blocks.
        grid: The patches along each side of an image of the published size.
        mean: The published normalisation, for images in 0..1.
        std: The published normalisation.
        name: What the encoder is called.
        identity: The name and the SHA-256 of the published weights; empty until weights are loaded.
        embedding_adapter: `f(tokens [T, D]) -> [T, D]` after the embeddings; None costs nothing.
        projection: CLIP's map into its joint space, for the CLS token; None elsewhere.
    """

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        self.width, self.patch_px = config.transformer.width, config.patch_px
        self.depth = config.transformer.depth
        self.grid = config.image_px // config.patch_px
        self.mean, self.std = config.mean, config.std
        self.name = self.identity = ""
        eps = config.transformer.norm_eps
        self.patch = Linear(3 * self.patch_px**2, self.width, config.patch_bias)
        self.cls = nn.Parameter(torch.zeros(self.width))
        self.position = nn.Parameter(self._initial_position(), requires_grad=config.position == "learned")
        self.first_norm = nn.LayerNorm(self.width, eps) if config.norm_first else None
        self.embedding_adapter: nn.Module | None = None
        self.transformer = Transformer(config.transformer)
        self.norm = nn.LayerNorm(self.width, eps)
        self.projection = Linear(self.width, config.projection, False) if config.projection else None

    def forward(self, images: Tensor, keep: Tensor | None = None, extra: Tensor | None = None) -> Tensor:
        """Encode images.

        Args:
            images: float [N, 3, H, W], normalised by `mean` and `std`; or grey [N, 1, H, W], not normalised,
                float in 0..1 or uint8, whose normalisation is folded into the patch embedding.
            keep: LongTensor [N, K], the patches to keep, counted along rows; None keeps all.
            extra: float [N, D], added to every token of an image (view and time embeddings).

        Returns:
            float [N, 1 + K, D] after the final norm; CLS first, then the patches in the order of `keep`.
        """
        return self.finish(self.transformer(self.embed(images, keep, extra)))

    def embed(self, images: Tensor, keep: Tensor | None = None, extra: Tensor | None = None) -> Packed:
        """Everything before the first block: tokens [N * (1 + K), D]. Arguments as in `forward`."""
        grid = (images.shape[-2] // self.patch_px, images.shape[-1] // self.patch_px)
        return self.arrange(self.embed_patches(images, keep), grid, keep, extra)

    def embed_patches(self, images: Tensor, keep: Tensor | None = None) -> Tensor:
        """Embed the kept patches, without position: [N, K, D]. Arguments as in `forward`."""
        if images.shape[-2] % self.patch_px or images.shape[-1] % self.patch_px:
            raise ValueError(
                f"An image of {images.shape[-2]} x {images.shape[-1]} px is not a grid of {self.patch_px} px "
                f"patches; resize it to a multiple of {self.patch_px}."
            )
        pixels = kept_patches(images, self.patch_px, keep)
        if images.shape[1] == 3:
            embedded: Tensor = self.patch(pixels)
            return embedded
        weight, bias = self._grey_weights(255.0 if images.dtype == torch.uint8 else 1.0)
        return F.linear(pixels.to(weight.dtype), weight, bias)

    def arrange(
        self, patches: Tensor, grid: tuple[int, int], keep: Tensor | None = None, extra: Tensor | None = None
    ) -> Packed:
        """Add positions, CLS and `extra` to embedded patches [N, K, D], then norm and adapt."""
        position = self.positions(grid)  # [1 + P, D]
        chosen = position[1:] if keep is None else position[1:][keep]  # -> [P, D] or [N, K, D]
        cls = (self.cls + position[0]).expand(len(patches), 1, -1)  # [D] -> [N, 1, D]
        tokens = torch.cat([cls.to(patches.dtype), patches + chosen.to(patches.dtype)], 1)
        tokens = tokens if extra is None else tokens + extra[:, None].to(tokens.dtype)
        layout = Layout.even(tokens.shape[0], tokens.shape[1], tokens.device)
        flat = tokens.flatten(0, 1)  # [N, 1 + K, D] -> [T, D]
        flat = flat if self.first_norm is None else self.first_norm(flat)
        return Packed(flat if self.embedding_adapter is None else self.embedding_adapter(flat), layout)

    def finish(self, packed: Packed) -> Tensor:
        """The final norm of tokens [T, D] -> [N, 1 + K, D]."""
        return packed.replace(self.norm(packed.tokens)).unpack()

    def positions(self, grid: tuple[int, int]) -> Tensor:
        """Position embeddings [1 + P, D] for a grid of (rows, columns), interpolated if need be."""
        if grid == (self.grid, self.grid):
            return self.position
        square = self.position[1:].float().view(1, self.grid, self.grid, self.width)  # [P, D] -> [1, g, g, D]
        resized = F.interpolate(square.permute(0, 3, 1, 2), grid, mode="bicubic", align_corners=False)
        return torch.cat(
            [self.position[:1], resized.flatten(2)[0].T.to(self.position.dtype)]
        )  # -> [1 + P, D]

    def _initial_position(self) -> Tensor:
        if self.config.position == "sincos":
            return sincos_positions(self.width, self.grid)
        return torch.randn(1 + self.grid**2, self.width) * 0.02

    def _grey_weights(self, white: float) -> tuple[Tensor, Tensor | None]:
        """Patch weights [D, p * p] and bias [D] for grey pixels in 0..white that are not normalised yet."""
        weight = self.patch.weight.view(self.width, 3, -1)  # [D, 3 * p * p] -> [D, 3, p * p]
        mean, std = weight.new_tensor(self.mean)[:, None], weight.new_tensor(self.std)[:, None]
        shift = (weight * (mean / std)).sum((1, 2))
        return (weight / (std * white)).sum(1), (
            -shift if self.patch.bias is None else self.patch.bias - shift
        )


def kept_patches(images: Tensor, patch_px: int, keep: Tensor | None = None) -> Tensor:
    """Cut images into flat patches and take only the kept ones.

    Args:
        images: [N, C, H, W]; H and W are multiples of `patch_px`.
        patch_px: p.
        keep: LongTensor [N, K], counted along rows; None keeps all.

    Returns:
        [N, K, C * p * p], channel first, then rows, then columns within a patch.

    >>> kept_patches(torch.arange(16).view(1, 1, 4, 4), 2, torch.tensor([[1]])).tolist()
    [[[2, 3, 6, 7]]]
    """
    count, channels, height, width = images.shape
    columns = width // patch_px
    cut = images.view(count, channels, height // patch_px, patch_px, columns, patch_px)
    cut = cut.permute(0, 2, 4, 1, 3, 5)  # [N, C, h, p, w, p] -> [N, h, w, C, p, p]
    if keep is not None:
        rows = torch.arange(count, device=images.device)[:, None]
        cut = cut[rows, keep // columns, keep % columns]  # -> [N, K, C, p, p]
    kept = height // patch_px * columns if keep is None else keep.shape[1]
    return cut.reshape(count, kept, channels * patch_px**2)  # [N, ..., C, p, p] -> [N, K, C * p * p]


def sincos_positions(width: int, grid: int) -> Tensor:
    """The fixed two-dimensional sine-cosine position embedding of MAE, zero for CLS.

    The first half of a vector encodes the column, the second the row; each is sines, then cosines, of the
    place times 10000^(-2 i / (width / 2)).

    Args:
        width: D, a multiple of 4.
        grid: The patches along each side.

    Returns:
        float [1 + grid * grid, D].

    References:
        He et al., "Masked Autoencoders Are Scalable Vision Learners", CVPR 2022, appendix A.1.

    >>> sincos_positions(4, 2)[:, 2].tolist()  # sine of the row, with frequency 1
    [0.0, 0.0, 0.0, 0.8414709568023682, 0.8414709568023682]
    """
    frequency = 10000.0 ** -(torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    angle = torch.arange(grid, dtype=torch.float64)[:, None] * frequency  # [g, D / 4]
    line = torch.cat([angle.sin(), angle.cos()], 1)  # [g, D / 2]
    columns, rows = line.repeat(grid, 1), line.repeat_interleave(grid, 0)  # [g * g, D / 2]
    return torch.cat([torch.zeros(1, width), torch.cat([columns, rows], 1).float()])
