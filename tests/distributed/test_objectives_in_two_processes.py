"""Two processes give every system's objectives the losses and gradients of one with the whole batch.

The halves have unlike numbers of views, words and hidden words, so a mean of two means would differ. In the
public code of ALTA, gathered reports get other processes' lengths (A1); here every report keeps its own.
"""

from __future__ import annotations

import pytest
import torch

from radalign.systems.kinds import SYSTEMS
from tests.distributed.objectives_work import CASES, losses_and_gradients, made
from tests.distributed.two_processes import run_in_two_processes


@pytest.fixture(scope="module")
def together(tmp_path_factory) -> list[dict[str, dict[str, torch.Tensor]]]:
    """What each of two processes has found, by case."""
    folder = tmp_path_factory.mktemp("objectives")
    run_in_two_processes("objectives_work", folder)
    return [torch.load(folder / f"objectives-{rank}", weights_only=True) for rank in (0, 1)]


@pytest.mark.parametrize("case", CASES)
def test_losses_gradients_and_running_means_are_those_of_one_process(case, together):
    whole = {name: value.double() for name, value in losses_and_gradients(case, 0, 1).items()}
    largest = max(value.abs().max() for name, value in whole.items() if " gradient " in name)
    for found in together:
        part = found[case]
        assert set(part) == set(whole)
        for name, value in whole.items():
            size = max(value.norm(torch.inf), 1e-3 * largest)
            assert (part[name].double() - value).norm(torch.inf) <= 1e-4 * size, name


def test_no_system_and_no_objective_is_left_out():
    systems = {case: made(case) for case in CASES}
    weighed: dict[str, set[str]] = {}
    for system in systems.values():
        weighed.setdefault(system.recipe.system, set()).update(filter(system.weight, system.objective_names))
    assert weighed == {system.recipe.system: set(system.objective_names) for system in systems.values()}
    assert set(weighed) == set(SYSTEMS) - {"closed_form"}  # which has nothing to train
