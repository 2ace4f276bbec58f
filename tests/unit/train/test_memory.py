"""Large pages and few kernels are asked for once, before torch, and never over somebody's own wish."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from radalign.train.memory import keep_few_kernels, use_large_pages

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
    assert keep_few_kernels() is False


KERNELS = """
import os
from radalign.train.memory import prepare_memory
prepare_memory()
print(os.environ.get("ONEDNN_PRIMITIVE_CACHE_CAPACITY"))
"""


@pytest.mark.parametrize(("set_before", "said"), [(None, "256"), ("9", "9")])
def test_few_kernels_are_kept_unless_somebody_has_decided(set_before, said):
    name = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
    environment = {k: v for k, v in os.environ.items() if k != name} | (
        {name: set_before} if set_before else {}
    )
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", KERNELS], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == said
