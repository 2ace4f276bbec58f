"""A released encoder -> a folder that `hub.load_vision` and `hub.load_text` take, whole or not at all.

| kind       | what is given                                       | what is kept beside the encoder     |
|------------|-----------------------------------------------------|-------------------------------------|
| `mrm`      | MRM.pth (timm's names, under the key `model`)       | the image decoder, when it is there |
| `vit`      | a Hugging Face folder, or a file with timm's names  | the image decoder, by MRM's names   |
| `dinov2`   | a Hugging Face folder                               |                                     |
| `resnet`   | a Hugging Face folder                               |                                     |
| `bert`     | a Hugging Face folder or file                       | the word head                       |
| `cxr-bert` | a Hugging Face folder or file                       | the word head, the projection head  |
| `clip`     | a Hugging Face folder (both towers), or open_clip's |                                     |
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from radalign.nn.text import TextConfig, TextEncoder
from radalign.nn.vision import IMAGENET_MEAN, IMAGENET_STD, VisionEncoder
from radalign.weights import bert, biomedclip, extras, hub, vit
from radalign.weights.fill import fill
from radalign.weights.names import Account, CheckpointError
from radalign.weights.settings import check_keys, check_sizes, heads_of_width
from radalign.weights.source import Source, read_source
from radalign.weights.tokenizer import NO_TOKENIZER
from radalign.weights.write import copy_tokenizer, new_folder, write_looks, write_vision

MRM_MEAN, MRM_STD = (0.4978,) * 3, (0.2449,) * 3


@dataclass(frozen=True)
class Imported:
    """What an import made.

    Attributes:
        kind: What the checkpoint was taken for.
        folder: Where it is now.
        encoders: Side (`vision`, `text`) to identity: name and SHA-256 of the weights.
        parts: Part to what became of its tensors.
        unexpected: Published names that belong to no part, and were left behind.
        notes: Sentences worth reading.
    """

    kind: str
    folder: Path
    encoders: Mapping[str, str]
    parts: Mapping[str, Account]
    unexpected: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """All of it, names included."""
        return json.dumps(asdict(self) | {"folder": str(self.folder)}, indent=2)


def import_encoder(kind: str, path: Path, out: Path, config: Path | None = None) -> Imported:
    """Import an encoder.

    Args:
        kind: See the table above.
        path: The checkpoint.
        out: A folder that is not there yet.
        config: A JSON file with what the checkpoint does not tell.

    Raises:
        CheckpointError: The checkpoint is damaged, holds code, is of another architecture, or does not cover
        the encoder; nothing is written then.
    """
    if kind not in KINDS:
        raise CheckpointError(f"There is no kind {kind!r}; there are {', '.join(KINDS)}.")
    if kind == "clip" and path.is_dir() and biomedclip.is_in(path):
        with new_folder(out) as partial:
            return replace(_open_clip(path, partial), folder=out)
    source = read_source(path, config)
    with new_folder(out) as partial:
        return replace(KINDS[kind](source, partial), kind=kind, folder=out)


def _mrm(source: Source, folder: Path) -> Imported:
    check_keys(source.settings)
    return _timm(source, folder, "MRM", MRM_MEAN, MRM_STD, "sincos")


def _vit(source: Source, folder: Path) -> Imported:
    if "model_type" in source.settings:
        return _vision(source, folder, ("vit", "vit_mae"))
    check_keys(source.settings)
    return _timm(source, folder, source.name.split(".")[0], IMAGENET_MEAN, IMAGENET_STD, "learned")


def _timm(
    source: Source, folder: Path, name: str, mean: tuple[float, ...], std: tuple[float, ...], position: str
) -> Imported:
    """A file with timm's names -> Hugging Face's, sizes from the shapes."""
    said, published = source.settings, vit.timm(source.tensors)
    how = {
        "mean": hub.three(said.get("image_mean", mean)), "std": hub.three(said.get("image_std", std)),
        "position": position, "norm_eps": said.get("norm_eps_vision", 1e-6),
    }  # fmt: skip
    width = vit.timm_config(published, {"heads": 1}).transformer.width
    heads, notes = heads_of_width(said, "vision_heads", width)
    shape = vit.timm_config(published, how | {"heads": heads})
    blocks = shape.transformer
    check_sizes(said, {
        "vision_dim": blocks.width, "vision_depth": blocks.depth, "patch_size": shape.patch_px,
        "image_size": shape.image_px,
    })  # fmt: skip
    encoder, account = fill(VisionEncoder(shape), name, vit.TIMM, published)
    decoder = extras.decoder_tensors(source.tensors)
    write_vision(encoder, folder, decoder)
    parts = {"vision encoder": replace(account, unexpected=())}
    parts |= {"image decoder": Account(tuple(decoder), (), ())} if decoder else {}
    note = (
        f"The image decoder is there ({len(decoder)} tensors): ALTA begins with it, its blocks frozen."
        if decoder
        else "The checkpoint has no image decoder: ALTA's begins at random and trains."
    )
    return _result({"vision": encoder.identity}, parts, source, (note, *notes))


def _dinov2(source: Source, folder: Path) -> Imported:
    return _vision(source, folder, ("dinov2",))


def _resnet(source: Source, folder: Path) -> Imported:
    return _vision(source, folder, ("resnet",))


def _vision(source: Source, folder: Path, types: tuple[str, ...]) -> Imported:
    """A Hugging Face folder with one vision encoder."""
    _need_type(source, types)
    looks = hub.looks(source.folder)
    encoder, account = hub.vision_from(source.settings, source.tensors, source.name, looks)
    _keep(source, folder, account.loaded)
    write_looks(folder, encoder)
    return _result({"vision": encoder.identity}, {"vision encoder": _own(account)}, source)


def _bert(source: Source, folder: Path, dropout: float = 0.1) -> Imported:
    """A Hugging Face folder or file with a BERT, and the heads that are known."""
    source = replace(source, tensors=bert.tidy(source.tensors))
    settings, assumed = source.settings, tuple[str, ...]()
    if "model_type" not in settings:
        shape, assumed = _bare_bert(source, dropout)
        encoder, account = fill(TextEncoder(shape), source.name, bert.HF, source.tensors)
        settings = bert.settings_of(shape)
    else:
        _need_type(source, ("bert", "cxr-bert"))
        encoder, account = hub.text_from(settings, source.tensors, source.name)
    heads = extras.head_names(source.tensors)
    notes = _tokenizer(source, folder)
    settings = dict(settings) | ({NO_TOKENIZER: True} if notes else {})
    _keep(replace(source, settings=settings), folder, account.loaded + heads)
    parts = {"text encoder": _own(account)} | ({"heads": Account(heads, (), ())} if heads else {})
    return _result({"text": encoder.identity}, parts, source, (*notes, *assumed))


def _bare_bert(source: Source, dropout: float) -> tuple[TextConfig, tuple[str, ...]]:
    """The shape of a BERT in a lone file, and what had to be assumed."""
    said, prefix = source.settings, bert.HF.prefix(source.tensors)
    check_keys(said)
    shape = bert.config_of_shapes(source.tensors, prefix, heads=1)
    blocks = shape.transformer
    heads, assumed = heads_of_width(said, "text_heads", blocks.width)
    check_sizes(said, {"text_dim": blocks.width, "text_depth": blocks.depth, "vocab_size": shape.vocabulary})
    eps = said.get("norm_eps_text", blocks.norm_eps)
    blocks = replace(blocks, heads=heads, norm_eps=eps, dropout=dropout, attention_dropout=dropout)
    return replace(shape, transformer=blocks), assumed


def _cxr_bert(source: Source, folder: Path) -> Imported:
    found = _bert(source, folder, extras.CXR_BERT_DROPOUT)
    if not extras.has_projection(source.tensors):
        note = "The checkpoint has no cls_projection_head: ALTA's text heads begin at random."
        return replace(found, notes=(*found.notes, note))
    return found


def _clip(source: Source, folder: Path) -> Imported:
    """A Hugging Face folder with both towers of CLIP, or one of them."""
    _need_type(source, ("clip", "clip_vision_model", "clip_text_model"))
    kind, parts, encoders = source.settings["model_type"], dict[str, Account](), dict[str, str]()
    notes: tuple[str, ...] = ()
    if kind != "clip_text_model":
        looks = hub.looks(source.folder)
        vision, account = hub.vision_from(source.settings, source.tensors, source.name, looks)
        parts["vision encoder"], encoders["vision"] = _own(account), vision.identity
        write_looks(folder, vision)
    if kind != "clip_vision_model":
        text, account = hub.text_from(source.settings, source.tensors, source.name)
        parts["text encoder"], encoders["text"] = _own(account), text.identity
        notes = _tokenizer(source, folder)
    settings = dict(source.settings) | ({NO_TOKENIZER: True} if notes else {})
    _keep(replace(source, settings=settings), folder, [n for part in parts.values() for n in part.loaded])
    return _result(encoders, parts, source, notes)


def _open_clip(path: Path, folder: Path) -> Imported:
    """A folder in open_clip's form (BiomedCLIP): checked, and copied as it is."""
    (vision, seen), (text, read) = biomedclip.towers(path, path.name)
    for file in sorted(path.iterdir()):
        if file.is_file():
            shutil.copyfile(file, folder / file.name)
    used = {*seen.loaded, *read.loaded}
    rest = tuple(name for name in seen.unexpected if name not in used)
    parts = {"vision encoder": _own(seen), "text encoder": _own(read)}
    return Imported("clip", folder, {"vision": vision.identity, "text": text.identity}, parts, rest)


KINDS: dict[str, Callable[[Source, Path], Imported]] = {
    "mrm": _mrm,
    "cxr-bert": _cxr_bert,
    "clip": _clip,
    "dinov2": _dinov2,
    "resnet": _resnet,
    "vit": _vit,
    "bert": _bert,
}


def _need_type(source: Source, types: tuple[str, ...]) -> None:
    found = source.settings.get("model_type")
    if found is None:
        raise CheckpointError(
            f"{source.name} comes without its config.json; give the folder it belongs to, or --config FILE."
        )
    if found not in types:
        raise CheckpointError(
            f"{source.name} is of type {found}, not {' or '.join(types)}; import it as what it is."
        )


def _own(account: Account) -> Account:
    """Without the names that belong to other parts of the same file."""
    return replace(account, unexpected=())


def _tokenizer(source: Source, folder: Path) -> tuple[str, ...]:
    """Copy the tokenizer; a sentence when there is none."""
    if copy_tokenizer(source.folder, folder):
        return ()
    return (
        "No tokenizer lies beside the checkpoint, so that texts cannot be embedded: copy its tokenizer.json "
        "or vocab.txt into the folder.",
    )


def _keep(source: Source, folder: Path, names: Any) -> None:
    """Write the named tensors under their published names, and the settings."""
    tensors: dict[str, Tensor] = {name: source.tensors[name].clone().contiguous() for name in names}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(dict(source.settings), indent=2), "utf-8")


def _result(
    encoders: Mapping[str, str], parts: Mapping[str, Account], source: Source, notes: tuple[str, ...] = ()
) -> Imported:
    used = {name for part in parts.values() for name in part.loaded}
    unexpected = tuple(name for name in source.tensors if name not in used)
    return Imported("", Path(), encoders, parts, unexpected, notes)
