"""ResNet checkpoints in Hugging Face form (microsoft/resnet-50), with or without the classifier."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from radalign.nn.resnet import ResNetConfig
from radalign.weights.names import CheckpointError, NameMap, Published

_PARTS = {
    "weight": "convolution.weight",
    "gain": "normalization.weight",
    "bias": "normalization.bias",
    "mean": "normalization.running_mean",
    "variance": "normalization.running_var",
}
_COUNTER = "num_batches_tracked"


def config(hf: Mapping[str, Any]) -> ResNetConfig:
    """Our configuration from the `config.json` of a Hugging Face ResNet.

    Raises:
        CheckpointError: The blocks, the activation or the channels are others, or a size is none.
    """
    _need(hf, "hidden_act", ("relu",))
    _need(hf, "layer_type", ("bottleneck", "basic"))
    _need(hf, "num_channels", (3,))
    try:
        return ResNetConfig(
            stem_width=_whole(hf.get("embedding_size", 64)),
            widths=tuple(_whole(n) for n in hf.get("hidden_sizes", ResNetConfig.widths)),
            depths=tuple(_whole(n) for n in hf.get("depths", ResNetConfig.depths)),
            block=hf.get("layer_type", "bottleneck"),
            first_halves=bool(hf.get("downsample_in_first_stage", False)),
            stride_first=bool(hf.get("downsample_in_bottleneck", False)),
        )
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"The sizes in config.json are not those of a ResNet ({error}); download it again."
        ) from error


def settings_of(shape: ResNetConfig) -> dict[str, Any]:
    """The `config.json` of which `config` makes this configuration again."""
    return {
        "model_type": "resnet",
        "hidden_act": "relu",
        "num_channels": 3,
        "embedding_size": shape.stem_width,
        "hidden_sizes": list(shape.widths),
        "depths": list(shape.depths),
        "layer_type": shape.block,
        "downsample_in_first_stage": shape.first_halves,
        "downsample_in_bottleneck": shape.stride_first,
    }


def names(shape: ResNetConfig) -> NameMap:
    """The table of a ResNet's names, which stages of different depths make different for every size."""
    rest = dict(_named("stem.", "embedder.embedder."))
    layers = 2 if shape.block == "basic" else 3
    for stage, depth in enumerate(shape.depths):
        for i in range(depth):
            ours, theirs = f"stages.{stage}.{i}.", f"encoder.stages.{stage}.layers.{i}."
            rest |= _named(f"{ours}shortcut.", f"{theirs}shortcut.")
            for k in range(layers):
                rest |= _named(f"{ours}layers.{k}.", f"{theirs}layer.{k}.")
    return NameMap("ResNet", "encoder.stages.{i}.", {}, rest, prefixes=("resnet.", ""))


def tidy(published: Published) -> dict[str, Tensor]:
    """A checkpoint without the counters of training batches, which no embedding depends on."""
    return {name: tensor for name, tensor in published.items() if not name.endswith(_COUNTER)}


def _named(ours: str, theirs: str) -> Iterator[tuple[str, str]]:
    """Our names and the published ones of one convolution with its normalisation."""
    for part, published in _PARTS.items():
        yield ours + part, theirs + published


def _need(hf: Mapping[str, Any], key: str, known: tuple[Any, ...]) -> None:
    """Refuse a value that would be ignored; an absent key has the first."""
    if hf.get(key, known[0]) not in known:
        listed = " or ".join(str(value) for value in known)
        raise CheckpointError(
            f"This ResNet has {key} {hf[key]}; radalign has {listed} only; use one with that."
        )


def _whole(number: Any) -> int:
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"{number!r} is no whole number")
    return number
