"""Latency and peak memory of encoding and of a training step, as they are on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from radalign.data.provenance import peak_memory_bytes
from radalign.systems.base import System
from radalign.train.device import Processes
from radalign.train.profile.inputs import random_batch, random_images, random_texts, result_of
from radalign.train.step import Stepper

WARM_UP = 2


@dataclass(frozen=True)
class Latency:
    """Times and memory of one kind of call.

    Attributes:
        case: `image`, `text` or `training step`.
        batch: Studies or texts per call.
        p50_ms: Median milliseconds of a call.
        p95_ms: 95th percentile.
        calls: Calls that were timed.
        peak_bytes: The most memory during the calls: of the process, or on the accelerator.
        above_bytes: How much of it came on top of what was held before the first call.
    """

    case: str
    batch: int
    p50_ms: float
    p95_ms: float
    calls: int
    peak_bytes: int
    above_bytes: int


def measure_images(system: System, processes: Processes, batch: int, views: int, calls: int) -> Latency:
    """Time the result of whole images (see `result_of`), in evaluation mode."""
    images = random_images(system, batch, views)
    return _encoding("image", system, processes, batch, lambda: result_of(system, images), calls)


def measure_texts(system: System, processes: Processes, batch: int, tokens: int, calls: int) -> Latency:
    """Time `encode_texts`, in evaluation mode."""
    texts = random_texts(system, batch, tokens)
    return _encoding("text", system, processes, batch, lambda: system.encode_texts(texts), calls)


def _encoding(
    case: str, system: System, processes: Processes, batch: int, call: Callable[[], object], calls: int
) -> Latency:
    was_training = system.training
    system.eval()
    with torch.inference_mode(), processes.autocast():
        found = _measure(case, batch, call, calls, system.device)
    system.train(was_training)
    return found


def measure_step(
    system: System, processes: Processes, batch: int, views: int, tokens: int, calls: int
) -> Latency:
    """Time whole training steps, optimiser included; the system's weights move."""
    given = random_batch(system, batch, views, tokens)
    stepper = Stepper(system, processes, calls + WARM_UP)
    was_training = system.training
    system.train()
    steps = iter(range(calls + WARM_UP))
    found = _measure(
        "training step", batch, lambda: stepper.take([given], 1, next(steps)), calls, system.device
    )
    system.train(was_training)
    return found


def _measure(case: str, batch: int, call: Callable[[], object], calls: int, device: torch.device) -> Latency:
    spent_ms = []
    with _memory(device) as memory:
        for _ in range(WARM_UP):
            call()
        _wait(device)
        for _ in range(calls):
            begin = time.perf_counter()
            call()
            _wait(device)
            spent_ms.append(1000 * (time.perf_counter() - begin))
    p50, p95 = np.percentile(spent_ms, [50, 95])
    return Latency(case, batch, float(p50), float(p95), calls, memory["peak"], memory["above"])


@contextmanager
def _memory(device: torch.device) -> Iterator[dict[str, int]]:
    """Peak memory inside, and how much it rose: of the accelerator, or of the process."""
    found: dict[str, int] = {}
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield found
        found["peak"] = torch.cuda.max_memory_allocated(device)
    else:
        _forget_peak()
        before = _resident_bytes()
        yield found
        found["peak"] = peak_memory_bytes()
    found["above"] = max(0, found["peak"] - before)


def _forget_peak() -> None:
    """Let Linux count the peak from now on; elsewhere, or where it is forbidden, it counts from the start."""
    switch = Path("/proc/self/clear_refs")
    try:
        if switch.exists():
            switch.write_text("5", encoding="ascii")
    except PermissionError:
        return


def _resident_bytes() -> int:
    """What the process holds now; where the system does not tell, its peak so far."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="ascii", errors="replace").splitlines() if status.is_file() else []
    now = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS")]
    return now[0] if now else peak_memory_bytes()


def _wait(device: torch.device) -> Any:
    """Wait until the device has done what it was given."""
    return torch.cuda.synchronize(device) if device.type == "cuda" else None
