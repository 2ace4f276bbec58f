"""Released checkpoints of every kind become folders that load to the same numbers, or nothing at all."""

import argparse
import json
import os
import re

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from typer.testing import CliRunner

from radalign.cli.weights import app
from radalign.nn.decoder import ImageDecoder
from radalign.nn.heads import ProjectionHead, WordHead
from radalign.weights import extras, vit
from radalign.weights.hub import load_text, load_vision
from radalign.weights.importing import import_encoder
from radalign.weights.names import CheckpointError
from radalign.weights.write import published_tensors, write_text, write_vision

SIZES = {"width": 48, "depth": 2, "heads": 4, "mlp_width": 56}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "no", "effusion"]


def noisy(module):
    """Weights far from their quiet start, so that each of them matters."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, 0.0, 0.2)
    return module


def a_vision(**more):
    return noisy(load_vision({"random": {**SIZES, "patch_px": 4, "image_px": 16, "norm_eps": 1e-6, **more}}))


def a_text(**more):
    return noisy(load_text({"random": {**SIZES, "vocabulary": 40, "max_tokens": 16, **more}})[0])


def same_vision(one, two):
    images = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(one(images), two(images), rtol=0, atol=1e-6)


def same_text(one, two):
    ids, mask = torch.randint(40, (3, 9)), torch.arange(9) < torch.tensor([9, 2, 5])[:, None]
    with torch.no_grad():
        torch.testing.assert_close(one(ids, mask), two(ids, mask), rtol=0, atol=1e-6)


def mrm_file(path, decoder=True, **more):
    encoder = a_vision(**more)
    tensors = published_tensors(encoder, vit.TIMM) | {"bert_encoder.pooler": torch.ones(2)}
    made = noisy(ImageDecoder(48, 4, 8, depth=1))
    if decoder:
        state = made.state_dict()
        tensors |= {theirs: state[ours].clone() for ours, theirs in extras.decoder_names(1).items()}
        tensors["mask_token"] = tensors["mask_token"][None, None]
    torch.save({"model": tensors, "args": argparse.Namespace(lr=1.0), "epoch": 3}, path)
    return encoder, made


def test_mrm_keeps_its_normalisation_and_its_decoder(tmp_path):
    encoder, decoder = mrm_file(tmp_path / "MRM.pth")
    (tmp_path / "c.json").write_text(json.dumps({"vision_heads": 4, "image_size": 16, "seed": 0}))
    found = import_encoder("mrm", tmp_path / "MRM.pth", tmp_path / "out", tmp_path / "c.json")
    assert found.unexpected == ("bert_encoder.pooler",)
    assert "decoder is there" in found.notes[0]
    read = load_vision(str(tmp_path / "out"))
    same_vision(read, encoder)
    assert (read.mean[0], read.std[0], read.config.position) == (0.4978, 0.2449, "sincos")
    assert found.encoders["vision"].split(":")[1] == read.identity.split(":")[1]
    begun = ImageDecoder(48, 4, 8, depth=1)
    assert extras.begin_with(begun, extras.decoder_of(str(tmp_path / "out")))
    assert all(
        torch.equal(t, decoder.state_dict()[n]) for n, t in begun.state_dict().items() if n != "position"
    )


def test_mrm_without_its_decoder_says_so(tmp_path):
    mrm_file(tmp_path / "MRM.pth", decoder=False)
    (tmp_path / "c.json").write_text(json.dumps({"vision_heads": 4}))
    found = import_encoder("mrm", tmp_path / "MRM.pth", tmp_path / "out", tmp_path / "c.json")
    assert "no image decoder" in found.notes[0]
    assert extras.decoder_of(str(tmp_path / "out")) == {}


def test_cxr_bert_keeps_its_heads_and_tokenizer(tmp_path):
    folder, encoder = tmp_path / "cxr", a_text(segments=2)
    head, words = noisy(ProjectionHead(48, 24)), noisy(WordHead(48, 40))
    beside = {extras.PROJECTION + t: head.state_dict()[o] for o, t in extras.projection_names().items()}
    beside |= {extras.WORDS + t: words.state_dict()[o] for o, t in extras.word_head_names().items()}
    write_text(encoder, folder, beside | {"cls.predictions.decoder.weight": torch.zeros(40, 48)})
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    found = import_encoder("cxr-bert", folder, tmp_path / "out")
    assert found.unexpected == ("cls.predictions.decoder.weight",)
    read, tokenizer = load_text(str(tmp_path / "out"))
    same_text(read, encoder)
    assert read.segment.shape == (2, 48)
    assert tokenizer.pieces("No effusion") == ["[CLS]", "no", "effusion", "[SEP]"]
    heads = extras.heads_of(str(tmp_path / "out"))
    for module, name in ((ProjectionHead(48, 24), "projection"), (WordHead(48, 40), "words")):
        assert extras.begin_with(module, heads[name])
    assert not extras.begin_with(ProjectionHead(48, 12), heads["projection"])  # another width


def test_a_bare_bert_file_tells_its_sizes(tmp_path):
    write_text(a_text(segments=2), tmp_path / "hf")
    (tmp_path / "c.json").write_text(json.dumps({"text_heads": 4}))
    path = tmp_path / "hf" / "model.safetensors"
    found = import_encoder("bert", path, tmp_path / "out", tmp_path / "c.json")
    assert "No tokenizer" in found.notes[0]
    read, tokenizer = load_text(str(tmp_path / "out"))
    same_text(read, a_text(segments=2))
    with pytest.raises(CheckpointError, match=r"came without a tokenizer.*vocab\.txt"):
        tokenizer(["no"])


@pytest.mark.parametrize(("kind", "more"), [("vit", {}), ("dinov2", {"layer_scale": True, "mlp_width": 96})])
def test_hugging_face_folders_of_vision(tmp_path, kind, more):
    encoder = a_vision(mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6), **more)
    write_vision(encoder, tmp_path / "hf", {"classifier.weight": torch.ones(2)})
    found = import_encoder(kind, tmp_path / "hf", tmp_path / "out")
    assert found.unexpected == ("classifier.weight",)
    read = load_vision(str(tmp_path / "out"))
    same_vision(read, encoder)
    assert (read.mean, read.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))


def test_a_timm_file_of_another_vit(tmp_path):
    encoder, _ = mrm_file(tmp_path / "mae.pth", decoder=False)
    (tmp_path / "c.json").write_text(
        json.dumps({"vision_heads": 4, "image_mean": [0.5] * 3, "image_std": [0.2] * 3})
    )
    import_encoder("vit", tmp_path / "mae.pth", tmp_path / "out", tmp_path / "c.json")
    read = load_vision(str(tmp_path / "out"))
    same_vision(read, encoder)
    assert (read.mean[0], read.std[0], read.config.position) == (0.5, 0.2, "learned")


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_a_resnet_with_its_classifier(tmp_path, block):
    tower = noisy(load_vision({"random": {"family": "resnet", "block": block, "std": [0.2] * 3}}))
    write_vision(tower, tmp_path / "hf")
    tensors = load_file(tmp_path / "hf" / "model.safetensors")
    whole = {f"resnet.{name}": tensor for name, tensor in tensors.items()}
    whole |= {"classifier.1.weight": torch.ones(3, 32), "resnet.x.num_batches_tracked": torch.tensor(7)}
    save_file(whole, tmp_path / "hf" / "model.safetensors")
    found = import_encoder("resnet", tmp_path / "hf", tmp_path / "out")
    assert "classifier.1.weight" in found.unexpected
    read = load_vision(str(tmp_path / "out"))
    same_vision(read, tower)
    assert read.std == (0.2, 0.2, 0.2)
    with pytest.raises(CheckpointError, match="is of type resnet, not vit or vit_mae; import it as what it"):
        import_encoder("vit", tmp_path / "hf", tmp_path / "another")


def test_both_towers_of_a_clip_with_quick_gelu(tmp_path):
    shared = {"activation": "quick_gelu", "norm_eps": 1e-5, "projection": 24}
    vision = a_vision(norm_first=True, patch_bias=False, **shared)
    text = a_text(norm="pre", causal=True, **shared)
    write_vision(vision, tmp_path / "v")
    write_text(text, tmp_path / "t")
    folder = tmp_path / "hf"
    folder.mkdir()
    tensors = load_file(tmp_path / "v" / "model.safetensors") | load_file(
        tmp_path / "t" / "model.safetensors"
    )
    save_file(tensors | {"logit_scale": torch.tensor(4.6)}, folder / "model.safetensors")
    settings = [json.loads((tmp_path / side / "config.json").read_text()) for side in "vt"]
    (folder / "config.json").write_text(json.dumps(settings[0] | settings[1]))
    found = import_encoder("clip", folder, tmp_path / "out")
    assert found.unexpected == ("logit_scale",)
    read, words = load_vision(str(tmp_path / "out")), load_text(str(tmp_path / "out"))[0]
    same_vision(read, vision)
    same_text(words, text)
    assert read.config.transformer.activation == words.config.transformer.activation == "quick_gelu"


class Malice:
    def __reduce__(self):
        return os.system, ("touch ran_code",)


def broken(folder, how):
    path = folder / "MRM.pth"
    mrm_file(path)
    if how == "half":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif how == "code":
        torch.save({"model": {"a": torch.ones(1)}, "extra": Malice()}, path)
    elif how == "web page":
        path.write_text("<html>Quota exceeded</html>")
    elif how == "resnet":
        torch.save({"layer1.0.conv1.weight": torch.ones(2, 2, 1, 1)}, path)
    elif how == "hole":
        tensors = torch.load(path, weights_only=False)["model"]
        del tensors["blocks.1.attn.qkv.weight"]
        torch.save(tensors, path)
    return path


@pytest.mark.parametrize(
    ("how", "kind", "sentence"),
    [
        ("half", "mrm", "cut short or not a checkpoint; download it again"),
        ("code", "mrm", "runs no code from a checkpoint; convert it to safetensors"),
        ("web page", "mrm", "cut short or not a checkpoint; download it again"),
        ("resnet", "mrm", r"has no patch_embed\.proj\.weight; give a timm ViT"),
        ("hole", "mrm", r"1 missing \(transformer\.blocks\.1\.qkv\.weight\)"),
        ("whole", "dinov2", r"comes without its config\.json"),
        ("whole", "mrm-2", "There is no kind 'mrm-2'; there are mrm, cxr-bert"),
    ],
)
def test_what_is_not_a_whole_encoder_is_refused_and_nothing_is_written(
    tmp_path, how, kind, sentence, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    path = broken(tmp_path, how)
    (tmp_path / "c.json").write_text(json.dumps({"vision_heads": 4}))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(CheckpointError, match=sentence):
        import_encoder(kind, path, tmp_path / "out", None if kind == "dinov2" else tmp_path / "c.json")
    assert sorted(tmp_path.iterdir()) == before  # neither a folder nor what the code would have made


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"vision_dim": 64}, "says vision_dim=64, but the checkpoint's shapes say 48"),
        ({"heads": 4}, "Unknown keys in the configuration: heads; use some of image_size"),
        ({"vision_heads": 7}, "A width of 48 does not divide into 7 heads.* says vision_heads"),
        ({"vision_heads": 0}, "vision_heads must be a whole number of 1 or more, not 0"),
        ({"vision_heads": "four"}, "vision_heads must be a whole number of 1 or more, not 'four'"),
        ({"norm_eps_vision": 0}, "norm_eps_vision must be a number above 0, not 0"),
        ({"mask_ratio": 1}, "mask_ratio must be a share from 0 to below 1, not 1"),
        ({"image_mean": [0.5, 0.5]}, r"image_mean must be three numbers, not \[0\.5, 0\.5\]"),
        ({"image_std": [0.5, 0.5, 0]}, "image_std must be three numbers above 0, not"),
        ({"model_type": "vit"}, "of type vit, not a checkpoint with timm's names; import it as what it is"),
    ],
)
def test_a_configuration_that_does_not_belong_is_refused(tmp_path, said, sentence):
    mrm_file(tmp_path / "MRM.pth")
    (tmp_path / "c.json").write_text(json.dumps({"vision_heads": 4} | said))
    with pytest.raises(CheckpointError, match=sentence):
        import_encoder("mrm", tmp_path / "MRM.pth", tmp_path / "out", tmp_path / "c.json")


def test_heads_that_nothing_tells_are_one_per_64_of_width_and_said_or_asked_for(tmp_path):
    mrm_file(tmp_path / "MRM.pth")
    with pytest.raises(CheckpointError, match=r"width of 48 .* give --config .* says vision_heads"):
        import_encoder("mrm", tmp_path / "MRM.pth", tmp_path / "out")
    write_text(a_text(), tmp_path / "hf")
    lone = tmp_path / "hf" / "model.safetensors"
    with pytest.raises(CheckpointError, match=r"width of 48 .* give --config .* says text_heads"):
        import_encoder("bert", lone, tmp_path / "out")
    published = published_tensors(a_vision(width=128), vit.TIMM)
    torch.save(published, tmp_path / "wide.pth")
    found = import_encoder("vit", tmp_path / "wide.pth", tmp_path / "out")
    assert load_vision(str(tmp_path / "out")).config.transformer.heads == 2
    assert found.notes[-1].startswith("2 attention heads, one per 64 of width")


def test_a_bare_bert_file_takes_its_configuration_or_refuses_it(tmp_path):
    write_text(a_text(), tmp_path / "hf")
    lone, said = tmp_path / "hf" / "model.safetensors", tmp_path / "c.json"
    said.write_text(json.dumps({"text_heads": 4, "norm_eps_text": 1e-5}))
    import_encoder("cxr-bert", lone, tmp_path / "out", said)
    blocks = load_text(str(tmp_path / "out"))[0].config.transformer
    assert (blocks.norm_eps, blocks.dropout, blocks.attention_dropout) == (1e-5, 0.25, 0.25)  # as published
    said.write_text(json.dumps({"text_heads": 4}))
    import_encoder("bert", lone, tmp_path / "plain", said)
    assert load_text(str(tmp_path / "plain"))[0].config.transformer.dropout == 0.1
    for key in ("text_dim", "text_depth", "vocab_size"):
        said.write_text(json.dumps({"text_heads": 4, key: 999}))
        with pytest.raises(CheckpointError, match=f"says {key}=999, but the checkpoint's shapes say"):
            import_encoder("bert", lone, tmp_path / "no", said)


def test_a_folder_that_is_there_is_not_overwritten(tmp_path):
    write_vision(a_vision(), tmp_path / "hf")
    with pytest.raises(CheckpointError, match="is there already; give another --out"):
        import_encoder("vit", tmp_path / "hf", tmp_path / "hf")


def test_the_command_lists_names_and_fails_with_them(tmp_path):
    write_vision(a_vision(), tmp_path / "hf", {"classifier.weight": torch.ones(2)})
    run = CliRunner()
    found = run.invoke(app, ["import", "vit", str(tmp_path / "hf"), "--out", str(tmp_path / "out")])
    assert found.exit_code == 0
    assert re.search(r"vision encoder\s+38\s+0", found.stdout)
    assert "classifier.weight" in found.stdout
    path = broken(tmp_path, "hole")
    (tmp_path / "c.json").write_text(json.dumps({"vision_heads": 4}))
    asked = ["import", "mrm", str(path), "--out", str(tmp_path / "no"), "--config", str(tmp_path / "c.json")]
    failed = run.invoke(app, [*asked, "--json"])
    assert isinstance(failed.exception, CheckpointError)
    assert json.loads(failed.stdout)["missing"] == ["transformer.blocks.1.qkv.weight"]
    assert not (tmp_path / "no").exists()


def test_alta_that_lacks_an_adapter_is_not_covered(tmp_path):
    run = CliRunner()
    torch.save({"blocks.0.x": torch.ones(1)}, tmp_path / "ALTA.pth")
    failed = run.invoke(app, ["import", "alta", str(tmp_path / "ALTA.pth"), "--out", str(tmp_path / "no")])
    assert "This is not an ALTA checkpoint" in str(failed.exception)
    assert not (tmp_path / "no").exists()
