"""(A1) Two processes give ALTA the losses and gradients of one: every report keeps its own length.

The public code pairs gathered reports with other processes' lengths, which changes the local loss.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import torch

from tests.distributed.alta_work import contrastive

PROJECT = Path(__file__).parents[2]


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def test_global_and_local_losses_and_gradients_are_those_of_one_process(tmp_path):
    whole = contrastive(0, 1)
    shared = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "src")]),
        "OMP_NUM_THREADS": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": free_port(),
        "GLOO_SOCKET_IFNAME": "lo",
        "WORLD_SIZE": "2",
    }
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.distributed.alta_work", str(tmp_path)],
            env=shared | {"RANK": str(rank)},
            cwd=PROJECT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    said = [process.communicate(timeout=200)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], "\n".join(said)
    assert {"global_contrastive", "local_contrastive", "log_scales", "view_embedding"} <= set(whole)
    for rank in (0, 1):
        part = torch.load(tmp_path / f"alta-{rank}", weights_only=True)
        assert set(part) == set(whole)
        for name, value in whole.items():
            torch.testing.assert_close(part[name], value, rtol=1e-4, atol=1e-5, msg=name)
