"""ViT checkpoints: Hugging Face's names, and timm's (MAE, MRM, ALTA)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from torch import Tensor

from radalign.nn.transformer import TransformerConfig
from radalign.nn.vision import VisionConfig
from radalign.weights.names import CheckpointError, NameMap, block_count

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
    """Our configuration from the `config.json` of a Hugging Face ViT.

    Raises:
        CheckpointError: The activation is not GELU.
    """
    if hf.get("hidden_act", "gelu") != "gelu":
        raise CheckpointError(
            f"This ViT has the activation {hf['hidden_act']}; radalign has GELU only; use one with that."
        )
    blocks = TransformerConfig(
        width=hf.get("hidden_size", 768),
        depth=hf.get("num_hidden_layers", 12),
        heads=hf.get("num_attention_heads", 12),
        mlp_width=hf.get("intermediate_size", 3072),
        norm_eps=hf.get("layer_norm_eps", 1e-12),
        qkv_bias=hf.get("qkv_bias", True),
    )
    half, fixed = (0.5, 0.5, 0.5), hf.get("position_embedding") == "sincos"
    position: Literal["learned", "sincos"] = "sincos" if fixed else "learned"
    sizes = hf.get("patch_size", 16), hf.get("image_size", 224)
    return VisionConfig(blocks, *sizes, position=position, mean=half, std=half)


def timm(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's tensors of a checkpoint with timm's names, without a decoder that stands beside it."""
    return {name: tensor for name, tensor in published.items() if not name.startswith("decoder")}


def timm_config(published: Mapping[str, Tensor], settings: Mapping[str, Any]) -> VisionConfig:
    """Our configuration from the shapes of a checkpoint with timm's names.

    Args:
        published: The checkpoint.
        settings: What shapes cannot tell: `heads` (default: heads of 64), `norm_eps` (1e-6), `position`
            (`sincos` keeps the checkpoint's positions from training), `mean` and `std` (ImageNet's).

    Raises:
        CheckpointError: The checkpoint has no timm patch embedding, or a setting is unknown.
    """
    unknown = sorted(set(settings) - {"heads", "norm_eps", "position", "mean", "std"})
    if unknown:
        raise CheckpointError(f"Unknown settings for a checkpoint file: {', '.join(unknown)}; remove them.")
    prefix = TIMM.prefix(published)
    try:
        kernel = published[f"{prefix}patch_embed.proj.weight"]
        mlp = published[f"{prefix}blocks.0.mlp.fc1.weight"]
        places = published[f"{prefix}pos_embed"].shape[1] - 1
    except KeyError as error:
        raise CheckpointError(f"The checkpoint has no {error.args[0]}; give a timm ViT.") from None
    width, patch_px = kernel.shape[0], kernel.shape[-1]
    blocks = TransformerConfig(
        width=width,
        depth=block_count(published, f"{prefix}blocks."),
        heads=settings.get("heads", max(1, width // 64)),
        mlp_width=mlp.shape[0],
        norm_eps=settings.get("norm_eps", 1e-6),
    )
    looks = {key: settings[key] for key in ("position", "mean", "std") if key in settings}
    return VisionConfig(blocks, patch_px, math.isqrt(places) * patch_px, **looks)
