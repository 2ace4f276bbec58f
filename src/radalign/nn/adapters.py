"""Small trainable modules for the slots of a frozen encoder.

| adapter            | formula                                   | slot                                     |
|--------------------|-------------------------------------------|------------------------------------------|
| Bottleneck         | U act(D x)                                | inside the others                        |
| SequentialAdapter  | m + A(m)                                  | `Block.attention_adapter` (AIM, ALTA)    |
| ParallelAdapter    | 0.5 A(n)                                  | `Block.parallel_adapter` (AIM, ALTA)     |
| StackedAdapter     | U' relu(D' LA) + r, LA = U relu(D h) + r  | `Block.output_adapter` (MAD-X, ClinVLA)  |
| InvertibleAdapter  | o1 = F(e2) + e1; o2 = G(o1) + e2          | `embedding_adapter` (NICE, ClinVLA)      |
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from radalign.nn.transformer import Activation, activate

Init = Literal["zero", "he", "xavier"]


class Bottleneck(nn.Module):
    """Down, non-linearity, up: [..., D] -> [..., D], without a skip.

    Args:
        width: D.
        hidden: The narrow width.
        activation: `relu` (MAD-X) or `gelu` (AIM).
        init: `zero` starts as the zero map (up-projection zero); `he` and `xavier` start both projections at
            random.

    >>> sum(p.numel() for p in Bottleneck(768, 64).parameters())
    99136
    """

    def __init__(self, width: int, hidden: int, activation: Activation = "relu", init: Init = "zero") -> None:
        super().__init__()
        self.activation: Activation = activation
        self.down = nn.Linear(width, hidden)
        self.up = nn.Linear(hidden, width)
        self.reset(init)

    def reset(self, init: Init) -> None:
        """Draw the weights anew; biases become zero."""
        for layer in (self.down, self.up):
            nn.init.zeros_(layer.bias)
            if self.activation == "relu":
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            else:
                nn.init.xavier_uniform_(layer.weight)
        if init == "zero":
            nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map x [..., D] -> [..., D]."""
        out: Tensor = self.up(activate(self.down(x), self.activation))
        return out


def _aim(width: int, ratio: float, init: Init) -> Bottleneck:
    """AIM's bottleneck: GELU, `ratio` of the width."""
    return Bottleneck(width, int(width * ratio), "gelu", init)


class SequentialAdapter(nn.Module):
    """AIM's attention adapter: m + A(m), for `Block.attention_adapter`.

    References:
        Yang et al., "AIM: Adapting Image Models for Efficient Video Action Recognition", ICLR 2023.

    >>> sum(p.numel() for p in SequentialAdapter(768).parameters())
    295872
    """

    def __init__(self, width: int, ratio: float = 0.25, init: Init = "zero") -> None:
        super().__init__()
        self.bottleneck = _aim(width, ratio, init)

    def forward(self, x: Tensor) -> Tensor:
        """Map x [T, D] -> [T, D]."""
        out: Tensor = x + self.bottleneck(x)
        return out


class ParallelAdapter(nn.Module):
    """AIM's MLP adapter: scale * A(n) without a skip, for `Block.parallel_adapter`."""

    def __init__(self, width: int, ratio: float = 0.25, scale: float = 0.5, init: Init = "zero") -> None:
        super().__init__()
        self.scale = scale
        self.bottleneck = _aim(width, ratio, init)

    def forward(self, x: Tensor) -> Tensor:
        """Map x [T, D] -> the delta [T, D]."""
        out: Tensor = self.scale * self.bottleneck(x)
        return out


class StackedAdapter(nn.Module):
    """MAD-X language and task adapters, one on the other, for `Block.output_adapter`.

    LA = U relu(D h) + r and TA = U' relu(D' LA) + r: the residual of both is r. Without the language part,
    LA is h; without the task part, LA is the result; without both, r passes unchanged.

    Args:
        width: D.
        hidden: The bottleneck's width d.
        language: Whether the language adapter is there.
        task: Whether the task adapter is there.
        init: `zero` starts as the frozen layer, `he` is the paper's.

    References:
        Pfeiffer et al., "MAD-X", EMNLP 2020, equations 3 and 4.

    >>> 12 * sum(p.numel() for p in StackedAdapter(768).parameters())
    2379264
    """

    def __init__(
        self, width: int, hidden: int = 64, language: bool = True, task: bool = True, init: Init = "zero"
    ) -> None:
        super().__init__()
        self.language = Bottleneck(width, hidden, "relu", init) if language else None
        self.task = Bottleneck(width, hidden, "relu", init) if task else None

    def forward(self, h: Tensor, r: Tensor) -> Tensor:
        """Combine h [T, D] and r [T, D] -> r' [T, D]."""
        adapted = h if self.language is None else self.language(h) + r
        if self.task is not None:
            adapted = self.task(adapted) + r
        return r if self.language is None and self.task is None else adapted


class InvertibleAdapter(nn.Module):
    """An exactly invertible coupling for the slot after the embeddings: [..., D] -> [..., D].

    o1 = F(e2) + e1 and o2 = G(o1) + e2, where e1 and e2 are the halves of a token; F and G are bottlenecks
    D/2 -> D/4 -> D/2 with ReLU.

    References:
        Dinh et al., "NICE", 2015; Pfeiffer et al., "MAD-X", EMNLP 2020, section 4.3.

    >>> sum(p.numel() for p in InvertibleAdapter(768).parameters())
    296064
    """

    def __init__(self, width: int, init: Init = "zero") -> None:
        super().__init__()
        if width % 4:
            raise ValueError(
                f"An invertible adapter needs a width that 4 divides, not {width}; choose another width."
            )
        self.f = Bottleneck(width // 2, width // 4, "relu", init)
        self.g = Bottleneck(width // 2, width // 4, "relu", init)

    def forward(self, e: Tensor) -> Tensor:
        """Map e [..., D] -> o [..., D]."""
        e1, e2 = e.chunk(2, dim=-1)  # [..., D] -> 2 of [..., D / 2]
        o1 = self.f(e2) + e1
        return torch.cat([o1, self.g(o1) + e2], dim=-1)

    def inverse(self, o: Tensor) -> Tensor:
        """Map o [..., D] back to e [..., D]."""
        o1, o2 = o.chunk(2, dim=-1)  # [..., D] -> 2 of [..., D / 2]
        e2 = o2 - self.g(o1)
        return torch.cat([o1 - self.f(e2), e2], dim=-1)
