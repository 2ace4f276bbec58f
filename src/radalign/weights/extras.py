"""What lies beside an encoder in its checkpoint: MRM's image decoder, CXR-BERT's projection and word heads.

A system that has such a part begins with the published one. Names within a part are ours: those of
`nn.decoder.ImageDecoder`, `nn.heads.ProjectionHead` and `nn.heads.WordHead`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor, nn, uint8

from radalign.weights.files import read_checkpoint, read_folder
from radalign.weights.hub import encoder_folder
from radalign.weights.names import Published, block_count
from radalign.weights.trained import TENSORS, run_recipe, system_folder

_PAIR = ("weight", "bias")
_DECODER_BLOCK = {
    "norm1": "norm1", "qkv": "attn.qkv", "out": "attn.proj",
    "norm2": "norm2", "up": "mlp.fc1", "down": "mlp.fc2",
}  # fmt: skip
_HEAD = {"dense": "dense_to_hidden", "norm": "LayerNorm", "out": "dense_to_output"}
_WORD_HEAD = {"dense": "transform.dense", "norm": "transform.LayerNorm"}
DECODER_SETTINGS = ("decoder_heads", "decoder_depth", "target_scale")
PROJECTION = "cls_projection_head."
WORDS = "cls.predictions."
CXR_BERT_DROPOUT = 0.25  # of hidden states and attention, as its config.json says


def decoder_names(depth: int) -> dict[str, str]:
    """Our name in an image decoder of `depth` blocks -> MRM's and ALTA's published name."""
    names = {"mask_token": "mask_token", "position": "decoder_pos_embed"}
    for ours, theirs in {"embed": "embed", "norm": "norm", "predict": "pred"}.items():
        names |= {f"{ours}.{part}": f"decoder_{theirs}.{part}" for part in _PAIR}
    for i in range(depth):
        start, published = f"transformer.blocks.{i}.", f"decoder_blocks.{i}."
        for ours, theirs in _DECODER_BLOCK.items():
            names |= {f"{start}{ours}.{part}": f"{published}{theirs}.{part}" for part in _PAIR}
    return names


def projection_names() -> dict[str, str]:
    """Our name in a projection head -> CXR-BERT's, after the head's own name."""
    return {f"{ours}.{part}": f"{theirs}.{part}" for ours, theirs in _HEAD.items() for part in _PAIR}


def word_head_names() -> dict[str, str]:
    """Our name in a word head -> BERT's, after `cls.predictions.`."""
    names = {f"{ours}.{part}": f"{theirs}.{part}" for ours, theirs in _WORD_HEAD.items() for part in _PAIR}
    return names | {"bias": "bias"}


def decoder_tensors(published: Published) -> dict[str, Tensor]:
    """The tensors of a whole image decoder under their published names; empty when any is missing."""
    names = decoder_names(block_count(published, "decoder_blocks.")).values()
    if "decoder_blocks.0.norm1.weight" not in published or any(name not in published for name in names):
        return {}
    return {name: published[name].float().clone().contiguous() for name in names}


def head_names(published: Published) -> tuple[str, ...]:
    """The published names of the heads that a BERT came with, without the tied copy of its words."""
    words = {WORDS + theirs for theirs in word_head_names().values()}
    return tuple(name for name in published if name in words or name.startswith(PROJECTION))


def has_projection(published: Published) -> bool:
    """Whether CXR-BERT's own projection head is there, whole."""
    return all(PROJECTION + theirs in published for theirs in projection_names().values())


def decoder_of(spec: str | Mapping[str, Any]) -> dict[str, Tensor]:
    """The image decoder that came with a vision backbone, under our names; empty when none did."""
    published = _beside(spec, lambda name: name.startswith(("decoder", "mask_token")))
    if any(name.startswith("decoder.") for name in published):  # a run of masked record modelling
        return {name.removeprefix("decoder."): tensor for name, tensor in published.items()}
    names = decoder_names(block_count(published, "decoder_blocks."))
    return {ours: _plain(published[theirs]) for ours, theirs in names.items() if theirs in published}


def decoder_settings_of(spec: str | Mapping[str, Any]) -> dict[str, int]:
    """What the recipe of a run that is a vision backbone says of its decoder; empty for other backbones.

    >>> decoder_settings_of("minilm-l6")
    {}
    """
    folder = None if isinstance(spec, Mapping) else encoder_folder(spec)
    run = None if folder is None else system_folder(folder)
    model = {} if run is None else run_recipe(run).get("model", {})
    return {name: int(model[name]) for name in DECODER_SETTINGS if name in model}


def heads_of(spec: str | Mapping[str, Any]) -> dict[str, dict[str, Tensor]]:
    """The heads that came with a text backbone, under our names: `projection`, `words`."""
    published = _beside(spec, lambda name: name.startswith((PROJECTION, WORDS)))
    tables = {"projection": (PROJECTION, projection_names()), "words": (WORDS, word_head_names())}
    return {
        head: {o: published[start + t].float() for o, t in names.items() if start + t in published}
        for head, (start, names) in tables.items()
    }


def begin_with(module: nn.Module, tensors: Mapping[str, Tensor]) -> bool:
    """Copy published tensors into a module when they cover all of it; fixed positions need not fit.

    >>> begin_with(nn.Linear(1, 1), {"weight": Tensor([[2.0]])})
    False
    """
    shapes = {name: t.shape for name, t in module.state_dict().items() if name != "position"}
    if any(name not in tensors or tensors[name].shape != shape for name, shape in shapes.items()):
        return False
    module.load_state_dict({name: tensors[name] for name in shapes}, strict=False)
    return True


def tensor_hash(tensor: Tensor) -> str:
    """The SHA-256 of a tensor's type and bytes, in hex, to see later whether it is still what it began as.

    >>> tensor_hash(Tensor([1.0])) == tensor_hash(Tensor([2.0]))
    False
    """
    plain = tensor.detach().cpu().contiguous()
    return hashlib.sha256(
        str(plain.dtype).encode() + plain.flatten().view(uint8).numpy().tobytes()
    ).hexdigest()


def _beside(spec: str | Mapping[str, Any], wanted: Callable[[str], bool]) -> dict[str, Tensor]:
    """The wanted tensors of a checkpoint, without reading the rest where the form allows."""
    if isinstance(spec, Mapping):
        tensors = read_checkpoint(Path(spec["file"])) if "file" in spec else {}
        return {name: tensor for name, tensor in tensors.items() if wanted(name)}
    folder = encoder_folder(spec)
    if folder is None:
        return {}
    run = system_folder(folder)
    path = folder / "model.safetensors" if run is None else run / TENSORS
    if path.is_file():
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys() if wanted(name)}  # noqa: SIM118
    if not (folder / "config.json").is_file():
        return {}
    return {name: tensor for name, tensor in read_folder(folder).items() if wanted(name)}


def _plain(tensor: Tensor) -> Tensor:
    """[1, 1, D] -> [D] for the mask token, [1, N, D] -> [N, D] for positions."""
    tensor = tensor.float()
    if tensor.ndim == 3:
        return tensor[0, 0] if tensor.shape[1] == 1 else tensor[0]
    return tensor
