"""MACs and FLOPs of a system per study, per text and per training step: counted twice and compared.

The own count (`MatrixProducts`) is what has to be done; torch's own counter (`FlopCounterMode`) is what was
done. Both see one study or text at a time in float32, with attention by plain matrix products: torch has no
formula for a CPU's fused attention. In a training step torch counts more wherever something is computed again
backward to save memory, and less where nothing is multiplied at all.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from radalign.systems.base import System
from radalign.train.profile.inputs import random_batch, random_images, random_texts, result_of
from radalign.train.profile.products import MatrixProducts


@dataclass(frozen=True)
class Count:
    """What one case costs.

    Attributes:
        case: `image`, `image, masked`, `text` or `training step`; all per study or text.
        views: Views of the study; 0 for a text.
        tokens: Tokens of the text; 0 for an image.
        macs: Multiply-accumulates that have to be done.
        torch_flops: FLOPs by torch's counter.
    """

    case: str
    views: int
    tokens: int
    macs: int
    torch_flops: int

    @property
    def flops(self) -> int:
        """Two per multiply-accumulate."""
        return 2 * self.macs

    @property
    def difference(self) -> float:
        """Own count against torch's, as a share of torch's; 0 when both are 0."""
        return (
            (self.flops - self.torch_flops) / self.torch_flops if self.torch_flops else float(self.macs > 0)
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {"flops": self.flops, "difference": round(self.difference, 5)}


def count_images(system: System, views: int) -> list[Count]:
    """Counts of studies with 1 to `views` views: whole, and masked as in training where a system masks."""
    was_training = system.training
    found: dict[str, list[Count]] = {}
    for mode, case in ((False, "image"), (True, "image, masked")):
        system.train(mode)
        found[case] = [_image(system, case, number) for number in range(1, views + 1)]
    system.train(was_training)
    whole, masked = found.values()
    return whole + [m for m, w in zip(masked, whole, strict=True) if m.macs < w.macs]


def count_text(system: System, tokens: int) -> Count:
    """The count of a text of so many tokens."""
    was_training = system.training
    system.eval()
    texts = random_texts(system, 1, tokens)
    macs, flops = _without_gradient(system, lambda: system.encode_texts(texts))
    system.train(was_training)
    return Count("text", 0, int(texts.lengths[0]), macs, flops)


def count_step(system: System, studies: int, views: int, tokens: int) -> Count | None:
    """Forward and backward of a batch, per study; None for a system that has no objectives."""
    batch, was_training = random_batch(system, studies, views, tokens), system.training
    system.train()
    with FlopCounterMode(display=False) as torchs, _plain_attention(system):
        with MatrixProducts() as own:
            terms = system.objectives(batch)
        wanted = bool(terms) and any(p.requires_grad for p in system.parameters())
        if wanted:
            torch.autograd.backward(system.total(terms))
    system.zero_grad(set_to_none=True)
    system.train(was_training)
    if not wanted:
        return None
    macs, flops = (own.forward + own.backward) // studies, torchs.get_total_flops() // studies
    return Count("training step", views, tokens, macs, flops)


def _image(system: System, case: str, views: int) -> Count:
    images = random_images(system, 1, views)
    return Count(case, views, 0, *_without_gradient(system, lambda: result_of(system, images)))


def _without_gradient(system: System, work: Callable[[], object]) -> tuple[int, int]:
    """Own MACs and torch's FLOPs of some work; run once before, because class sets are encoded only once."""
    trained = [p for p in system.parameters() if p.requires_grad]
    system.requires_grad_(False)  # torch's counter stumbles over views of trained parameters without a graph
    try:
        with torch.no_grad():
            work()
            with FlopCounterMode(display=False) as torchs, _plain_attention(system), MatrixProducts() as own:
                work()
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
    return own.forward, torchs.get_total_flops()


def _plain_attention(system: System) -> AbstractContextManager[Any]:
    return sdpa_kernel(SDPBackend.MATH) if system.device.type == "cpu" else nullcontext()
