"""BiomedCLIP-like folders: open_clip's names over a timm ViT and a Hugging Face BERT."""

import json

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from radalign.weights import bert, vit
from radalign.weights.hub import load_text, load_vision
from radalign.weights.names import CheckpointError

BLOCKS = {"width": 128, "depth": 2, "heads": 2, "mlp_width": 160}


def as_published(encoder, names, prefix):
    """An encoder's tensors under published names: the map, backwards."""
    ours, tensors = encoder.state_dict(), {}
    for name, theirs in names.table(encoder.config.transformer.depth).items():
        parts = ours[name].chunk(len(theirs))
        tensors |= {prefix + their: part.clone() for their, part in zip(theirs, parts, strict=True)}
    return tensors


@pytest.fixture
def towers(tmp_path):
    """Random towers without projections, and a folder that holds them with projections."""
    vision = load_vision({"random": {**BLOCKS, "norm_eps": 1e-6}})
    text, _ = load_text({"random": {**BLOCKS, "vocabulary": 40, "max_tokens": 64, "segments": 2}})
    text.segment.normal_()
    tensors = as_published(vision, vit.TIMM, "visual.trunk.") | as_published(
        text, bert.HF, "text.transformer."
    )
    tensors["visual.trunk.patch_embed.proj.weight"] = vision.patch.weight.view(128, 3, 16, 16).clone()
    tensors["visual.trunk.cls_token"] = vision.cls[None, None].clone()
    tensors["visual.trunk.pos_embed"] = vision.position[None].clone()
    shapes = {
        "visual.head.proj.weight": (24, 128),
        "text.proj.0.weight": (76, 128),
        "text.proj.2.weight": (24, 76),
    }
    torch.manual_seed(3)
    tensors |= {name: torch.randn(shape) for name, shape in shapes.items()} | {
        "logit_scale": torch.tensor(4.6)
    }
    settings = {
        "model_cfg": {"embed_dim": 24, "text_cfg": {"context_length": 32}},
        "preprocess_cfg": {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]},
    }
    (tmp_path / "open_clip_config.json").write_text(json.dumps(settings))
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "no"]))
    save_file(tensors, tmp_path / "open_clip_model.safetensors")
    return tmp_path, vision, text, tensors


def test_both_towers_and_their_projections_are_read(towers):
    folder, vision, text, tensors = towers
    found = load_vision(str(folder))
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(found(images), vision(images))
    assert torch.equal(
        found.projection(images[:, 0, 0, :].repeat(1, 2)),
        images[:, 0, 0].repeat(1, 2) @ tensors["visual.head.proj.weight"].T,
    )
    assert (found.mean, found.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    read, tokenizer = load_text(str(folder))
    ids, mask = tokenizer(["no no", "no"])
    out = read(ids, mask)
    torch.testing.assert_close(out, text(ids, mask))
    by_hand = F.gelu(out[:, 0] @ tensors["text.proj.0.weight"].T) @ tensors["text.proj.2.weight"].T
    torch.testing.assert_close(read.projection(out[:, 0]), by_hand)


def test_the_published_context_is_the_limit(towers):
    folder = towers[0]
    read, tokenizer = load_text(str(folder))
    assert read.max_tokens == 32
    assert tokenizer(["no " * 99])[0].shape == (1, 32)


def test_an_open_clip_folder_of_another_kind_is_refused(towers):
    folder, _, _, tensors = towers
    tensors = {name: t for name, t in tensors.items() if "proj." not in name or "patch" in name}
    save_file(tensors, folder / "open_clip_model.safetensors")
    with pytest.raises(
        CheckpointError, match=r"has no visual\.head\.proj\.weight; radalign reads a timm ViT"
    ):
        load_vision(str(folder))
    with pytest.raises(CheckpointError, match=r"has no text\.proj\.2\.weight; radalign reads a BERT"):
        load_text(str(folder))
