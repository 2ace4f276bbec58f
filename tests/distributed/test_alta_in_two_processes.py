"""(A1) Two processes give ALTA the losses and gradients of one: every report keeps its own length.

The public code pairs gathered reports with other processes' lengths, which changes the local loss.
"""

from __future__ import annotations

import torch

from tests.distributed.alta_work import contrastive
from tests.distributed.two_processes import run_in_two_processes


def test_global_and_local_losses_and_gradients_are_those_of_one_process(tmp_path):
    whole = contrastive(0, 1)
    run_in_two_processes("alta_work", tmp_path)
    assert {"global_contrastive", "local_contrastive", "log_scales", "view_embedding"} <= set(whole)
    for rank in (0, 1):
        part = torch.load(tmp_path / f"alta-{rank}", weights_only=True)
        assert set(part) == set(whole)
        for name, value in whole.items():
            torch.testing.assert_close(part[name], value, rtol=1e-4, atol=1e-5, msg=name)
