"""A released ALTA checkpoint -> a system folder with its backbones inside, which `radalign.load` opens.

ALTA.pth ─┬─ blocks.*, patch_embed.*  ──> vision/  (ViT in Hugging Face form, ALTA's normalisation)
          ├─ bert_encoder.bert.*      ──> text/    (BERT in Hugging Face form, tokenizer)
          └─ adapters, heads, decoder ──> adapters.safetensors, recipe.toml: "./vision", "./text"
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from radalign.nn.text import TextConfig, TextEncoder
from radalign.nn.transformer import TransformerConfig
from radalign.nn.vision import VisionConfig, VisionEncoder
from radalign.systems.base import System, build
from radalign.systems.folder import write_files
from radalign.systems.recipe import Recipe, load_recipe
from radalign.weights import alta, bert, vit
from radalign.weights.extras import CXR_BERT_DROPOUT
from radalign.weights.fill import fill
from radalign.weights.hub import three
from radalign.weights.importing import KINDS, Imported, import_encoder
from radalign.weights.names import Account, CheckpointError, NotCoveredError
from radalign.weights.settings import check_keys, check_sizes, need_heads
from radalign.weights.source import Source, read_source
from radalign.weights.tokenizer import NO_TOKENIZER, read_tokenizer
from radalign.weights.write import copy_tokenizer, new_folder, write_text, write_vision

ALTA_MEAN, ALTA_STD = (0.4785,) * 3, (0.2834,) * 3
RELEASED = ("alta", *KINDS)
# What alignment does not need: a checkpoint without these is still whole.
_SPARE = ("decoder.", "word_head.", "image_to_text.", "missing_token")


def import_released(
    kind: str, path: Path, out: Path, config: Path | None = None, tokenizer: Path | None = None
) -> Imported:
    """Import a released checkpoint: a whole system for `alta`, an encoder for every other kind.

    Args:
        kind: One of `RELEASED`.
        path: The checkpoint: a file or a folder.
        out: A folder that is not there yet.
        config: A JSON file with what the checkpoint does not tell (heads, image size).
        tokenizer: For `alta`: the folder of CXR-BERT, whose tokenizer the checkpoint does not hold.

    Raises:
        CheckpointError: The checkpoint is damaged, holds code, is of another architecture, or does not cover
        the encoders; nothing is written then.
    """
    if kind == "alta":
        return import_alta(path, out, config, tokenizer)
    if kind not in KINDS:
        raise CheckpointError(f"There is no kind {kind!r}; there are {', '.join(RELEASED)}.")
    return import_encoder(kind, path, out, config)


def import_alta(path: Path, out: Path, config: Path | None = None, tokenizer: Path | None = None) -> Imported:
    """Import ALTA; arguments and errors as in `import_released`."""
    source = read_source(path, config)
    check_keys(source.settings)
    tensors = alta.tensors(source.tensors)
    sizes = alta.sizes(source.tensors, source.settings)
    check_sizes(source.settings, alta.sizes_by_key(sizes))
    _need_heads(source, sizes)
    with new_folder(out) as partial:
        encoders = _write_encoders(source, sizes, partial, tokenizer or source.folder)
        system = build(_recipe(source, sizes, partial))
        parts, notes = _load(system, tensors, source)
        write_files(system.eval(), partial, _card(system), {"vision": "./vision", "text": "./text"})
    used = {name for part in parts.values() for name in part.loaded}
    rest = tuple(name for name in source.tensors if name not in used)
    return Imported("alta", out, encoders[0], parts, rest, (*notes, *encoders[1]))


def _write_encoders(
    source: Source, sizes: Mapping[str, Any], folder: Path, tokenizer: Path
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Both encoders in Hugging Face form; their identities, and a sentence when there is no tokenizer."""
    said = source.settings
    vision, text = dict(sizes["vision"]), dict(sizes["text"])
    looks = {"mean": said.get("image_mean", ALTA_MEAN), "std": said.get("image_std", ALTA_STD)}
    shape_v = VisionConfig(
        _blocks(vision), vision["patch_px"], vision["image_px"], "sincos",
        mean=three(looks["mean"]), std=three(looks["std"]),
    )  # fmt: skip
    shape_t = TextConfig(
        _blocks(text, norm="post", dropout=CXR_BERT_DROPOUT, attention_dropout=CXR_BERT_DROPOUT),
        text["vocabulary"],
        text["max_tokens"],
        segments=text["segments"],
    )
    plain = {name: t for name, t in source.tensors.items() if "_adapter." not in name}
    words = {n.removeprefix(alta.TEXT): t for n, t in plain.items() if n.startswith(f"{alta.TEXT}bert.")}
    seen = fill(VisionEncoder(shape_v), "ALTA vision", vit.TIMM, vit.timm(plain))[0]
    read = fill(TextEncoder(shape_t), "ALTA text", bert.HF, bert.tidy(words))[0]
    write_vision(seen, folder / "vision")
    write_text(read, folder / "text")
    identities = {"vision": seen.identity, "text": read.identity}
    if copy_tokenizer(tokenizer, folder / "text"):
        read_tokenizer(folder / "text", shape_t.max_tokens).need_within(text["vocabulary"])
        return identities, ()
    path = folder / "text" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {NO_TOKENIZER: True}, indent=2), "utf-8")
    return identities, (
        "The checkpoint holds no tokenizer, so that texts cannot be embedded: import with --tokenizer FOLDER "
        "of CXR-BERT, or copy its tokenizer.json or vocab.txt into the folder's text/.",
    )


def _need_heads(source: Source, sizes: Mapping[str, Any]) -> None:
    for tower in ("vision", "text"):
        need_heads(sizes[tower]["width"], int(sizes[tower]["heads"]), f"{tower}_heads")
    need_heads(sizes["vision"]["width"], _decoder_heads(source), "decoder_heads")


def _decoder_heads(source: Source) -> int:
    return int(source.settings.get("decoder_heads", 6))


def _blocks(table: Mapping[str, Any], **more: Any) -> TransformerConfig:
    keys = ("width", "depth", "heads", "mlp_width", "norm_eps")
    return TransformerConfig(**{key: table[key] for key in keys} | more)


def _recipe(source: Source, sizes: Mapping[str, Any], folder: Path) -> Recipe:
    """The paper's recipe at the checkpoint's sizes, over the backbones in the folder."""
    paper, said = load_recipe("alta-paper"), source.settings
    length = min(int(said.get("text_length", 128)), sizes["text"]["max_tokens"])
    backbones = paper.backbones.model_copy(
        update={"vision": str(folder / "vision"), "text": str(folder / "text"), "max_tokens": length}
    )
    model = {
        "text_pool": "cls", "inference_views": "frontal", "official_missing": True,
        "adapter_ratio": sizes["adapter_ratio"], "embedding_width": sizes["embedding_width"],
        "decoder_depth": sizes["decoder_depth"] or 4, "decoder_heads": _decoder_heads(source),
        "mask_ratio": float(said.get("mask_ratio", 0.75)),
        "freeze_decoder": sizes["decoder_depth"] > 0,
    }  # fmt: skip
    # A checkpoint that was made without dropping patches has nothing to rebuild.
    rebuilds = bool(model["mask_ratio"])
    objectives = dict(paper.objectives) if rebuilds else paper.objectives | {"image_reconstruction": 0.0}
    data = paper.data.model_copy(
        update={
            "size_px": sizes["image_px"],
            "resize_px": round(sizes["image_px"] * 256 / 224),
            "mean": (),
            "std": (),  # the imported encoder's, which a --config may say
        }
    )
    update = {
        "name": "alta-released", "description": "ALTA with its released weights.",
        "backbones": backbones, "model": model, "objectives": objectives, "data": data,
    }  # fmt: skip
    return paper.model_copy(update=update)


def _load(
    system: System, tensors: Mapping[str, Tensor], source: Source
) -> tuple[dict[str, Account], tuple[str, ...]]:
    """Copy the tensors into the system; what became of them, by part, and sentences worth reading."""
    own = system.state_dict()
    fits = {n: t for n, t in tensors.items() if n in own and own[n].shape == t.shape}
    missing = [name for name in own if name not in fits]
    accounts = _by_part(fits, missing, alta.sources(source.tensors))
    needed = [name for name in missing if not name.startswith(_SPARE)]
    if needed:
        loaded = tuple(name for part in accounts.values() for name in part.loaded)
        account = Account(loaded, tuple(needed), tuple(n for n in source.tensors if n not in set(loaded)))
        raise NotCoveredError(
            f"The checkpoint does not cover ALTA: {len(needed)} tensors are missing or of another shape "
            f"({', '.join(needed[:3])}); give a whole ALTA.pth, or the --config that belongs to it.",
            account,
        )
    system.load_state_dict(fits, strict=False)
    return accounts, _notes(missing, tensors)


def _by_part(
    fits: Mapping[str, Tensor], missing: list[str], sources: Mapping[str, tuple[str, ...]]
) -> dict[str, Account]:
    parts: dict[str, tuple[list[str], list[str]]] = {}
    for name in fits:
        parts.setdefault(_part(name), ([], []))[0].extend(sources[name])
    for name in missing:
        parts.setdefault(_part(name), ([], []))[1].append(name)
    return {part: Account(tuple(loaded), tuple(lost), ()) for part, (loaded, lost) in parts.items()}


def _part(name: str) -> str:
    first = name.split(".", 1)[0]
    if first in ("vision", "text"):
        return f"{first} {'adapters' if 'adapter' in name else 'encoder'}"
    plain = {"decoder": "image decoder", "word_head": "word head", "image_to_text": "image into text"}
    return plain.get(first, "heads" if "head" in first else "embeddings and scales")


def _notes(missing: list[str], tensors: Mapping[str, Tensor]) -> tuple[str, ...]:
    decoder = [name for name in missing if name.startswith("decoder.")]
    there = sum(name.startswith("decoder.") for name in tensors)
    first = (
        f"{len(decoder)} tensors of the image decoder are not in the checkpoint: they start at random."
        if decoder
        else f"The image decoder is there, whole ({there} tensors)."
    )
    others = [name for name in missing if not name.startswith("decoder.")]
    unfit = f"Not in the checkpoint, or of another shape, and drawn at random: {', '.join(others)}."
    return (first, unfit) if others else (first,)


def _card(system: System) -> str:
    from radalign.systems.folder import plain_card

    return plain_card(system) + (
        "\nConverted from ALTA's released checkpoint (CC BY-NC 4.0: not for commercial use). One current "
        "frontal view is embedded, as published; `model.inference_views` set to `all` in recipe.toml takes "
        "every view.\n"
    )
