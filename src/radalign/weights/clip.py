"""CLIP checkpoints in Hugging Face's names: the image tower and the text tower."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from radalign.nn.text import TextConfig
from radalign.nn.transformer import Activation, TransformerConfig
from radalign.nn.vision import VisionConfig
from radalign.weights.names import CheckpointError, NameMap

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
_ACTIVATIONS: dict[str, Activation] = {"quick_gelu": "quick_gelu", "gelu": "gelu"}

_BLOCKS = {
    f"{ours}.{part}": tuple(f"{name}.{part}" for name in theirs)
    for part in ("weight", "bias")
    for ours, theirs in {
        "norm1": ("layer_norm1",),
        "qkv": tuple(f"self_attn.{name}_proj" for name in "qkv"),
        "out": ("self_attn.out_proj",),
        "norm2": ("layer_norm2",),
        "up": ("mlp.fc1",),
        "down": ("mlp.fc2",),
    }.items()
}

VISION = NameMap(
    family="CLIP image tower",
    rest={
        "cls": "vision_model.embeddings.class_embedding",
        "position": "vision_model.embeddings.position_embedding.weight",
        "patch.weight": "vision_model.embeddings.patch_embedding.weight",
        "first_norm.weight": "vision_model.pre_layrnorm.weight",
        "first_norm.bias": "vision_model.pre_layrnorm.bias",
        "norm.weight": "vision_model.post_layernorm.weight",
        "norm.bias": "vision_model.post_layernorm.bias",
        "projection.weight": "visual_projection.weight",
    },
    block="vision_model.encoder.layers.{i}.",
    blocks=_BLOCKS,
)

TEXT = NameMap(
    family="CLIP text tower",
    rest={
        "word.weight": "text_model.embeddings.token_embedding.weight",
        "position.weight": "text_model.embeddings.position_embedding.weight",
        "norm.weight": "text_model.final_layer_norm.weight",
        "norm.bias": "text_model.final_layer_norm.bias",
        "projection.weight": "text_projection.weight",
    },
    block="text_model.encoder.layers.{i}.",
    blocks=_BLOCKS,
)


def vision_config(hf: Mapping[str, Any], projection: int) -> VisionConfig:
    """Our configuration from the image part of a Hugging Face CLIP's `config.json`."""
    blocks = _blocks(hf, {"width": 768, "depth": 12, "heads": 12, "mlp": 3072}, causal=False)
    return VisionConfig(
        blocks, hf.get("patch_size", 32), hf.get("image_size", 224), patch_bias=False, norm_first=True,
        projection=projection, mean=MEAN, std=STD,
    )  # fmt: skip


def text_config(hf: Mapping[str, Any], projection: int) -> TextConfig:
    """Our configuration from the text part of a Hugging Face CLIP's `config.json`."""
    blocks = _blocks(hf, {"width": 512, "depth": 12, "heads": 8, "mlp": 2048}, causal=True)
    return TextConfig(blocks, hf.get("vocab_size", 49408), hf.get("max_position_embeddings", 77), projection)


def _blocks(hf: Mapping[str, Any], default: Mapping[str, int], causal: bool) -> TransformerConfig:
    activation = hf.get("hidden_act", "quick_gelu")
    if activation not in _ACTIVATIONS:
        raise CheckpointError(
            f"The CLIP tower uses the activation {activation}; radalign has {', '.join(_ACTIVATIONS)}."
        )
    return TransformerConfig(
        width=hf.get("hidden_size", default["width"]),
        depth=hf.get("num_hidden_layers", default["depth"]),
        heads=hf.get("num_attention_heads", default["heads"]),
        mlp_width=hf.get("intermediate_size", default["mlp"]),
        norm_eps=hf.get("layer_norm_eps", 1e-5),
        activation=_ACTIVATIONS[activation],
        causal=causal,
    )
