"""One optimiser step: forward passes, gradients, the rate of the moment, the running average."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from radalign.data.batches import StudyBatch
from radalign.train.average import WeightAverage
from radalign.train.checkpoint import optimizer_tensors, restore_optimizer
from radalign.train.device import Processes
from radalign.train.schedule import rate_share
from radalign.train.start import Forward, TrainError, make_optimizer, step_seed, trainable


class StepResult(NamedTuple):
    """What a step was like.

    Args:
        values: `total` and every term, mean over the accumulated batches.
        rate_share: Share of the base learning rate.
        grad_norm: Before clipping; None without clipping.
    """

    values: dict[str, float]
    rate_share: float
    grad_norm: float | None


class Stepper:
    """Takes steps with a system's trainable parameters.

    Args:
        system: What trains; it is moved to the device.
        processes: Device, precision, the other processes.
        steps_per_epoch: Optimiser steps per epoch.
    """

    def __init__(self, system: Any, processes: Processes, steps_per_epoch: int) -> None:
        self.system, self.processes, self.steps_per_epoch = system, processes, steps_per_epoch
        self.settings = system.recipe.train
        self.names = trainable(system)
        system.to(processes.device)
        if self.names:
            module, optimizer = Forward(system, processes.autocast), make_optimizer(system, self.settings)
            self._module, self._optimizer = processes.prepare(module, optimizer)
        self.average = WeightAverage(self.names, self.settings.average, self.settings.average_decay)

    def take(self, group: Sequence[StudyBatch], size: int, step: int, time_share: float = 0.0) -> StepResult:
        """One optimiser step over some batches.

        Args:
            group: The batches to accumulate.
            size: How many they are.
            step: Steps taken before.
            time_share: Share of the time limit that is used up.

        Raises:
            TrainError: If the loss is not finite; the weights are still those before the step.
        """
        settings = self.settings
        rate = self._set_rate(rate_share(step, self.steps_per_epoch, settings, time_share))
        torch.manual_seed(step_seed(settings.seed, step, self.processes.rank))
        values: dict[str, float] = {}
        for number, batch in enumerate(group):
            for name, value in self._pass(batch, size, step, number == size - 1).items():
                values[name] = values.get(name, 0.0) + value / size
        norm = self.processes.clip(list(self.names.values()), settings.clip) if settings.clip else None
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self.system.after_step()
        if settings.average != "none" and step >= settings.average_from_epoch * self.steps_per_epoch:
            self.average.update()
        return StepResult(values, rate, norm)

    def _pass(self, batch: StudyBatch, size: int, step: int, is_last: bool) -> dict[str, float]:
        """Forward and backward of one batch out of `size`; the total and its terms."""
        with self.processes.without_exchange(self._module, skip=not is_last):
            total, terms = self._module(batch.to(self.processes.device))
            values = {"total": total.item()} | {name: term.item() for name, term in terms.items()}
            if not math.isfinite(values["total"]):
                raise TrainError(
                    f"The loss is {values['total']} at step {step + 1} ({values}); start again with "
                    "--overwrite and a smaller train.lr, with train.clip=1, or with train.precision=fp32."
                )
            self.processes.backward(total / size)
        return values

    def _set_rate(self, share: float) -> float:
        for group in self._optimizer.param_groups:
            group["lr"] = group["base_lr"] * share
        return share

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """All that the next step depends on, for a resume point."""
        return {
            "system": self.system.own_state(),
            "optimizer": optimizer_tensors(self._optimizer.optimizer, self.names),
            "average": self.average.tensors(),
        }

    def restore(self, tensors: Mapping[str, Mapping[str, Tensor]], averaged: int) -> None:
        """Take everything back from a resume point."""
        self.system.load_state_dict(tensors.get("system", {}), strict=False)
        restore_optimizer(self._optimizer.optimizer, self.names, tensors.get("optimizer", {}))
        self.average.restore(tensors.get("average", {}), averaged)
