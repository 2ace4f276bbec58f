"""ViT checkpoints: Hugging Face's names, and timm's (MAE, MRM, ALTA)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from radalign.nn.transformer import TransformerConfig
from radalign.nn.vision import VisionConfig
from radalign.weights.names import NameMap

HF = NameMap(
    family="ViT",
    prefixes=("vit.", ""),
    rest={
        "cls": "embeddings.cls_token",
        "position": "embeddings.position_embeddings",
        "patch.weight": "embeddings.patch_embeddings.projection.weight",
        "patch.bias": "embeddings.patch_embeddings.projection.bias",
        "norm.weight": "layernorm.weight",
        "norm.bias": "layernorm.bias",
    },
    block="encoder.layer.{i}.",
    blocks={
        f"{ours}.{part}": tuple(f"{name}.{part}" for name in theirs)
        for part in ("weight", "bias")
        for ours, theirs in {
            "norm1": ("layernorm_before",),
            "qkv": tuple(f"attention.attention.{name}" for name in ("query", "key", "value")),
            "out": ("attention.output.dense",),
            "norm2": ("layernorm_after",),
            "up": ("intermediate.dense",),
            "down": ("output.dense",),
        }.items()
    },
)

TIMM = NameMap(
    family="timm ViT",
    prefixes=("", "visual.trunk.", "img_encoder.", "model."),
    rest={
        "cls": "cls_token",
        "position": "pos_embed",
        "patch.weight": "patch_embed.proj.weight",
        "patch.bias": "patch_embed.proj.bias",
        "norm.weight": "norm.weight",
        "norm.bias": "norm.bias",
    },
    block="blocks.{i}.",
    blocks={
        f"{ours}.{part}": f"{theirs}.{part}"
        for part in ("weight", "bias")
        for ours, theirs in {
            "norm1": "norm1",
            "qkv": "attn.qkv",
            "out": "attn.proj",
            "norm2": "norm2",
            "up": "mlp.fc1",
            "down": "mlp.fc2",
        }.items()
    },
)


def config(hf: Mapping[str, Any]) -> VisionConfig:
    """Our configuration from the `config.json` of a Hugging Face ViT."""
    blocks = TransformerConfig(
        width=hf.get("hidden_size", 768),
        depth=hf.get("num_hidden_layers", 12),
        heads=hf.get("num_attention_heads", 12),
        mlp_width=hf.get("intermediate_size", 3072),
        norm_eps=hf.get("layer_norm_eps", 1e-12),
        qkv_bias=hf.get("qkv_bias", True),
    )
    half = (0.5, 0.5, 0.5)
    return VisionConfig(blocks, hf.get("patch_size", 16), hf.get("image_size", 224), mean=half, std=half)
