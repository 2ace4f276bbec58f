"""Two defects of ALTA's public implementation, for who wants its results rather than its method (A1, A5)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from radalign.nn.adapters import Bottleneck

TEXT_INIT_STD = 0.02


def official_lengths(mask: Tensor, batch: int) -> Tensor:
    """The word masks that reports get where lengths are gathered twice over (A1).

    Every process contributes its lengths twice, so that entry i of the gathered list is that of process
    i // 2B, sample i mod B. Of four processes only the first keeps its own; the others take those of the
    first, second and second. With one process nothing changes.

    Args:
        mask: bool [W * B, L], the gathered reports' own.
        batch: B, reports per process.

    Returns:
        bool [W * B, L].

    >>> own = torch.arange(8)[:, None]  # the number of a report stands for its mask; W = 4, B = 2
    >>> official_lengths(own, 2).flatten().tolist()
    [0, 1, 0, 1, 2, 3, 2, 3]
    """
    entry = torch.arange(len(mask), device=mask.device)
    return mask[entry // (2 * batch) * batch + entry % batch]


def draw_text_adapters(text: nn.Module) -> None:
    """Draw all layers of a tower's adapters from N(0, 0.02), as loading left them in the public code (A5)."""
    for module in text.modules():
        if isinstance(module, Bottleneck):
            for layer in (module.down, module.up):
                nn.init.normal_(layer.weight, std=TEXT_INIT_STD)
                nn.init.zeros_(layer.bias)
