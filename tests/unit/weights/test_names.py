import pytest
import torch

from radalign.weights.names import CheckpointError, NameMap, rename

MAP = NameMap(
    family="toy",
    prefixes=("toy.", ""),
    rest={"cls": "emb.cls", "patch.weight": "emb.conv"},
    block="layer.{i}.",
    blocks={"qkv.weight": ("q", "k", "v"), "norm1.weight": "ln"},
)
SHAPES = {
    "cls": (2,),
    "patch.weight": (2, 12),
    "transformer.blocks.0.qkv.weight": (6, 2),
    "transformer.blocks.0.norm1.weight": (2,),
}


def published(prefix="", blocks=1):
    tensors = {"emb.cls": torch.ones(1, 1, 2), "emb.conv": torch.arange(24.0).view(2, 3, 2, 2)}
    for i in range(blocks):
        tensors |= {f"layer.{i}.{name}": torch.full((2, 2), float(n)) for n, name in enumerate("qkv")}
        tensors[f"layer.{i}.ln"] = torch.zeros(2)
    return {prefix + name: tensor for name, tensor in tensors.items()}


@pytest.mark.parametrize("prefix", ["", "toy."])
def test_tensors_get_our_names_and_shapes(prefix):
    found = rename(published(prefix), MAP, SHAPES, depth=1)
    assert {name: tuple(t.shape) for name, t in found.tensors.items()} == SHAPES
    assert found.tensors["transformer.blocks.0.qkv.weight"][:, 0].tolist() == [0, 0, 1, 1, 2, 2]
    assert found.tensors["patch.weight"].flatten().tolist() == list(range(24))
    assert set(found.account.loaded) == set(published(prefix))
    assert found.account.missing == found.account.unexpected == ()


def test_tensors_beside_the_encoder_are_listed_and_allowed():
    found = rename(published() | {"pooler.weight": torch.ones(1)}, MAP, SHAPES, depth=1)
    assert found.account.unexpected == ("pooler.weight",)


def test_a_missing_tensor_is_an_error_that_counts_and_names():
    tensors = published()
    del tensors["layer.0.k"]
    with pytest.raises(CheckpointError) as error:
        rename(tensors, MAP, SHAPES, depth=1)
    assert "not a toy of this size: 3 tensors loaded, 1 missing (transformer.blocks.0.qkv.weight), " in str(
        error.value
    )
    assert "2 unexpected (layer.0.q, layer.0.v)" in str(error.value)
    assert str(error.value).endswith("its own config.json.")


def test_more_blocks_than_the_configuration_says_is_an_error():
    with pytest.raises(
        CheckpointError, match=r"0 missing \(none\), 4 unexpected \(layer\.1\.q, layer\.1\.k, "
    ):
        rename(published(blocks=2), MAP, SHAPES, depth=1)


def test_a_part_of_a_block_that_the_encoder_has_not_is_an_error():
    """An adapter inside a block changes the function, so it must not be dropped in silence."""
    with pytest.raises(CheckpointError, match=r"1 unexpected \(layer\.0\.adapter\)"):
        rename(published() | {"layer.0.adapter": torch.ones(2)}, MAP, SHAPES, depth=1)


def test_another_shape_is_an_error_and_nothing_is_transposed():
    tensors = published() | {"emb.cls": torch.ones(1, 1, 3)}
    with pytest.raises(
        CheckpointError, match=r"cls has shape \[3\] in the checkpoint and \[2\] in the encoder"
    ):
        rename(tensors, MAP, SHAPES, depth=1)
    with pytest.raises(CheckpointError, match=r"shape \[4, 3\]"):
        rename(published() | {"emb.cls": torch.ones(4, 3)}, MAP, SHAPES | {"cls": (3, 4)}, depth=1)
