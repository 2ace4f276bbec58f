"""The collapse monitor: its numbers against plain formulas, and its verdict on a loss that does collapse."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from radalign.nn.heads import ProjectionHead
from radalign.objectives.collapse import Collapse, effective_rank, measure_collapse, spread
from radalign.objectives.contrastive import global_contrastive
from radalign.objectives.published import global_attraction


@pytest.mark.parametrize("shape", [(7, 20), (40, 5)])
def test_the_effective_rank_is_the_exponential_of_the_entropy(shape):
    z = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    power = np.linalg.svd(z.double().numpy(), compute_uv=False) ** 2
    share = power / power.sum()
    assert effective_rank(z) == pytest.approx(math.exp(-(share * np.log(share)).sum()), rel=1e-6)


def test_the_cosines_are_those_of_two_loops():
    generator = torch.Generator().manual_seed(1)
    z_img, z_txt = (F.normalize(torch.randn(6, 4, generator=generator), dim=-1) for _ in range(2))
    own = [float(z_img[i] @ z_txt[i]) for i in range(6)]
    other = [float(z_img[i] @ z_txt[j]) for i in range(6) for j in range(6) if i != j]
    found = measure_collapse(z_img, z_txt)
    assert found.positive == pytest.approx(np.mean(own), abs=1e-6)
    assert found.negative == pytest.approx(np.mean(other), abs=1e-6)
    assert found.gap == pytest.approx(np.mean(own) - np.mean(other), abs=1e-6)


def test_a_uniform_sphere_has_spread_one_and_a_point_none():
    z = F.normalize(torch.randn(4000, 64, generator=torch.Generator().manual_seed(2)), dim=-1)
    assert spread(z) == pytest.approx(1, abs=0.02)
    assert spread(z[:1].expand(9, -1)) == pytest.approx(0, abs=1e-6)


def test_the_poorer_side_decides():
    rich, poor = torch.eye(5), torch.eye(5)[:1].expand(5, -1)
    assert measure_collapse(rich, poor).effective_rank == pytest.approx(1)
    assert measure_collapse(poor, rich).spread == pytest.approx(0)


@pytest.mark.parametrize(
    ("numbers", "verdict"),
    [
        ((0.9, 0.96, 9, 0.9), "fail"),
        ((0.9, 0.1, 1.9, 0.9), "fail"),
        ((0.9, 0.1, 9, 0.14), "fail"),
        ((0.9, 0.81, 9, 0.9), "warn"),
        ((0.9, 0.1, 9, 0.29), "warn"),
        ((0.9, 0.79, 2.1, 0.31), "fine"),
    ],
)
def test_each_limit_decides_on_its_own(numbers, verdict):
    assert Collapse(*numbers).verdict == verdict


def test_one_pair_is_no_collapse():
    assert measure_collapse(torch.eye(2)[:1], torch.eye(2)[:1]).verdict == "fine"


def pairs(count: int, generator: torch.Generator) -> list[torch.Tensor]:
    """Pairs that share 24 hidden factors in two spaces of 768 with noise and other means, as where the limits come from."""
    hidden = torch.randn(count, 24, generator=generator)
    sides = []
    for seed in (10, 11):
        to_side = torch.randn(24, 768, generator=torch.Generator().manual_seed(seed)) / 24**0.5
        mean = torch.randn(768, generator=torch.Generator().manual_seed(seed + 2))
        sides.append(hidden @ to_side + 0.5 * torch.randn(count, 768, generator=generator) + mean)
    return sides


def after_training(objective: str, steps: int) -> tuple[float, list[torch.Tensor]]:
    """The last loss, and 1,000 held-out pairs embedded by heads of ALTA's shape (AdamW 1e-4, decay 1e-4, batch 32)."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    train, held_out = pairs(4096, generator), pairs(1000, generator)
    heads = [ProjectionHead(768, 128), ProjectionHead(768, 128)]
    scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
    trained = [scale, *(p for head in heads for p in head.parameters())]
    adam = torch.optim.AdamW(trained, lr=1e-4, weight_decay=1e-4, fused=True)
    for _ in range(steps):
        rows = torch.randint(4096, (32,), generator=generator)
        z = [F.normalize(head(side[rows]), dim=-1) for head, side in zip(heads, train, strict=True)]
        loss = global_attraction(*z) if objective == "published" else global_contrastive(*z, scale)
        adam.zero_grad()
        loss.backward()
        adam.step()
    with torch.no_grad():
        z = [F.normalize(head(side), dim=-1) for head, side in zip(heads, held_out, strict=True)]
    return loss.item(), z


def recall_at_1(z: list[torch.Tensor]) -> float:
    return ((z[0] @ z[1].T).argmax(1) == torch.arange(len(z[0]))).float().mean().item()


def test_the_published_loss_trips_the_monitor_while_it_falls():
    loss, z = after_training("published", 500)
    found = measure_collapse(*z)
    assert loss < 0.02  # it looks splendid
    assert found.verdict == "fail"
    assert found.negative > 0.95
    assert found.effective_rank < 2
    assert "have collapsed" in found.sentence()


def test_the_contrastive_loss_does_not_and_finds_nearly_every_pair():
    _, z = after_training("contrastive", 300)
    found = measure_collapse(*z)
    assert found.verdict == "fine"
    assert found.effective_rank > 20
    assert recall_at_1(z) > 0.9
