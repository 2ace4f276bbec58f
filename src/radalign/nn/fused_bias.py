"""A frozen linear layer on a CPU in bf16, its bias added inside the matrix product.

`torch.nn.functional.linear` writes the bias into every row of the result and then adds the product to it: one
pass over memory more than needed, as long as the product itself at these widths. The matrix library can add
the bias while it writes. torch exposes that only to its compiler, so this file asks for it by name and falls
back to the plain layer where it is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_FUSED = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
_PLAIN: ContextVar[bool] = ContextVar("plain linear layers", default=False)


@contextmanager
def plain_layers() -> Iterator[None]:
    """Inside, every layer is `F.linear`, which those who count or trace products can see."""
    token = _PLAIN.set(True)
    try:
        yield
    finally:
        _PLAIN.reset(token)


def frozen_linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`F.linear` whose weight and bias get no gradient.

    Args:
        x: [..., d_in], of the weight's dtype.
        weight: [d_out, d_in].
        bias: [d_out], or None.

    Returns:
        [..., d_out], the same numbers as `F.linear`.

    References:
        oneDNN developer guide, "Matrix Multiplication", bias argument.

    >>> frozen_linear(torch.tensor([[1.0, 2.0]]), torch.eye(2), torch.tensor([10.0, 20.0])).tolist()
    [[11.0, 22.0]]
    """
    if bias is None or not _can_fuse(x):
        return F.linear(x, weight, bias)
    if not (torch.is_grad_enabled() and x.requires_grad):
        return _product(x, weight, bias)
    out: Tensor = _Fused.apply(x, weight, bias)  # type: ignore[no-untyped-call]
    return out


def _can_fuse(x: Tensor) -> bool:
    """Whether the matrix library takes this input: bf16 on a CPU that multiplies it natively."""
    if x.dtype != torch.bfloat16 or x.device.type != "cpu" or _FUSED is None or not x.numel() or _PLAIN.get():
        return False
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _product(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return out


class _Fused(torch.autograd.Function):
    """Only the input gets a gradient: dX = dY W."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(weight)
        return _product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (weight,) = ctx.saved_tensors
        return grads[0] @ weight, None, None
