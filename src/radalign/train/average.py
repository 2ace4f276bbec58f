"""Averages of the weights over steps: calmer than the last ones, for one more copy of what trains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn


class WeightAverage:
    """A running average of a module's trainable parameters.

    Args:
        parameters: Name to parameter.
        kind: `none`, `ema` (exponential) or `uniform` (plain mean of all steps).
        decay: Of the exponential average, per step; early steps use less, so that the start is forgotten.

    References:
        Polyak and Juditsky 1992 (uniform); Izmailov et al. 2018, arXiv:1803.05407 (in deep learning).

    >>> weight = nn.Parameter(torch.zeros(1))
    >>> average = WeightAverage({"w": weight}, "uniform")
    >>> for value in (1.0, 3.0):
    ...     weight.data.fill_(value)
    ...     average.update()
    tensor([1.])
    tensor([3.])
    >>> with average.applied(): weight.item()
    2.0
    >>> weight.item()
    3.0
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        kind: Literal["none", "ema", "uniform"] = "none",
        decay: float = 0.999,
    ) -> None:
        self._parameters = dict(parameters) if kind != "none" else {}
        self._kind, self._decay = kind, decay
        self.count = 0
        self._mean = {name: p.detach().clone() for name, p in self._parameters.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take the current weights in."""
        self.count += 1
        keep = 1 - 1 / self.count
        if self._kind == "ema":
            keep = min(self._decay, self.count / (self.count + 9))
            keep = 0.0 if self.count == 1 else keep
        for name, parameter in self._parameters.items():
            self._mean[name].lerp_(parameter, 1 - keep)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the average into the module during a `with` block; before the first update nothing happens."""
        if not self.count:
            yield
            return
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def adopt(self) -> None:
        """Leave the average in the module for good."""
        if self.count:
            self._swap()
            self.count = 0

    @torch.no_grad()
    def _swap(self) -> None:
        for name, parameter in self._parameters.items():
            current = parameter.detach().clone()
            parameter.copy_(self._mean[name])
            self._mean[name].copy_(current)

    def tensors(self) -> dict[str, Tensor]:
        """The averages, for a resume point."""
        return dict(self._mean)

    def restore(self, tensors: Mapping[str, Tensor], count: int) -> None:
        """Take averages back from a resume point."""
        self.count = count
        for name, mean in self._mean.items():
            mean.copy_(tensors[name])
