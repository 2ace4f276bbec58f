"""Start a module of the tests in two processes over gloo on this machine, and wait for both."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]


def run_in_two_processes(module: str, folder: Path, timeout_s: float = 200, **environment: str) -> None:
    shared = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "src")]),
        "OMP_NUM_THREADS": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": _free_port(),
        "GLOO_SOCKET_IFNAME": "lo",
        "WORLD_SIZE": "2",
        **environment,
    }
    running = [
        subprocess.Popen(
            [sys.executable, "-m", f"tests.distributed.{module}", str(folder)],
            env=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            cwd=PROJECT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    said = [process.communicate(timeout=timeout_s)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], "\n".join(said)


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])
