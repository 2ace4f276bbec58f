"""Random weights that a checkpoint replaces are not drawn while a saved system is loaded, and only then."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from radalign.weights.undrawn import loading, to_be_filled


def made() -> list[torch.Tensor]:
    layer, table = nn.Linear(3, 2), nn.Embedding(4, 2)
    by_name = nn.init.kaiming_normal_(tensor=torch.ones(2, 2))
    return [layer.weight, layer.bias, table.weight, nn.init.trunc_normal_(torch.ones(2, 2)), by_name]


def test_while_loading_an_encoder_out_of_a_file_starts_as_zeros() -> None:
    state = torch.random.get_rng_state()
    with loading(), to_be_filled("minilm-l6"):
        assert all(not tensor.any() for tensor in made())
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("spec", [{"random": {"width": 8}}, {"file": "x.safetensors"}])
def test_one_that_is_random_numbers_is_drawn_in_any_case(spec: dict) -> None:
    with loading(), to_be_filled(spec):
        assert all(tensor.any() for tensor in made())


def test_random_numbers_inside_what_a_file_fills_are_drawn() -> None:
    with loading(), to_be_filled("runs/mrm"), to_be_filled({"random": {"width": 8}}):  # where that run began
        assert all(tensor.any() for tensor in made())


def test_a_new_system_draws_as_ever() -> None:
    torch.manual_seed(3)
    plain = made()
    torch.manual_seed(3)
    with to_be_filled("minilm-l6"):
        assert all(torch.equal(a, b) for a, b in zip(made(), plain, strict=True))


def test_what_is_no_drawing_is_left_alone() -> None:
    with loading(), to_be_filled("minilm-l6"):
        assert (torch.ones(3) + nn.LayerNorm(3).weight).tolist() == [2.0, 2.0, 2.0]
