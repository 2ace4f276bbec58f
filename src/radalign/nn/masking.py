"""Which patches a training step keeps."""

from __future__ import annotations

import torch
from torch import Tensor


def kept_count(patches: int, ratio: float) -> int:
    """How many patches stay when `ratio` of them is dropped, at least one.

    >>> kept_count(196, 0.75), kept_count(256, 0.75), kept_count(4, 1.0)
    (49, 64, 1)
    """
    if not 0.0 <= ratio <= 1.0:
        raise ValueError(f"A masking ratio lies between 0 and 1, not at {ratio}; give the share to drop.")
    return max(1, int(patches * (1.0 - ratio) + 1e-6))


def random_keep(count: int, patches: int, ratio: float, generator: torch.Generator | None = None) -> Tensor:
    """Draw, for each image independently and uniformly, the patches to keep.

    Args:
        count: N, the number of images.
        patches: P, the patches of one image.
        ratio: The share to drop.
        generator: The source of randomness, for a repeatable draw.

    Returns:
        LongTensor [N, K], ascending in each row, K = kept_count(P, ratio).

    References:
        He et al., "Masked Autoencoders Are Scalable Vision Learners", CVPR 2022, section 3.

    >>> random_keep(2, 8, 0.75).shape
    torch.Size([2, 2])
    """
    device = None if generator is None else generator.device
    noise = torch.rand(count, patches, generator=generator, device=device)
    return noise.argsort(1)[:, : kept_count(patches, ratio)].sort(1).values


def foreground_keep(
    images: Tensor, patch_px: int, ratio: float, generator: torch.Generator | None = None, floor: float = 0.05
) -> Tensor:
    """Draw patches with a probability that grows with their contrast, so that bare background is kept rarely.

    The draw is without replacement, in proportion to each patch's standard deviation (Gumbel top-K); a share
    `floor` of the mean weight is given to every patch, so that none is impossible.

    Args:
        images: float or uint8 [N, C, H, W]; H and W are multiples of `patch_px`.
        patch_px: The patch's side.
        ratio: The share to drop.
        generator: The source of randomness, for a repeatable draw.
        floor: The least weight of a patch, relative to the image's mean weight.

    Returns:
        LongTensor [N, K], ascending in each row.
    """
    grey = images.float().mean(1)  # [N, C, H, W] -> [N, H, W]
    patches = grey.unfold(1, patch_px, patch_px).unfold(2, patch_px, patch_px)  # -> [N, h, w, p, p]
    spread = (patches - patches.mean((-2, -1), keepdim=True)).square().mean((-2, -1)).sqrt()
    weight = spread.flatten(1)  # [N, h, w] -> [N, P]
    weight = weight + floor * weight.mean(1, keepdim=True) + 1e-9
    uniform = torch.rand(weight.shape, generator=generator, device=weight.device).clamp_(1e-12, 1 - 1e-7)
    score = weight.log() - torch.log(-torch.log(uniform))
    return score.topk(kept_count(weight.shape[1], ratio), dim=1).indices.sort(1).values
