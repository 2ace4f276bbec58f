"""A linear layer whose frozen weight is cast once, not at every step.

Under `torch.autocast` a plain `nn.Linear` casts its weight at each call unless the weight is trained (only
then does autocast keep the copy). Backbones are frozen, so this layer keeps the low-precision copy itself
and makes it anew when the weight changes. Outside autocast it is `nn.Linear`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from radalign.nn.fused_bias import frozen_linear

Tensors = tuple[Tensor, Tensor | None]


class FrozenCopy:
    """A low-precision copy of a frozen layer's weight and bias, remade when a source is changed or moved.

    Args:
        make: From the sources to a weight and a bias; applied before the cast.
    """

    def __init__(self, make: Callable[..., Tensors]) -> None:
        self._make = make
        self._key: tuple[Any, ...] = ()
        self._copies: Tensors | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenCopy, (self._make,)

    def of(self, dtype: torch.dtype, *sources: Tensor | None) -> Tensors:
        """The made weight and bias in `dtype`; the same objects as last time unless a source changed."""
        key = (dtype, *((s.data_ptr(), s._version, s.device) for s in sources if s is not None))
        if self._copies is None or key != self._key:
            with torch.inference_mode(False), torch.no_grad():  # a copy made in inference must serve training
                weight, bias = self._make(*sources)
                self._copies = weight.to(dtype), None if bias is None else bias.to(dtype)
            self._key = key
        return self._copies


def autocast_dtype(device: torch.device) -> torch.dtype | None:
    """The dtype that autocast wants on this device, or None when it is off.

    >>> autocast_dtype(torch.device("cpu")) is None
    True
    """
    if not torch.is_autocast_enabled(device.type):
        return None
    return torch.get_autocast_dtype(device.type)


class Linear(nn.Linear):
    """`nn.Linear` with a cached low-precision copy of its frozen weight: [..., d_in] -> [..., d_out].

    Attributes:
        low_rank: `f(x) -> delta`, added to the result (nn/lora.py); None costs nothing.
    """

    def __init__(self, d_in: int, d_out: int, bias: bool = True) -> None:
        super().__init__(d_in, d_out, bias)
        self._copy = FrozenCopy(_scaled)
        self.low_rank: nn.Module | None = None

    def forward(self, x: Tensor, scale: Tensor | None = None) -> Tensor:
        """Apply the layer to x [..., d_in].

        Args:
            x: The input.
            scale: Multiplied with the result, [d_out] (LayerScale); costs nothing where the copy is used.
        """
        out = self._plain(x, scale)
        if self.low_rank is None:
            return out
        delta: Tensor = self.low_rank(x)
        return out + (delta if scale is None else delta * scale)

    def _plain(self, x: Tensor, scale: Tensor | None) -> Tensor:
        dtype = autocast_dtype(x.device)
        if dtype is None or any(t is not None and t.requires_grad for t in (self.weight, self.bias, scale)):
            out = F.linear(x, self.weight, self.bias)
            return out if scale is None else out * scale
        weight, bias = self._copy.of(dtype, self.weight, self.bias, scale)
        return frozen_linear(x.to(dtype), weight, bias)


def _scaled(weight: Tensor, bias: Tensor | None, scale: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Weight [d_out, d_in] and bias [d_out] of the layer followed by a scale [d_out]."""
    if scale is None:
        return weight, bias
    return weight * scale[:, None], None if bias is None else bias * scale
