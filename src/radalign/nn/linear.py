"""A linear layer whose frozen weight is cast once, not at every step.

Under `torch.autocast` a plain `nn.Linear` casts its weight at each call unless the weight is trained (only
then does autocast keep the copy). Backbones are frozen, so this layer keeps the low-precision copy itself
and makes it anew when the weight changes. Outside autocast it is `nn.Linear`.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FrozenCopy:
    """A low-precision copy of frozen tensors, remade when one of them changes or moves."""

    def __init__(self) -> None:
        self._key: tuple[Any, ...] = ()
        self._copies: tuple[Tensor | None, ...] = ()

    def __deepcopy__(self, memo: dict[int, Any]) -> FrozenCopy:
        return FrozenCopy()

    def __reduce__(self) -> tuple[Any, ...]:
        return (FrozenCopy, ())

    def of(self, dtype: torch.dtype, *tensors: Tensor | None) -> tuple[Tensor | None, ...]:
        """The tensors in `dtype`; the same objects as last time unless a source was changed."""
        key = (dtype, *((t.data_ptr(), t._version, t.device) for t in tensors if t is not None))
        if key != self._key:
            self._copies = tuple(None if t is None else t.detach().to(dtype) for t in tensors)
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
    """`nn.Linear` with a cached low-precision copy of its frozen weight: [..., d_in] -> [..., d_out]."""

    def __init__(self, d_in: int, d_out: int, bias: bool = True) -> None:
        super().__init__(d_in, d_out, bias)
        self._copy = FrozenCopy()

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer to x [..., d_in]."""
        dtype = autocast_dtype(x.device)
        if dtype is None or self.weight.requires_grad:
            return F.linear(x, self.weight, self.bias)
        weight, bias = self._copy.of(dtype, self.weight, self.bias)
        assert weight is not None
        return F.linear(x.to(dtype), weight, bias)
