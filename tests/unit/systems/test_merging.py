"""Linear adapters become part of the backbones; bottlenecks cannot, and the error says so."""

from __future__ import annotations

import pytest
import torch
from typer.testing import CliRunner

import radalign
from radalign.cli.weights import app
from radalign.nn.lora import LowRank
from radalign.nn.merge import merge_adapters
from radalign.systems.base import create
from radalign.systems.merging import MergeError, merge_run
from tests.unit.systems.conftest import REPORTS, TINY

PLAIN = [setting for setting in TINY if "adapter_hidden" not in setting]


@pytest.fixture
def lora(tmp_path):
    system = create("lora", [*PLAIN, "model.rank=2", 'model.targets="all"']).eval()
    for module in system.modules():
        if isinstance(module, LowRank):
            torch.nn.init.normal_(module.up, std=0.1)  # as if trained
    system.save(tmp_path / "run")
    return system


def test_a_merged_system_is_a_plain_one_with_the_same_embeddings(lora, tmp_path):
    found = CliRunner().invoke(app, ["merge", str(tmp_path / "run"), "--out", str(tmp_path / "merged")])
    assert found.exit_code == 0, found.output
    assert "16 linear adapters are merged." in found.stdout
    (tmp_path / "merged").rename(tmp_path / "moved")
    plain = radalign.load(tmp_path / "moved")
    assert plain.recipe.system == "two_towers"
    assert not any(isinstance(module, LowRank) for module in plain.modules())
    close = {"rtol": 0, "atol": 1e-5}
    one, two = (torch.tensor(s.embed_texts(REPORTS)) for s in (lora, plain))
    torch.testing.assert_close(two, one, **close)
    assert plain.backbones != lora.backbones  # other weights, so another name


def test_a_bottleneck_cannot_be_merged_and_nothing_is_written(tmp_path):
    create("clinvla", TINY).save(tmp_path / "run")
    with pytest.raises(MergeError) as error:
        merge_run(tmp_path / "run", tmp_path / "merged")
    assert "4 adapters (vision.transformer.blocks.0.output_adapter, ...) cannot be merged" in str(error.value)
    assert "it has a ReLU between the matrices" in str(error.value)
    assert str(error.value).endswith("Nothing was written; keep the system as it is.")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_an_update_of_some_parts_of_a_packed_layer_equals_its_merged_layer(lora):
    x = torch.randn(3, 32)
    layer = lora.vision.transformer.blocks[0].qkv
    before = layer(x)
    merge_adapters(lora)
    assert layer.low_rank is None
    torch.testing.assert_close(layer(x), before, rtol=0, atol=1e-5)
