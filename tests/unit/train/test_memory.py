"""Large pages are asked for once, before torch, and never over somebody's own wish; large tensors go back."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from radalign.train.memory import use_large_pages

CODE = """
import os, sys
from radalign.train.memory import use_large_pages
assert "torch" not in sys.modules
asked = use_large_pages()
print(asked, os.environ.get("THP_MEM_ALLOC_ENABLE"))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Only Linux has these switches.")
@pytest.mark.parametrize(("set_before", "said"), [(None, "True 1"), ("0", "False 0")])
def test_it_asks_unless_somebody_has_decided(set_before, said):
    environment = {k: v for k, v in os.environ.items() if k != "THP_MEM_ALLOC_ENABLE"}
    if set_before is not None:
        environment["THP_MEM_ALLOC_ENABLE"] = set_before
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == said


def test_once_torch_is_there_nothing_happens():
    import torch  # noqa: F401

    assert use_large_pages() is False


RETURNED = """
from pathlib import Path
from radalign.train.memory import LARGE_BYTES, return_large_tensors
print(return_large_tensors())
import numpy as np

def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

blocks = [np.ones(2 * LARGE_BYTES, np.uint8) for _ in range(40)]
full = resident_bytes()
del blocks[:-1]  # the last one would hold a heap open
print(full - resident_bytes() >= 39 * 2 * LARGE_BYTES)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Only Linux has these switches.")
@pytest.mark.parametrize(("own_setting", "said"), [(None, "True\nTrue"), ("33554432", "False")])
def test_a_freed_large_array_goes_back_to_the_system_unless_somebody_set_the_heap(own_setting, said):
    names = ("MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD")
    environment = {k: v for k, v in os.environ.items() if k not in names}
    if own_setting is not None:
        environment["MALLOC_MMAP_THRESHOLD_"] = own_setting
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", RETURNED], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().startswith(said)
