"""A writer is killed with SIGKILL in the middle of its work; everything that it acknowledged is there."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from radalign.search.index import Index

WRITER = """
import sys
import numpy as np
from radalign.search.index import Index

index, start = Index.open(sys.argv[1]), int(sys.argv[2])
random = np.random.default_rng(start)
for i in range(start, 10**9, 5):
    vectors = random.normal(size=(5, 16))
    index.replace([f"{n}" for n in range(i, i + 5)], vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    if i % 3 == 0:
        index.delete([f"{i}"])
        print("deleted", i, flush=True)
    print("added", i, flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_what_was_acknowledged_survives(tmp_path):
    Index.create(tmp_path / "idx", "toy", 16)
    sure: set[str] = set()
    start = 0
    for wait_ms in (30, 270, 110):
        command = [sys.executable, "-c", WRITER, str(tmp_path / "idx"), str(start)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            first = writer.stdout.readline()
            time.sleep(wait_ms / 1000)
            writer.kill()
            lines = [line.split() for line in [first, *writer.stdout.readlines()] if line.endswith("\n")]
        assert writer.returncode == -signal.SIGKILL
        added = [int(i) for word, i in lines if word == "added"]
        deleted = {i for word, i in lines if word == "deleted"}
        sure |= {str(n) for i in added for n in range(i, i + 5)} - deleted
        in_flight = max(added, default=start - 5) + 5
        maybe = {str(n) for n in range(in_flight, in_flight + 5)}
        index = Index.open(tmp_path / "idx")
        index.verify()
        held = set(index.table().column("study_id").to_pylist())
        assert lines
        assert sure <= held
        assert not held & deleted
        assert held - sure in (set(), maybe, maybe - {str(in_flight)}), (
            "one change in flight, whole or not at all"
        )
        sure, start = held, in_flight + 5
