"""How a training run on a Linux CPU gets and gives back the memory of its tensors.

A step frees and takes gigabytes of activations. With pages of 4 KiB the system is asked for a page some
260,000 times per step, with pages of 2 MiB 28,000 times. And no two batches are alike: kept in one heap,
tensors of ever new sizes leave holes that grow from step to step, so a large one gets a mapping of its own,
which goes back to the system when it is freed. For the same reason the matrix library keeps fewer of the
kernels that it prepared: new sizes need new ones, and a step uses about a hundred
(`benchmarks/training_memory.py` measures all of it).
"""

from __future__ import annotations

import ctypes
import os
import sys

_SWITCH = "THP_MEM_ALLOC_ENABLE"
_HEAP_SETTINGS = ("MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD")  # somebody chose an allocator
_MMAP_THRESHOLD, _MMAP_MAX = -3, -4  # <malloc.h>
_KERNELS = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
LARGE_BYTES = 2**20
KEPT_KERNELS = 256


def prepare_memory() -> None:
    """Both of the below, for every process that trains; call it before torch is imported."""
    use_large_pages()
    return_large_tensors()


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


def return_large_tensors() -> bool:
    """Give every allocation of `LARGE_BYTES` or more a mapping of its own, so that freeing it frees memory.

    Call it before torch is imported: the matrix library reads how many kernels it may keep once.

    Returns:
        Whether it was arranged: only with the GNU C library, and not over somebody's own setting.

    References:
        mallopt(3): M_MMAP_THRESHOLD, whose value otherwise grows to 32 MiB by itself; M_MMAP_MAX.
    """
    if sys.platform != "linux" or any(name in os.environ for name in _HEAP_SETTINGS):
        return False
    os.environ.setdefault(_KERNELS, str(KEPT_KERNELS))
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    return mallopt is not None and bool(mallopt(_MMAP_THRESHOLD, LARGE_BYTES) and mallopt(_MMAP_MAX, 2**20))
