"""The machine: processor and graphics cards as torch sees them, memory and disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import torch

from radalign.data.provenance import processor_name, usable_cores
from radalign.doctor.check import Check
from radalign.train.precision import has_fast_bf16

_LEAST_MEMORY_GIB, _LEAST_DISK_GIB = 6, 5  # for a training of ClinVLA, and a cache of pixels
_GIB = 2**30


def check_machine(folder: Path) -> Iterator[Check]:
    """What work there is room for.

    Args:
        folder: Its disk is looked at.
    """
    fast = "bf16 is fast" if has_fast_bf16(torch.device("cpu")) else "bf16 is not fast"
    used = f"{usable_cores()} cores, torch uses {torch.get_num_threads()}"
    yield Check("processor", "fine", f"{processor_name() or 'processor'}: {used}, {fast}")
    yield _cards()
    if (memory := memory_gib()) is not None:
        short = memory < _LEAST_MEMORY_GIB
        mend = f"training may need {_LEAST_MEMORY_GIB}; lower train.batch_size" if short else ""
        yield Check("memory", "note" if short else "fine", f"{memory:.1f} GiB free", mend)
    free = shutil.disk_usage(folder).free / _GIB
    mend = f"in {folder.absolute()}; runs and caches need some" if free < _LEAST_DISK_GIB else ""
    yield Check("disk", "note" if mend else "fine", f"{free:.1f} GiB free", mend)


def _cards() -> Check:
    cards = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
    if cards:
        return Check("graphics cards", "fine", f"{', '.join(cards)} (torch {torch.__version__})")
    built = "for CUDA" if torch.version.cuda else "for processors alone"
    mend = "see the driver, or be content with the processor" if torch.version.cuda else ""
    return Check(
        "graphics cards",
        "note" if torch.version.cuda else "fine",
        f"none; torch {torch.__version__} is built {built}",
        mend,
    )


def memory_gib(table: Path = Path("/proc/meminfo")) -> float | None:
    """Memory that programs can still have; None where the system does not tell."""
    lines = table.read_text(encoding="ascii").splitlines() if table.is_file() else []
    free = [int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
    return free[0] * 1024 / _GIB if free else None
