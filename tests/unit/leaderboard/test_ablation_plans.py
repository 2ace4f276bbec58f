"""Every arm of the packaged ablations and of the boards from the closed form trains exactly what its objectives reach, so that its counts are true."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from radalign.data.batches import ImageBatch, StudyBatch
from radalign.leaderboard.plan import Arm, load_plan
from radalign.systems.base import create
from tests.unit.systems.conftest import REPORTS, TINY

PLANS = [
    "ablations-clinvla",
    "ablations-clinvla-small",
    "ablations-nearl",
    "ablations-nearl-small",
    "openi-warm",
    "simulated-warm",
]
ARMS = {
    f"{plan}: {arm.name}": arm
    for plan in PLANS
    for arm in load_plan(plan).arm
    if arm.recipe not in ("cca", "ridge")
    and "adapter" not in arm.recipe  # few-shot classifiers have their own
}


def tiny_system(arm: Arm):
    settings = [s for s in TINY if arm.recipe.startswith("clinvla") or "adapter_hidden" not in s]
    settings += ["model.decoder_heads=2"] if arm.recipe == "alta" else []
    if arm.recipe == "medklip":  # its space has one axis per finding
        settings = [s for s in settings if "embedding_width" not in s]
    return create(arm.recipe, [*settings, *arm.settings])


def batch_of(system) -> StudyBatch:
    slots = len(system.recipe.data.slots)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (4, slots, 32, 32), dtype=torch.uint8, generator=generator)
    ids = tuple(f"s{number}" for number in range(4))
    mask = torch.ones(4, slots, dtype=torch.bool)
    return StudyBatch(ImageBatch(images, mask), system.tokenize(REPORTS), study_ids=ids)


@pytest.mark.parametrize("name", ARMS)
def test_a_parameter_trains_exactly_if_an_objective_reaches_it(name: str) -> None:
    system = tiny_system(ARMS[name]).train()
    system.total(system.objectives(batch_of(system))).backward()
    assert [n for n, p in system.named_parameters() if p.requires_grad and p.grad is None] == []
    assert [n for n, p in system.named_parameters() if not p.requires_grad and p.grad is not None] == []


def test_every_objective_and_the_projection_have_an_arm_without_them() -> None:
    clinvla = {tuple(arm.settings) for arm in load_plan("ablations-clinvla").arm}
    assert {("objectives={local_contrastive=0.8}",), ("objectives={global_contrastive=1.0}",)} <= clinvla
    assert ("model.orthogonality=soft",) in {tuple(arm.settings) for arm in load_plan("ablations-nearl").arm}


@pytest.mark.parametrize("plan", PLANS)
def test_no_two_arms_are_the_same_run(plan: str) -> None:
    arms = load_plan(plan).arm
    runs = sorted((arm.recipe, tuple(sorted(arm.settings)), str(arm.pretrain)) for arm in arms)
    assert all(one != other for one, other in pairwise(runs))
