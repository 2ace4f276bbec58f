"""Two processes over gloo on this machine give the loss and the gradients of one with the whole batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from radalign.train.record import read_log
from tests.distributed.shared_work import gathered_loss, trained
from tests.distributed.two_processes import run_in_two_processes
from tests.training_toy import toy_manifest


@pytest.fixture(scope="module")
def together(tmp_path_factory) -> Path:
    """A folder in which two processes have trained a toy and gathered a batch."""
    folder = tmp_path_factory.mktemp("two")
    toy_manifest(folder / "images", 24).write(folder / "m.parquet")
    run_in_two_processes("shared_work", folder, timeout_s=100, ACCELERATE_USE_CPU="1")
    return folder


def test_the_gather_gives_the_loss_and_the_gradients_of_one_process(together):
    whole = gathered_loss(0, 1)
    for rank in (0, 1):
        part = torch.load(together / f"gathered-{rank}", weights_only=True)
        assert part[3].tolist() == [4, 1, 3, 2, 2, 1]  # every report keeps its own length
        for mine, theirs in zip(part[:3], whole[:3], strict=True):
            assert torch.allclose(mine, theirs, atol=1e-6)


def test_two_processes_train_like_one_with_twice_the_batch(together):
    trained(together, "one", 8)
    one, two = (read_log(together / name / "log.jsonl") for name in ("one", "two"))
    losses = [[line["total"] for line in log if line["kind"] == "step"] for log in (one, two)]
    assert len(losses[0]) == 2
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    checks = [[line["loss"] for line in log if line["kind"] == "validation"] for log in (one, two)]
    assert checks[0] == pytest.approx(checks[1], rel=1e-4)
