"""ALTA: counts, identity at the start, absent views, what trains, masked words and pixels."""

from __future__ import annotations

import re

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

import radalign
from radalign.data.batches import BatchError, Embeddings, ImageBatch, StudyBatch, TextBatch
from radalign.nn.decoder import ImageDecoder
from radalign.nn.heads import ProjectionHead, WordHead
from radalign.systems.base import create
from radalign.systems.folder import TENSORS
from radalign.systems.start_from import start_from
from radalign.weights import extras
from radalign.weights.hub import load_text, load_vision
from radalign.weights.tokenizer import HashTokenizer
from radalign.weights.write import write_text, write_vision
from tests.unit.systems.conftest import REPORTS, TINY

OFFICIAL = ["model.official_missing=true", "model.official_frozen=true", "model.freeze_decoder=true"]
DECODER = ["model.decoder_heads=2", "model.decoder_depth=1"]


@pytest.fixture
def alta():
    shared = [setting for setting in TINY if "adapter_hidden" not in setting]
    return lambda *overrides: create("alta", [*shared, *DECODER, *overrides])


def batch_of(system):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (4, 4, 64, 64), dtype=torch.uint8, generator=generator)
    mask = torch.tensor([[1, 1, 1, 1], [1, 0, 0, 0], [0, 1, 0, 0], [1, 0, 1, 0]], dtype=torch.bool)
    return StudyBatch(ImageBatch(images, mask), system.tokenize(REPORTS))


# Spec 1.3: part -> how its parameters' names begin (or, with "adapter", what they contain), all, trainable.
PUBLISHED = {
    "patch embedding": (r"vision\.patch\.", 590_592, 0),
    "cls token": (r"vision\.cls$", 768, 768),
    "time and view embeddings": (r"(time|view)_embedding$", 3_072, 3_072),
    "missing token": (r"missing_token$", 150_528, 0),
    "positions of encoder and decoder": (r"(vision|decoder)\.position$", 302_592, 0),
    "vision blocks": (r"vision\.transformer\.(?!.*adapter)", 85_054_464, 36_864),
    "vision adapters": (r"vision\.transformer\..*adapter", 7_100_928, 7_100_928),
    "final norm": (r"vision\.norm\.", 1_536, 1_536),
    "image into text": (r"image_to_text\.", 590_592, 0),
    "decoder's ends": (r"decoder\.(embed|mask_token|norm|predict)", 2_955_264, 2_955_264),
    "decoder blocks": (r"decoder\.transformer\.", 28_351_488, 12_288),
    "image heads": (r"image_(global|local)_head\.", 230_400, 230_400),
    "scales": (r"log_scales$", 4, 4),
    "BERT embeddings": (r"text\.(word|position|segment|first_norm)", 23_837_184, 1_536),
    "BERT layers": (r"text\.transformer\.(?!.*adapter)", 85_054_464, 36_864),
    "text adapters": (r"text\.transformer\..*adapter", 7_100_928, 7_100_928),
    "word head": (r"word_head\.", 622_650, 622_650),
    "text heads": (r"text_(global|local)_head\.", 230_400, 230_400),
}


def test_at_the_published_size_the_counts_are_those_of_the_public_code():
    sizes = "width=768, depth=12, heads=12, mlp_width=3072"
    system = create(
        "alta",
        [
            f"backbones.vision={{random={{{sizes}, patch_px=16, image_px=224, position='sincos'}}}}",
            f"backbones.text={{random={{{sizes}, vocabulary=30522, max_tokens=512, segments=2}}}}",
            *OFFICIAL,
        ],
    )
    total = system.trainable_report()["total"]
    assert total["all"] == 242_177_854
    assert total["trainable"] == 18_333_502
    parameters, counted = dict(system.named_parameters()), set()
    for part, (pattern, whole, trainable) in PUBLISHED.items():
        names = {name for name in parameters if re.match(pattern, name)}
        assert sum(parameters[name].numel() for name in names) == whole, part
        trains = sum(parameters[name].numel() for name in names if parameters[name].requires_grad)
        assert trains == trainable, part
        counted |= names
    assert counted == set(parameters)


def test_before_training_the_towers_are_the_frozen_backbones(alta, tiny):
    adapted, bare = alta(), tiny("clinvla-heads")
    b = batch_of(adapted)
    views = b.images.images[b.images.view_mask][:, None, ::2, ::2]
    torch.testing.assert_close(adapted.vision(views), bare.vision(views), rtol=0, atol=1e-6)
    ids, mask = b.texts.input_ids, b.texts.attention_mask
    torch.testing.assert_close(adapted.eval().text(ids, mask), bare.text(ids, mask), rtol=0, atol=1e-6)


@pytest.mark.parametrize("official", [[], ["model.official_missing=true"]])
def test_what_stands_in_an_absent_slot_never_matters(alta, official):
    system = alta(*official).eval()
    b = batch_of(system)
    scribbled = b.images.images.clone()
    scribbled[~b.images.view_mask] = 255
    one = system.encode_images(b.images)
    two = system.encode_images(ImageBatch(scribbled, b.images.view_mask))
    assert torch.equal(one.global_, two.global_)
    assert torch.equal(one.local, two.local)
    assert bool(one.mask.all()) == bool(official)  # only the official way counts missing patches


@pytest.mark.parametrize("fusion", ["mean", "attention"])
def test_a_parameter_trains_exactly_if_an_objective_reaches_it(alta, fusion):
    system = alta(f'model.fusion="{fusion}"').train()
    terms = system.objectives(batch_of(system))
    assert set(terms) == set(system.recipe.objectives)
    system.total(terms).backward()
    assert [n for n, p in system.named_parameters() if p.requires_grad and p.grad is None] == []
    assert [n for n, p in system.named_parameters() if not p.requires_grad and p.grad is not None] == []


def test_without_an_objective_its_parts_stay_frozen(alta):
    system = alta("objectives={global_contrastive=1.0}").train()
    trains = {n.split(".")[0] for n, p in system.named_parameters() if p.requires_grad}
    assert not trains & {"decoder", "word_head", "image_to_text", "image_local_head", "text_local_head"}


@pytest.mark.parametrize("fusion", ["mean", "attention"])
def test_without_the_global_objective_mean_patch_and_word_stand_for_its_heads(alta, fusion):
    """Untrained heads score at random: no embedding may come from them."""
    system = alta("objectives.global_contrastive=0", f"model.fusion={fusion}").train()
    system.total(system.objectives(batch_of(system))).backward()
    assert [n for n, p in system.named_parameters() if p.requires_grad and p.grad is None] == []
    b, local = batch_of(system), system.eval().encode_images(batch_of(system).images)
    want = F.normalize((local.local * local.mask[..., None]).sum(1), dim=-1)
    torch.testing.assert_close(local.global_, want)
    before = system.encode_images(b.images).global_, system.text_points(b.texts)
    for head in (system.image_global_head, system.text_global_head):
        for parameter in head.parameters():
            torch.nn.init.normal_(parameter)
    assert torch.equal(before[0], system.encode_images(b.images).global_)
    assert torch.equal(before[1], system.text_points(b.texts))


def test_attention_over_views_starts_as_their_mean(alta):
    mean, attention = alta().eval(), alta('model.fusion="attention"').eval()
    attention.load_state_dict(mean.state_dict(), strict=False)
    b = batch_of(mean)
    torch.testing.assert_close(
        attention.encode_images(b.images).global_, mean.encode_images(b.images).global_, rtol=0, atol=1e-6
    )


def test_time_tells_a_prior_from_a_current_view(alta):
    system = alta().eval()
    with torch.no_grad():
        torch.nn.init.normal_(system.time_embedding)  # a constant shift would vanish in the LayerNorms
    image = torch.randint(0, 256, (1, 1, 64, 64), dtype=torch.uint8).expand(2, 4, -1, -1)
    slots = torch.tensor([[True, False, False, False], [False, False, True, False]])
    now, before = system.encode_images(ImageBatch(image, slots)).global_
    assert not torch.allclose(now, before, atol=1e-3)


def test_saving_and_loading_gives_the_same_numbers(alta, tmp_path):
    system = alta().eval()
    system.save(tmp_path / "run")
    again = radalign.load(tmp_path / "run")
    b = batch_of(system)
    assert torch.equal(system.encode_images(b.images).global_, again.encode_images(b.images).global_)
    assert torch.equal(system.encode_texts(b.texts).global_, again.encode_texts(b.texts).global_)


def shuffled(batch, order):
    images = ImageBatch(batch.images.images[order], batch.images.view_mask[order])
    return StudyBatch(images, TextBatch(batch.texts.input_ids[order], batch.texts.attention_mask[order]))


def test_the_order_of_a_batch_does_not_matter(alta):
    system = alta("objectives={global_contrastive=1.0, local_contrastive=1.0}").eval()
    b = batch_of(system)
    b = StudyBatch(ImageBatch(b.images.images[..., ::2, ::2], b.images.view_mask), b.texts)
    order = torch.tensor([2, 0, 3, 1])
    other = shuffled(b, order)
    close = {"rtol": 0, "atol": 1e-6}
    torch.testing.assert_close(
        system.encode_images(other.images).global_, system.encode_images(b.images).global_[order], **close
    )
    torch.testing.assert_close(
        system.encode_texts(other.texts).global_, system.encode_texts(b.texts).global_[order], **close
    )
    for name, term in system.objectives(b).items():
        torch.testing.assert_close(system.objectives(other)[name], term, rtol=0, atol=1e-5)


def test_what_stands_in_an_absent_slot_never_matters_to_a_loss_either(alta):
    system = alta().train()
    b = batch_of(system)
    scribbled = b.images.images.clone()
    scribbled[~b.images.view_mask] = 255
    found = []
    for images in (b.images, ImageBatch(scribbled, b.images.view_mask)):
        torch.manual_seed(3)
        found.append(system.objectives(StudyBatch(images, b.texts)))
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_a_batch_of_one_trains(alta):
    """(A15)"""
    system = alta().train()
    b = batch_of(system)
    one = StudyBatch(ImageBatch(b.images.images[:1], b.images.view_mask[:1]), system.tokenize(REPORTS[:1]))
    terms = system.objectives(one)
    assert (
        terms["global_contrastive"].item() == terms["local_contrastive"].item() == 0
    )  # no other to confuse with
    system.total(terms).backward()
    assert all(torch.isfinite(p.grad).all() for p in system.parameters() if p.grad is not None)


def test_a_study_without_any_view_is_refused(alta):
    b = batch_of(alta())
    with pytest.raises(BatchError, match=r"Studies \[1\] of the batch have no view; drop such studies first"):
        ImageBatch(b.images.images[:2], torch.tensor([[True] * 4, [False] * 4]))


def test_a_text_beyond_the_limit_keeps_its_end_token_and_ids_beyond_it_are_refused(alta):
    system = alta()
    texts = system.tokenize(["effusion " * 500])
    assert texts.input_ids.shape == (1, 32)
    assert texts.input_ids[0, -1] == HashTokenizer.SEP
    assert system.embed_texts(["effusion " * 500]).shape == (1, 16)
    ids = torch.ones(1, 65, dtype=torch.long)
    with pytest.raises(ValueError, match="A text has 65 tokens but the limit is 64; truncate it"):
        system.encode_texts(TextBatch(ids, ids.bool()))


def test_black_is_a_view_because_a_mask_says_so(alta):
    """(A4) The public code takes a view of zeros for missing."""
    system = alta().eval()
    black = torch.zeros(2, 4, 64, 64, dtype=torch.uint8)
    mask = torch.tensor([[True, True, False, False], [True, False, False, False]])
    both, one = system.encode_images(ImageBatch(black, mask)).mask
    assert (both.sum(), one.sum()) == (2 * 16, 16)


def test_official_flags_bring_the_defects_back(alta):
    """(A2, A3, A13): what trains by default, and what the public code leaves frozen."""
    mended, official = alta("model.official_missing=true"), alta(*OFFICIAL)
    trains = [{n for n, p in s.named_parameters() if p.requires_grad} for s in (mended, official)]
    assert {"image_to_text.weight", "image_to_text.bias", "missing_token"} <= trains[0] - trains[1]
    assert "decoder.transformer.blocks.0.qkv.weight" in trains[0] - trains[1]
    assert mended.missing_token.dtype == torch.float32
    assert "missing_token" not in dict(alta().named_parameters())  # absent views are left out


def test_the_official_start_of_text_adapters_is_not_the_frozen_backbone(alta):
    """(A5) Both layers at N(0, 0.02) in the text tower alone; the vision tower keeps its zero start."""
    mended, official = alta().eval(), alta("model.official_text_init=true").eval()
    names = [n for n, _ in official.named_parameters() if "adapter" in n and n.endswith("weight")]
    text = torch.cat([official.get_parameter(n).flatten() for n in names if n.startswith("text.")])
    assert text.std().item() == pytest.approx(0.02, rel=0.1)
    b = batch_of(mended)
    views = b.images.images[b.images.view_mask][:, None, ::2, ::2]
    assert torch.equal(mended.vision(views), official.vision(views))
    ids, mask = b.texts.input_ids, b.texts.attention_mask
    assert not torch.allclose(mended.text(ids, mask), official.text(ids, mask), atol=1e-4)


def test_official_lengths_reach_the_local_objective_of_several_processes_alone(alta, monkeypatch):
    """(A1) Gathering is played by repeating the batch: process 3 takes the lengths of process 2."""
    from radalign.systems import alta as module

    mended, official = alta().eval(), alta("model.official_lengths=true").eval()
    official.load_state_dict(mended.state_dict())
    b = batch_of(mended)

    def loss(system):
        torch.manual_seed(0)
        return system.objectives(b)["local_contrastive"]

    assert torch.equal(loss(mended), loss(official))  # one process

    def of_three(e):
        rolled = [torch.roll(m, i, 0) for i in range(3) for m in [e.mask]]
        return Embeddings(e.global_.repeat(3, 1), e.local.repeat(3, 1, 1), torch.cat(rolled))

    monkeypatch.setattr(module, "gather_embeddings", of_three)
    assert not torch.allclose(loss(mended), loss(official))


def test_counting_missing_views_changes_the_mean(alta):
    """(A3)"""
    masked, counted = alta().eval(), alta("model.official_missing=true").eval()
    counted.load_state_dict(masked.state_dict(), strict=False)
    b = batch_of(masked)
    one, two = (system.encode_images(b.images).global_ for system in (masked, counted))
    whole = b.images.view_mask.all(1)
    torch.testing.assert_close(one[whole], two[whole], rtol=0, atol=1e-6)
    assert (one[~whole] - two[~whole]).abs().amax(1).min() > 1e-3


def test_all_views_or_the_current_frontal_alone_at_inference(alta):
    """(A14) A study without a current frontal is embedded from what it has."""
    every, frontal = alta().eval(), alta('model.inference_views="frontal"').eval()
    b = batch_of(every)
    alone = b.images.view_mask.clone()
    alone[:, 1:] &= ~alone[:, :1]
    want = every.encode_images(ImageBatch(b.images.images, alone)).global_
    assert torch.equal(frontal.encode_images(b.images).global_, want)
    assert torch.equal(frontal.train()._counted(b.images.view_mask), b.images.view_mask)  # training sees all


def published_backbones(folder, decoder):
    """Encoders of the tests' size as imported folders: MRM's decoder, CXR-BERT's heads beside them."""
    blocks = {"width": 32, "depth": 2, "heads": 2, "mlp_width": 64}
    vision = load_vision({"random": {**blocks, "patch_px": 8, "image_px": 32, "seed": 1}})
    text, tokenizer = load_text({"random": {**blocks, "vocabulary": 200, "max_tokens": 64, "segments": 2}})
    torch.manual_seed(5)
    made = {
        "decoder": ImageDecoder(32, 4, 16, 1, 2),
        "head": ProjectionHead(32, 16),
        "words": WordHead(32, 200),
    }
    states = {name: module.state_dict() for name, module in made.items()}
    beside = {t: states["decoder"][o].clone() for o, t in extras.decoder_names(1).items()}
    write_vision(vision, folder / "vision", beside if decoder else None)
    heads = {extras.PROJECTION + t: states["head"][o] for o, t in extras.projection_names().items()}
    heads |= {extras.WORDS + t: states["words"][o] for o, t in extras.word_head_names().items()}
    write_text(text, folder / "text", heads)
    tokenizer.save(folder / "text")
    return [f"backbones.{side}={folder / side}" for side in ("vision", "text")], states


@pytest.mark.parametrize("decoder", [True, False])
def test_it_begins_with_the_decoder_and_heads_that_came_with_the_backbones(alta, tmp_path, decoder):
    """(A13) and spec 1.1: the local text head is a copy of CXR-BERT's own."""
    where, states = published_backbones(tmp_path, decoder)
    system = alta(*where)
    assert system.begun_with == {"text_global_head", "word_head"} | ({"decoder"} if decoder else set())
    for head, want in (("text_global_head", "head"), ("text_local_head", "head"), ("word_head", "words")):
        found = getattr(system, head).state_dict()
        assert all(torch.equal(found[name], tensor) for name, tensor in states[want].items())
    assert system.decoder.transformer.blocks[0].qkv.weight.requires_grad is not decoder
    same = torch.equal(system.decoder.predict.weight, states["decoder"]["predict.weight"])
    assert same is decoder


@pytest.mark.parametrize("decoder", [True, False])
def test_a_saved_system_holds_only_what_trained(alta, tmp_path, decoder):
    system = alta(*published_backbones(tmp_path, decoder)[0]).eval()
    with torch.no_grad():
        for parameter in system.parameters():
            if parameter.requires_grad:
                parameter += 0.1
    system.save(tmp_path / "run")
    saved = set(load_file(tmp_path / "run" / TENSORS))
    assert saved == {name for name, p in system.named_parameters() if p.requires_grad}
    again, whole = radalign.load(tmp_path / "run"), system.state_dict()
    assert all(torch.equal(tensor, whole[name]) for name, tensor in again.state_dict().items())
    assert again.identity == system.identity


def test_a_system_saved_with_its_frozen_tensors_still_loads(alta, tmp_path):
    where = published_backbones(tmp_path, True)[0]
    system = alta(*where, "objectives.local_contrastive=0").eval()
    system.save(tmp_path / "run")
    lean = set(load_file(tmp_path / "run" / TENSORS))
    save_file(system.own_state(), tmp_path / "run" / TENSORS)  # as the first version did
    frozen = set(system.own_state()) - lean
    assert {
        "decoder.position",
        "decoder.transformer.blocks.0.qkv.weight",
        "text_local_head.out.bias",
    } <= frozen
    assert "image_local_head.out.bias" in lean  # drawn, not published
    assert radalign.load(tmp_path / "run").identity == system.identity
    started = start_from(alta(*where), tmp_path / "run")
    assert frozen <= set(started.taken)
    assert not started.fresh


def test_a_frozen_tensor_that_is_not_the_published_one_is_saved(alta, tmp_path):
    """A run whose decoder trained, then one that starts from it with the decoder frozen."""
    where = published_backbones(tmp_path, True)[0]
    trained = alta(*where, "model.freeze_decoder=false")
    with torch.no_grad():
        trained.decoder.transformer.blocks[0].up.weight += 1
    trained.save(tmp_path / "trained")
    system = alta(*where)
    start_from(system, tmp_path / "trained")
    system.save(tmp_path / "run")
    again = radalign.load(tmp_path / "run")
    assert torch.equal(
        again.decoder.transformer.blocks[0].up.weight, trained.decoder.transformer.blocks[0].up.weight
    )


def test_what_the_public_code_decays_decays():
    """Spec 1.8: tensors of two dimensions or more, and there CLS and the mask token have three."""
    system = create("alta", [*(setting for setting in TINY if "adapter_hidden" not in setting), *DECODER])
    names = {id(p): name for name, p in system.named_parameters()}
    decayed, plain = ({names[id(p)] for p in group["params"]} for group in system.parameter_groups())
    assert {"vision.cls", "decoder.mask_token", "view_embedding", "time_embedding"} <= decayed
    assert "log_scales" in plain
    assert not any(name.endswith("bias") for name in decayed)


def test_prompts_come_before_their_unit_length_too(alta):
    system = alta().eval()
    raw, unit = (system.embed_texts(REPORTS, normalise=n) for n in (False, True))
    lengths = (raw**2).sum(1, keepdims=True) ** 0.5
    assert abs(lengths - 1).min() > 0.05
    torch.testing.assert_close(torch.tensor(raw / lengths), torch.tensor(unit), rtol=0, atol=1e-6)
