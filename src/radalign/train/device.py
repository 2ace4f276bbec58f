"""Devices, precision and processes, by way of Accelerate: the loop itself knows of none."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from torch import Tensor, nn

from radalign.data.settings import TrainSettings
from radalign.systems.devices import DeviceError, need_device
from radalign.train.folder import TRACKS
from radalign.train.precision import choose_precision


class TrackerError(ValueError):
    """A tracker is asked for that is not installed."""


def need_training_device(device: str) -> None:
    """Check a device before work that a training begins only later.

    Args:
        device: `auto`, or as `Processes` takes it.

    Raises:
        DeviceError: If the device is not there.

    >>> need_training_device("auto")
    """
    if device != "auto":
        need_device(device)


class Processes:
    """This process among those that train together (`accelerate launch` starts several).

    Args:
        settings: Precision and tracker.
        device: `auto`, `cpu` to leave accelerators alone, or the accelerator that must be there.
        folder: The run's folder, where a tracker writes.

    Raises:
        TrackerError: If TensorBoard is wanted but not installed.
        DeviceError: If the device is not there, or is not the one that Accelerate takes.
    """

    def __init__(self, settings: TrainSettings, device: str, folder: Path) -> None:
        need_training_device(device)
        tracks = settings.track != "none"
        if tracks and find_spec("tensorboard") is None:
            raise TrackerError("train.track=tensorboard needs TensorBoard; install radalign[track].")
        self._accelerator = Accelerator(
            cpu=device == "cpu",
            mixed_precision="no",  # `autocast` below: a second run in this process may use another one
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
            log_with="tensorboard" if tracks else None,
            project_dir=str(folder) if tracks else None,
        )
        if device not in ("auto", self.device.type, str(self.device)):
            raise DeviceError(
                f"Training would run on {self.device}, not {device}; choose --device auto or cpu."
            )
        self.precision = choose_precision(settings.precision, self.device)
        self._tracks = tracks and self.is_main

    @property
    def device(self) -> torch.device:
        """Where the system runs."""
        device: torch.device = self._accelerator.device
        return device

    @property
    def rank(self) -> int:
        """This process's number."""
        return int(self._accelerator.process_index)

    @property
    def count(self) -> int:
        """How many processes train together."""
        return int(self._accelerator.num_processes)

    @property
    def is_main(self) -> bool:
        """Whether this process writes files."""
        return bool(self._accelerator.is_main_process)

    def autocast(self) -> AbstractContextManager[Any]:
        """The context of a forward pass in the run's precision."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def prepare(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[nn.Module, Any]:
        """Move to the device, and wrap for several processes."""
        module, optimizer = self._accelerator.prepare(module, optimizer)
        return module, optimizer

    def backward(self, loss: Tensor) -> None:
        """The backward pass."""
        self._accelerator.backward(loss)

    def without_exchange(self, module: nn.Module, skip: bool) -> AbstractContextManager[Any]:
        """Gradients of this pass are not exchanged yet (all but the last of an accumulation)."""
        context: AbstractContextManager[Any] = self._accelerator.no_sync(module) if skip else nullcontext()
        return context

    def clip(self, parameters: list[nn.Parameter], largest: float) -> float:
        """Clip the gradient's norm; returns the norm before."""
        return float(self._accelerator.clip_grad_norm_(parameters, largest))

    def any(self, code: int) -> int:
        """The largest code of all processes, so that all of them decide alike."""
        if self.count == 1:
            return code
        return int(self._accelerator.gather(torch.tensor([code], device=self.device)).max())

    def wait(self) -> None:
        """Wait for all processes."""
        self._accelerator.wait_for_everyone()

    def begin_tracks(self) -> None:
        """Open the tracker, if one is asked for."""
        if self._tracks:
            self._accelerator.init_trackers(TRACKS)

    def track(self, numbers: dict[str, float], step: int) -> None:
        """Give numbers to the tracker, if there is one."""
        if self._tracks:
            self._accelerator.log(numbers, step=step)

    def end(self) -> None:
        """Close the tracker."""
        if self._tracks:
            self._accelerator.end_training()
