"""Reconstruction targets are the published ones: normalised first, all channels in one variance."""

from __future__ import annotations

import pytest
import torch

from radalign.objectives.masked import patch_targets

MEAN, STD = 0.4978, 0.2449


def published(images: torch.Tensor, p: int) -> torch.Tensor:
    """MAE's targets, as its paper says, of an RGB image that went through the encoder's normalisation."""
    rgb = ((images.double() / 255 - MEAN) / STD)[:, None].expand(-1, 3, -1, -1)
    rows = []
    for image in rgb:
        for top in range(0, image.shape[1], p):
            for left in range(0, image.shape[2], p):
                patch = image[:, top : top + p, left : left + p].permute(1, 2, 0).flatten()  # [p * p * 3]
                rows.append((patch - patch.mean()) / (patch.var() + 1e-6).sqrt())
    return torch.stack(rows).view(len(images), -1, p * p * 3)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_targets_are_the_published_ones_in_flat_patches_too(dtype):
    images = torch.randint(256, (2, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images[0, :32] = 100
    images[0, 3, 5] = 101  # one grey level apart in an otherwise flat patch
    expected = published(images, 32)
    assert 10 < expected[0, 0].max() < 15
    given = images if dtype == torch.uint8 else images.float() / 255
    found = patch_targets(given, 32, mean=MEAN, std=STD)
    torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-4)
