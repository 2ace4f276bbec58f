"""An encoder as a folder in Hugging Face form: config.json, model.safetensors, normalisation, tokenizer.

The name maps backwards: what `hub.load_vision` and `hub.load_text` read again gives the same numbers and has
the same weights' hash.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from radalign.nn.resnet import ResNet
from radalign.nn.text import TextEncoder
from radalign.nn.tower import VisionTower
from radalign.nn.vision import VisionEncoder
from radalign.weights import bert, clip, dinov2, resnet, vit
from radalign.weights.names import CheckpointError, NameMap

LOOKS = "preprocessor_config.json"
TOKENIZER_FILES = (
    "tokenizer.json", "vocab.txt", "vocab.json", "merges.txt",
    "tokenizer_config.json", "special_tokens_map.json",
)  # fmt: skip


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill, put in its place only when it is whole; on an error nothing stays behind.

    Raises:
        CheckpointError: There is something in that place already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CheckpointError(f"{folder} is there already; give another --out, or delete it first.")
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        yield partial
        if folder.is_dir():
            folder.rmdir()
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_vision(encoder: VisionTower, folder: Path, beside: Mapping[str, Tensor] | None = None) -> None:
    """Write a vision encoder of the ViT, DINOv2, CLIP or ResNet family.

    Args:
        encoder: Its adapter slots are not written.
        folder: Made when it is not there.
        beside: Further tensors of the same file under published names (a decoder).
    """
    names, settings = _vision_family(encoder)
    _write(folder, settings, published_tensors(encoder, names) | dict(beside or {}))
    write_looks(folder, encoder)


def write_text(encoder: TextEncoder, folder: Path, beside: Mapping[str, Tensor] | None = None) -> None:
    """Write a text encoder of the BERT or CLIP family, without a tokenizer (`copy_tokenizer`).

    Args:
        encoder: Its adapter slots are not written.
        folder: Made when it is not there.
        beside: Further tensors of the same file under published names (heads).
    """
    names, settings = _text_family(encoder)
    _write(folder, settings, published_tensors(encoder, names) | dict(beside or {}))


def write_looks(folder: Path, encoder: VisionTower) -> None:
    """Write how images are normalised, in Hugging Face's form."""
    looks: dict[str, Any] = {
        "image_mean": list(encoder.mean), "image_std": list(encoder.std), "do_normalize": True,
    }  # fmt: skip
    if isinstance(encoder, VisionEncoder):  # a ResNet was made for no size in particular
        looks["size"] = {"height": encoder.config.image_px, "width": encoder.config.image_px}
    (folder / LOOKS).write_text(json.dumps(looks, indent=2), "utf-8")


def copy_tokenizer(source: Path, folder: Path) -> bool:
    """Copy the tokenizer's files of a folder; False when it has none."""
    found = [source / name for name in TOKENIZER_FILES if (source / name).is_file()]
    for path in found:
        shutil.copyfile(path, folder / path.name)
    return any(path.name in ("tokenizer.json", "vocab.txt", "merges.txt") for path in found)


def published_tensors(encoder: VisionTower | TextEncoder, names: NameMap) -> dict[str, Tensor]:
    """An encoder's tensors under published names, in published shapes: the map, backwards."""
    ours = encoder.state_dict()
    tensors: dict[str, Tensor] = {}
    for name, theirs in names.table(encoder.depth).items():
        if name in ours:
            whole = _published_shape(encoder, name, ours[name], names)
            tensors |= dict(zip(theirs, whole.chunk(len(theirs)), strict=True))
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}


def _published_shape(encoder: VisionTower | TextEncoder, name: str, tensor: Tensor, names: NameMap) -> Tensor:
    """[D, 3 * p * p] -> [D, 3, p, p]; [D] -> [1, 1, D] and [P, D] -> [1, P, D], but not for CLIP."""
    if not isinstance(encoder, VisionEncoder):
        return tensor
    if name == "patch.weight":
        return tensor.view(-1, 3, encoder.patch_px, encoder.patch_px)
    if name in ("cls", "position") and names is not clip.VISION:
        return tensor.view(1, -1, encoder.width)
    return tensor


def _vision_family(encoder: VisionTower) -> tuple[NameMap, dict[str, Any]]:
    if isinstance(encoder, ResNet):
        return resnet.names(encoder.config), resnet.settings_of(encoder.config)
    config, blocks = encoder.config, encoder.config.transformer
    shape = _blocks(blocks) | {"patch_size": config.patch_px, "image_size": config.image_px}
    if config.norm_first:
        shape |= {"hidden_act": blocks.activation, "projection_dim": config.projection}
        return clip.VISION, {
            "model_type": "clip",
            "projection_dim": config.projection,
            "vision_config": shape,
        }
    if config.projection:
        raise CheckpointError(
            "A ViT with a projection (BiomedCLIP) has no Hugging Face form; keep its folder."
        )
    if blocks.layer_scale:
        ratio = {"mlp_ratio": blocks.mlp_width / blocks.width}
        return dinov2.HF, {"model_type": "dinov2"} | shape | ratio
    return vit.HF, {"model_type": "vit", "position_embedding": config.position} | shape


def _text_family(encoder: TextEncoder) -> tuple[NameMap, dict[str, Any]]:
    config, blocks = encoder.config, encoder.config.transformer
    if blocks.norm == "pre":
        shape = _blocks(blocks) | {
            "vocab_size": config.vocabulary, "max_position_embeddings": config.max_tokens,
            "hidden_act": blocks.activation,
        }  # fmt: skip
        return clip.TEXT, {"model_type": "clip", "projection_dim": config.projection, "text_config": shape}
    if config.projection:
        raise CheckpointError(
            "A BERT with a projection (BiomedCLIP) has no Hugging Face form; keep its folder."
        )
    return bert.HF, bert.settings_of(config)


def _blocks(blocks: Any) -> dict[str, Any]:
    return {
        "hidden_size": blocks.width, "num_hidden_layers": blocks.depth, "num_attention_heads": blocks.heads,
        "intermediate_size": blocks.mlp_width, "layer_norm_eps": blocks.norm_eps, "qkv_bias": blocks.qkv_bias,
    }  # fmt: skip


def _write(folder: Path, settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(settings, indent=2), "utf-8")
    save_file(dict(tensors), folder / "model.safetensors", metadata={"format": "pt"})
