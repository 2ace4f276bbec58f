"""How a training run on a Linux CPU asks for memory, and what it keeps between steps.

A step frees and takes gigabytes of activations; with pages of 2 MiB it faults about 25,000 times, with pages
of 4 KiB 40,000. And no two batches have the same sizes, for each of which the matrix library prepares kernels
and keeps 1,024 of them; a step uses about a hundred (`benchmarks/training_memory.py` measures both).
"""

from __future__ import annotations

import os
import sys

_SWITCH = "THP_MEM_ALLOC_ENABLE"
_KERNELS = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
KEPT_KERNELS = 256


def prepare_memory() -> None:
    """Both of the below, for every process that trains; call it before torch is imported."""
    use_large_pages()
    keep_few_kernels()


def use_large_pages() -> bool:
    """Ask torch for large pages; call it before torch is imported, which reads the switch once.

    Returns:
        Whether they were asked for: only on Linux, and not over somebody's own setting.

    References:
        torch, `c10/core/impl/alloc_cpu.cpp` (THP_MEM_ALLOC_ENABLE).
    """
    if sys.platform != "linux" or "torch" in sys.modules or _SWITCH in os.environ:
        return False
    os.environ[_SWITCH] = "1"
    return True


def keep_few_kernels() -> bool:
    """Ask the matrix library to keep `KEPT_KERNELS` kernels; call it before torch is imported.

    Returns:
        Whether it was asked: not over somebody's own setting.

    References:
        oneDNN developer guide, "Primitive Cache" (ONEDNN_PRIMITIVE_CACHE_CAPACITY).
    """
    if "torch" in sys.modules or _KERNELS in os.environ:
        return False
    os.environ[_KERNELS] = str(KEPT_KERNELS)
    return True
