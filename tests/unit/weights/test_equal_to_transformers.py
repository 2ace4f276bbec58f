"""Every family, with random weights, saved by `transformers` and read by us, gives the same numbers to 1e-5."""

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from radalign.nn.text import last_tokens
from radalign.weights.hub import load_text, load_vision

transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.timeout(900)  # importing transformers is slow on a busy machine
SIZES = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
IMAGE = {**SIZES, "patch_size": 4, "image_size": 16}
CLIP_SIZES = {**SIZES, "intermediate_size": 48, "projection_dim": 24}
RESNET = {"embedding_size": 8, "hidden_sizes": [16, 32, 64], "depths": [1, 2, 1]}
WORDS = [*"abcdefgh", "no", "effusion", "##s"]


def saved(model, folder):
    """A model with weights far from their quiet initial values, so that each of them matters; and its folder."""
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        nn.init.normal_(parameter, 1.0 if "norm" in name.lower() else 0.0, 0.2)
    model.eval().save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    return model


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def texts():
    torch.manual_seed(1)
    mask = torch.arange(10) < torch.tensor([10, 3, 6, 1])[:, None]
    return torch.randint(5, 60, (4, 10)), mask


@pytest.mark.parametrize("qkv_bias", [True, False])
def test_vit(tmp_path, qkv_bias):
    config = transformers.ViTConfig(**IMAGE, intermediate_size=48, qkv_bias=qkv_bias)
    model = saved(transformers.ViTModel(config, add_pooling_layer=False), tmp_path)
    encoder, images = load_vision(str(tmp_path)), torch.randn(2, 3, 16, 16)
    assert encoder.mean == encoder.std == (0.5, 0.5, 0.5)
    with torch.no_grad():
        close(encoder(images), model(images).last_hidden_state)
        larger = torch.randn(2, 3, 24, 12)
        close(encoder(larger), model(larger, interpolate_pos_encoding=True).last_hidden_state)


def test_vit_with_a_classifier_and_a_pickle_file(tmp_path):
    config = transformers.ViTConfig(**IMAGE, intermediate_size=48)
    model = saved(transformers.ViTForImageClassification(config), tmp_path)
    published = load_file(
        tmp_path / "model.safetensors"
    )  # newer versions rename modules in memory, not on disk
    (tmp_path / "model.safetensors").unlink()
    torch.save(published, tmp_path / "pytorch_model.bin")
    images = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        close(load_vision(str(tmp_path))(images), model.vit(images).last_hidden_state)


def test_dinov2_at_its_own_and_other_sizes(tmp_path):
    config = transformers.Dinov2Config(**IMAGE, mlp_ratio=2, layerscale_value=0.5)
    model = saved(transformers.Dinov2Model(config), tmp_path)
    encoder = load_vision(str(tmp_path))
    with torch.no_grad():
        for height, width in ((16, 16), (28, 28), (8, 20)):
            images = torch.randn(2, 3, height, width)
            close(encoder(images), model(images).last_hidden_state)


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
def test_clip_vision(tmp_path, activation):
    sizes = {**CLIP_SIZES, "patch_size": 4, "image_size": 16, "hidden_act": activation}
    model = saved(
        transformers.CLIPVisionModelWithProjection(transformers.CLIPVisionConfig(**sizes)), tmp_path
    )
    encoder, images = load_vision(str(tmp_path)), torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        inner, found = model.vision_model, encoder(images)
        close(found, inner.post_layernorm(inner(images).last_hidden_state))
        close(found[:, 0], inner(images).pooler_output)


def whole_clip(tmp_path):
    config = transformers.CLIPConfig(
        text_config={**CLIP_SIZES, "vocab_size": 60, "max_position_embeddings": 12, "eos_token_id": 59},
        vision_config={**CLIP_SIZES, "hidden_size": 40, "patch_size": 4, "image_size": 16},
        projection_dim=24,
    )
    return saved(transformers.CLIPModel(config), tmp_path)


def test_both_towers_of_clip_meet_in_its_joint_space(tmp_path):
    model, (ids, mask) = whole_clip(tmp_path), texts()
    ids = ids.clamp(max=58)
    ids[torch.arange(4), mask.sum(1) - 1] = 59  # each text ends with the end token
    vision, (text, _) = load_vision(str(tmp_path)), load_text(str(tmp_path))
    images = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        tokens = text(ids, mask)
        theirs = model.text_model(ids, mask.long())
        close(tokens, theirs.last_hidden_state * mask[..., None])
        close(last_tokens(tokens, mask), theirs.pooler_output)
        close(text.projection(last_tokens(tokens, mask)), model.text_projection(theirs.pooler_output))
        seen = model.vision_model(images).pooler_output
        close(vision.projection(vision(images)[:, 0]), model.visual_projection(seen))


@pytest.mark.parametrize("wrapped", [False, True])
def test_bert_with_padding_and_holes(tmp_path, wrapped):
    config = transformers.BertConfig(**SIZES, intermediate_size=48, vocab_size=60, max_position_embeddings=16)
    kind = transformers.BertForMaskedLM if wrapped else transformers.BertModel
    model = saved(kind(config), tmp_path)
    bert = model.bert if wrapped else model
    encoder, _ = load_text(str(tmp_path))
    ids, mask = texts()
    holes = mask & (torch.arange(10) != 1)
    with torch.no_grad():
        for there in (mask, holes):
            theirs = bert(ids, there.long()).last_hidden_state * there[..., None]
            close(encoder(ids, there), theirs)


def test_bert_trains_with_the_same_gradients(tmp_path):
    """The input gradient passes through every frozen weight; embeddings stand in for the input."""
    config = transformers.BertConfig(**SIZES, intermediate_size=48, vocab_size=60, max_position_embeddings=16)
    model = saved(transformers.BertModel(config, add_pooling_layer=False), tmp_path)
    encoder, _ = load_text(str(tmp_path))
    ids, mask = texts()
    weight = torch.randn(4, 10, 32) * mask[..., None]
    encoder.word.weight.requires_grad_(True)
    (encoder(ids, mask) * weight).sum().backward()
    (model(ids, mask.long()).last_hidden_state * weight).sum().backward()
    theirs = model.embeddings.word_embeddings.weight.grad
    torch.testing.assert_close(encoder.word.weight.grad, theirs, rtol=1e-4, atol=1e-5)


def test_vit_trains_with_the_same_gradients(tmp_path):
    config = transformers.ViTConfig(**IMAGE, intermediate_size=48)
    model = saved(transformers.ViTModel(config, add_pooling_layer=False), tmp_path)
    encoder, images = load_vision(str(tmp_path)), torch.randn(2, 3, 16, 16)
    encoder.cls.requires_grad_(True)
    weight = torch.randn(2, 17, 32)
    (encoder(images) * weight).sum().backward()
    (model(images).last_hidden_state * weight).sum().backward()
    theirs = model.embeddings.cls_token.grad[0, 0]
    torch.testing.assert_close(encoder.cls.grad, theirs, rtol=1e-4, atol=1e-5)


def test_dropping_patches_equals_transformers_run_on_the_kept_tokens(tmp_path):
    config = transformers.Dinov2Config(**IMAGE, mlp_ratio=2)
    model = saved(transformers.Dinov2Model(config), tmp_path)
    encoder, images = load_vision(str(tmp_path)), torch.randn(2, 3, 16, 16)
    keep = torch.tensor([[3, 4, 9], [0, 1, 15]])
    with torch.no_grad():
        tokens = model.embeddings(images)
        places = torch.cat([torch.zeros(2, 1, dtype=torch.long), keep + 1], 1)
        kept = tokens.gather(1, places[..., None].expand(-1, -1, 32))
        close(encoder(images, keep), model.layernorm(model.encoder(kept).last_hidden_state))


def test_the_word_pieces_equal_those_of_transformers(tmp_path):
    model = transformers.BertModel(transformers.BertConfig(**SIZES, intermediate_size=48, vocab_size=60))
    saved(model, tmp_path)
    _, tokenizer = load_text(str(tmp_path))
    reference = transformers.BertTokenizerFast(str(tmp_path / "vocab.txt"))
    sentences = ["No effusions", "a b, c", "", "Éffusion no!", "no " * 700]
    theirs = reference(sentences, padding=True, truncation=True, max_length=512, return_tensors="pt")
    ids, mask = tokenizer(sentences)
    assert torch.equal(ids, theirs["input_ids"])
    assert torch.equal(mask, theirs["attention_mask"].bool())


@pytest.mark.parametrize("layer_type", ["bottleneck", "basic"])
@pytest.mark.parametrize("early", [False, True])
def test_resnet(tmp_path, layer_type, early):
    strides = {"downsample_in_first_stage": early, "downsample_in_bottleneck": early}
    config = transformers.ResNetConfig(**RESNET, layer_type=layer_type, **strides)
    model = with_statistics(transformers.ResNetModel(config), tmp_path)
    encoder = load_vision(str(tmp_path))
    with torch.no_grad():
        for height, width in ((64, 64), (75, 50)):
            images = torch.randn(2, 3, height, width)
            ours, theirs = encoder(images), model(images)
            close(ours[:, 1:], theirs.last_hidden_state.flatten(2).transpose(1, 2))
            close(ours[:, 0], theirs.pooler_output.flatten(1))


def test_resnet_with_a_classifier_and_a_pickle_file(tmp_path):
    config = transformers.ResNetConfig(**RESNET)
    model = with_statistics(transformers.ResNetForImageClassification(config), tmp_path)
    published = load_file(tmp_path / "model.safetensors")
    assert "resnet.embedder.embedder.convolution.weight" in published
    (tmp_path / "model.safetensors").unlink()
    torch.save(published, tmp_path / "pytorch_model.bin")
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        close(load_vision(str(tmp_path))(images)[:, 0], model.resnet(images).pooler_output.flatten(1))


def test_resnet_trains_with_the_same_gradients(tmp_path):
    """The original in evaluation mode, in which its statistics stay as ours always do."""
    model = with_statistics(transformers.ResNetModel(transformers.ResNetConfig(**RESNET)), tmp_path)
    encoder, images = load_vision(str(tmp_path)).requires_grad_(True), torch.randn(2, 3, 64, 64)
    weight = torch.randn(2, 64)
    (encoder(images)[:, 0] * weight).sum().backward()
    (model(images).pooler_output.flatten(1) * weight).sum().backward()
    stem = model.embedder.embedder
    for ours, theirs in (
        (encoder.stem.weight, stem.convolution.weight),
        (encoder.stem.gain, stem.normalization.weight),
    ):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-4)


def with_statistics(model, folder):
    """As `saved`, with running statistics that matter, variances such that activations keep their size."""
    for module in model.modules():
        if hasattr(module, "convolution"):
            inputs = module.convolution.weight[0].numel()
            nn.init.normal_(module.normalization.running_mean, 0, 0.2)
            nn.init.uniform_(module.normalization.running_var, 0.04 * inputs, 0.12 * inputs)
    return saved(model, folder)
