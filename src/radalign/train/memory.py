"""Large pages for the tensors of a training run on a Linux CPU.

A step frees and takes gigabytes of activations. With pages of 4 KiB the system is asked for a page some
260,000 times per step, with pages of 2 MiB 28,000 times (`benchmarks/large_pages.py`).
"""

from __future__ import annotations

import os
import sys

_SWITCH = "THP_MEM_ALLOC_ENABLE"


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
