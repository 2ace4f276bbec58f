"""Encoders that a checkpoint is about to fill, without drawing the random weights it would replace.

Drawing them takes longer than reading the checkpoint. A saved system holds every own tensor and its encoders
are checked by their fingerprints, so loading one draws nothing; making a new one does, for the numbers that
its heads start from come after those of the encoders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch.nn import init
from torch.overrides import TorchFunctionMode

_FILLED: ContextVar[bool] = ContextVar("a file fills what is being made", default=False)
# torch hands a mode the functions of `nn.init` as they are, not what they call.
_DRAWS = frozenset({
    Tensor.uniform_, Tensor.normal_, init.uniform_, init.normal_, init.trunc_normal_, init.kaiming_uniform_,
    init.kaiming_normal_, init.xavier_uniform_, init.xavier_normal_,
})  # fmt: skip


class _Zeros(TorchFunctionMode):
    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func not in _DRAWS or not _FILLED.get():
            return func(*args, **kwargs)
        tensor = args[0] if args else kwargs["tensor"]
        with torch.no_grad():
            return tensor.zero_()


@contextmanager
def loading() -> Iterator[None]:
    """Inside, encoders out of files start as zeros instead of as random numbers."""
    with _Zeros():
        yield


@contextmanager
def to_be_filled(spec: object) -> Iterator[None]:
    """Around the making of one encoder; one that *is* random numbers (a table) is drawn in any case."""
    token = _FILLED.set(not isinstance(spec, Mapping))
    try:
        yield
    finally:
        _FILLED.reset(token)
