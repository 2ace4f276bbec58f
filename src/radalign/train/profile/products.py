"""The multiplications that a piece of code has to do, from the shapes of its matrix products.

Every product that runs inside `MatrixProducts` is seen with its operands. A product of m x k and k x n takes
m * k * n multiply-accumulates (MACs), and as many again, once a gradient comes back to it, for each operand
that wants one. So frozen weights, padding that is skipped, and what is computed again backward to save memory
count nothing. Sums, norms, softmax and activations are left out, as in `torch.utils.flop_counter`. A function
that brings its own backward pass counts forward only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from radalign.nn.fused_bias import plain_layers

Product = tuple[int, tuple[Tensor, ...]]
"""MACs of one product, and its operands."""


class MatrixProducts(TorchFunctionMode):
    """Counts the matrix products of the code inside a `with`; the backward pass may come after it.

    Attributes:
        forward: MACs of the products that ran.
        backward: MACs of the gradients that have come back to them.

    >>> with MatrixProducts() as count:
    ...     out = torch.ones(2, 3) @ torch.ones(3, 4, requires_grad=True)
    >>> torch.autograd.backward(out.sum())
    >>> count.forward, count.backward
    (24, 24)
    """

    def __init__(self) -> None:
        super().__init__()
        self.forward = self.backward = 0

    def __enter__(self) -> Self:
        self._plain = plain_layers()  # anew, so that a count can be entered again
        self._plain.__enter__()
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)  # type: ignore[no-untyped-call]
        self._plain.__exit__(kind, error, trace)

    @property
    def flops(self) -> int:
        """Two for each multiply-accumulate, forward and backward."""
        return 2 * (self.forward + self.backward)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[Any],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run a torch function and count it if it multiplies matrices."""
        named = dict(kwargs or {})
        out = func(*args, **named)
        for macs, operands in _products(func, args, named, out):
            self.forward += macs
            wanted = macs * sum(o.requires_grad for o in operands)
            if out.requires_grad:
                out.register_hook(partial(self._came_back, wanted))
        return out

    def _came_back(self, macs: int, gradient: Tensor) -> None:
        self.backward += macs


def _products(func: Any, args: tuple[Any, ...], named: dict[str, Any], out: Any) -> list[Product]:
    """The products inside one call."""
    if func is F.linear or func in _PAIRS:
        return [(out.numel() * args[0].shape[-1], (args[0], args[1]))]
    if func in _SUMS:
        return [(out.numel() * args[1].shape[-1], (args[1], args[2]))]
    if func is torch.einsum:
        return [_einsum(args[0], tuple(args[1:]))]
    if func is F.scaled_dot_product_attention:
        return _attention(*args[:3])
    if func in _CONVOLUTIONS:
        return [(out.numel() * args[1][0].numel(), (args[0], args[1]))]
    return []


def _einsum(equation: str, operands: tuple[Tensor, ...]) -> Product:
    """An einsum of two operands: every distinct letter is one loop."""
    names = equation.partition("->")[0].replace(" ", "").split(",")
    sizes = {
        letter: size
        for name, operand in zip(names, operands, strict=True)
        for letter, size in zip(name, operand.shape, strict=True)
    }
    return math.prod(sizes.values()) * (len(operands) > 1), operands


def _attention(query: Tensor, key: Tensor, value: Tensor) -> list[Product]:
    """Scores [..., L, S] from query and key, then their product with the values."""
    scores = query.numel() * key.shape[-2]
    mixed = query[..., 0].numel() * key.shape[-2] * value.shape[-1]
    either = query if query.requires_grad else key  # the scores want a gradient when one of the two does
    return [(scores, (query, key)), (mixed, (either, value))]


_PAIRS = frozenset(
    {torch.matmul, torch.mm, torch.bmm, Tensor.matmul, Tensor.__matmul__, Tensor.mm, Tensor.bmm}
)
_SUMS = frozenset({torch.addmm, torch.baddbmm, Tensor.addmm, Tensor.baddbmm})
_CONVOLUTIONS = frozenset({F.conv2d, torch.conv2d})
