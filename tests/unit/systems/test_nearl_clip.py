"""NEARL-CLIP: budgets, identity at the start, orthogonality, and independence of the batch."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from radalign.data.batches import ImageBatch, StudyBatch
from radalign.nn.interaction import OrthogonalCrossAttention, USEformer
from radalign.nn.orthogonal import split_update
from radalign.systems.base import create
from radalign.systems.nearl_clip import NEARLSettings
from radalign.systems.recipe import RecipeError, load_recipe

CLIP = [
    "backbones.vision={random={width=48, depth=4, heads=4, mlp_width=96, patch_px=8, image_px=32, projection=24}}",
    "backbones.text={random={width=32, depth=2, heads=4, mlp_width=64, vocabulary=99, max_tokens=77, norm='pre',"
    " causal=true, projection=24}}",
    "data.size_px=32",
    "data.slots=['current_frontal']",
    'model.classes=["pneumonia", "normal", "effusion"]',
]


def shaken(*overrides):
    """A system whose adapters do something: W_o is random instead of zero."""
    system = create("nearl-clip", [*CLIP, *overrides])
    torch.manual_seed(5)
    for oca in (*system.vision_oca, *system.text_oca):
        torch.nn.init.normal_(oca.out.weight, std=0.3)
    torch.nn.init.normal_(system.prototypes)
    return system


def images(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (n, 1, 32, 32), dtype=torch.uint8, generator=generator)
    return ImageBatch(pixels, torch.ones(n, 1, dtype=torch.bool))


def test_at_clip_size_the_budget_is_1_46_million():
    clip = [
        "backbones.vision={random={width=768, depth=12, heads=12, mlp_width=3072, patch_px=16, image_px=224,"
        " projection=512}}",
        "backbones.text={random={width=512, depth=12, heads=8, mlp_width=2048, vocabulary=49408, max_tokens=77,"
        " norm='pre', causal=true, projection=512}}",
    ]
    system = create("nearl-clip", clip)
    parts = {
        name: sum(p.numel() for p in getattr(system, name).parameters())
        for name in ("vision_oca", "text_oca", "useformer")
    }
    assert parts == {"vision_oca": 442_368, "text_oca": 442_368, "useformer": 579_072}
    assert system.trainable_report()["total"]["trainable"] == 1_463_808


DOCS = Path(__file__).parents[3] / "docs" / "few-shot.md"
SWITCHES = re.findall(r"^\| `(model\..*?)` \| .* \| ([\d,]+) \|$", DOCS.read_text("utf-8"), re.MULTILINE)
CLIP_SIZE = {
    "USEformer": 327_680 + 196_608 + 49_152 + 3 * 512,  # maps, attention, MLP, norms
    "queries": 1_024,
    "levels": 12 * 256,
    "vision adapters": 442_368,
    "text adapters": 442_368,
}
WITHOUT = {
    "model.useformer=false": ("USEformer", "levels"),
    "model.vision_adapters=false": ("vision adapters",),
    "model.text_adapters=false": ("text adapters",),
    "model.level_embedding=false": ("levels",),
}


def parts_that_train(system):
    names = {n for n, p in system.named_parameters() if p.requires_grad}
    of = {"vision_oca": "vision adapters", "text_oca": "text adapters"}
    of |= {"useformer.queries": "queries", "useformer.level": "levels"}
    return {of.get(n) or of.get(n.split(".")[0], "USEformer") for n in names}


@pytest.mark.parametrize(("switch", "count"), SWITCHES, ids=[switch for switch, _ in SWITCHES])
def test_every_documented_switch_takes_away_what_the_table_says(switch, count):
    assert {s for s, _ in SWITCHES} >= set(WITHOUT)
    kept = CLIP_SIZE.keys() - set(WITHOUT.get(switch, ()))
    assert f"{sum(CLIP_SIZE[part] for part in kept):,}" == count
    system = create("nearl-clip", [*CLIP, switch]).train()
    assert parts_that_train(system) == kept
    targets = F.one_hot(torch.tensor([0, 1, 2]), 3).to(torch.int8)
    terms = system.objectives(StudyBatch(images(3), system.tokenize(["", "", ""]), labels=targets))
    punished = switch not in ('model.orthogonality="hard"', 'model.orthogonality="none"')
    assert ("orthogonality" in terms) == punished
    projects = switch not in ('model.orthogonality="soft"', 'model.orthogonality="none"')
    assert {oca.alpha for oca in (*system.vision_oca, *system.text_oca)} == {0.0 if projects else 1.0}


@pytest.mark.parametrize("tower", ["vision", "text"])
def test_without_its_adapters_a_tower_is_the_frozen_one(tower):
    system, other = shaken(f"model.{tower}_adapters=false").eval(), shaken().eval()
    frozen = create("nearl-clip", CLIP).eval()
    sides = {"vision": lambda s: s.encode_images(images(2)).global_, "text": lambda s: s.class_texts()}
    with torch.no_grad():
        torch.testing.assert_close(sides[tower](system), sides[tower](frozen))
        assert (sides[tower](other) - sides[tower](frozen)).abs().max() > 1e-3


def test_without_the_useformer_an_image_is_the_same_among_any_classes():
    system = shaken("model.useformer=false").eval()
    with torch.no_grad():
        before = system.encode_images(images(2)).global_
        system.set_classes(["nodule", "fracture"])
        assert torch.equal(system.encode_images(images(2)).global_, before)


@pytest.mark.parametrize(
    ("recipe", "vision", "text", "useformer"),
    [("nearl-1.46M", 442_368, 442_368, 579_072), ("nearl-r16", 420_864, 313_344, 729_600)],
)
def test_both_presets_have_the_published_total(recipe, vision, text, useformer):
    """The modules alone at CLIP's widths: 12 levels of 768 and 512."""
    s = NEARLSettings.model_validate(load_recipe(recipe).model)
    queries = USEformer(
        768, 512, 12, s.query_width, s.queries, s.inner_width, s.inner_heads, s.hidden_width, s.useformer_bias
    )
    adapters = [
        OrthogonalCrossAttention(width, rank, s.query_width, affine=s.oca_affine)
        for width, rank in ((768, s.vision_rank), (512, s.text_rank))
    ]
    counts = [12 * sum(p.numel() for p in adapter.parameters()) for adapter in adapters]
    assert [*counts, sum(p.numel() for p in queries.parameters())] == [vision, text, useformer]
    assert vision + text + useformer == 1_463_808


def test_the_start_is_exactly_the_frozen_towers():
    system = create("nearl-clip", CLIP).eval()
    with torch.no_grad():
        frozen = system.vision(images(3).images)[:, 0]
        expected = F.normalize(system.vision.projection(frozen), dim=-1)
        assert torch.equal(system.encode_images(images(3)).global_, expected)
        texts = system.tokenize(["no pneumonia", "a large effusion on the left"])
        z = system.encode_texts(texts).global_
        tokens = system.text(texts.input_ids, texts.attention_mask)
        last = tokens[torch.arange(2), texts.attention_mask.sum(1) - 1]
        assert torch.equal(z, F.normalize(system.text.projection(last), dim=-1))


def test_the_novel_part_is_orthogonal_to_every_token():
    torch.manual_seed(0)
    oca = OrthogonalCrossAttention(48, 8, 16)
    torch.nn.init.normal_(oca.out.weight)
    f, z = torch.randn(3, 7, 48), torch.randn(3, 4, 16)
    updated, _ = oca(f, z)
    assert F.cosine_similarity(updated - f, f, dim=-1).abs().max() < 1e-6
    parallel, novel = split_update(oca.update(f, z), f)
    torch.testing.assert_close(parallel + novel, oca.update(f, z))


@pytest.mark.parametrize("detach", [True, False])
def test_the_projection_is_a_constant_of_the_step_unless_asked_otherwise(detach):
    """Spec 2.2: whether a feature receives gradient through the projection is a setting."""
    torch.manual_seed(0)
    system = shaken(f"model.detach_feature={str(detach).lower()}")
    assert {oca.detach for oca in (*system.vision_oca, *system.text_oca)} == {detach}
    update, f, wanted = (torch.randn(5, 8, dtype=torch.float64) for _ in range(3))
    f.requires_grad_()
    _, novel = split_update(update, f, detach=detach)
    assert novel.requires_grad is not detach
    if not detach:
        (novel * wanted).sum().backward()
        length = f.square().sum(-1, keepdim=True)
        along = (update * f).sum(-1, keepdim=True)
        across = (f * wanted).sum(-1, keepdim=True)
        by_hand = -(update * across + wanted * along) / length + 2 * f * along * across / length**2
        torch.testing.assert_close(f.grad, by_hand)


@pytest.mark.parametrize("interaction", ["prototype", "instance"])
def test_an_image_has_the_same_logits_alone_in_any_batch_and_in_any_order(interaction):
    system = shaken(f'model.interaction="{interaction}"').eval()
    batch = images(5)
    with torch.no_grad():
        together = system.logits(batch)
        alone = torch.cat(
            [system.logits(ImageBatch(batch.images[i : i + 1], batch.view_mask[:1])) for i in range(5)]
        )
        turned = system.logits(ImageBatch(batch.images.flip(0), batch.view_mask)).flip(0)
    torch.testing.assert_close(alone, together, rtol=0, atol=2e-5)
    torch.testing.assert_close(turned, together, rtol=0, atol=2e-5)


def test_with_the_batch_as_context_an_image_does_depend_on_its_batch():
    system = shaken('model.interaction="batch"', "model.allow_transductive=true").eval()
    batch = images(5)
    with torch.no_grad():
        alone = system.logits(ImageBatch(batch.images[:1], batch.view_mask[:1]))
        assert (alone - system.logits(batch)[:1]).abs().max() > 1e-3


def test_the_batch_as_context_is_refused_at_evaluation():
    with pytest.raises(RecipeError, match="depend on its batch"):
        shaken('model.interaction="batch"').eval().logits(images(2))


def test_another_class_set_replaces_the_prompts_and_keeps_the_prototypes():
    system = shaken().eval()
    before = system.prototypes.clone()
    with torch.no_grad():
        old = system.logits(images(2))
        system.set_classes(("nodule", "fracture"))
        assert system.logits(images(2)).shape == (2, 2)
        system.set_classes(("pneumonia", "normal", "effusion"))
        torch.testing.assert_close(system.logits(images(2)), old)
    assert torch.equal(system.prototypes, before)


def test_an_added_class_changes_logits_only_by_being_in_the_class_set():
    system = shaken().eval()
    with torch.no_grad():
        three = system.logits(images(2))
        system.set_classes(("pneumonia", "normal", "effusion", "nodule"))
        four = system.logits(images(2))
        texts = system.class_texts()
        system.set_classes(("nodule", "effusion", "normal", "pneumonia"))
        turned = system.logits(images(2)).flip(1)
        assert torch.equal(system.class_texts().flip(0), texts)
    torch.testing.assert_close(turned, four, rtol=0, atol=2e-5)  # a set, not a list
    assert (four[:, :3] - three).abs().max() > 1e-6  # images read the end tokens of every class
    plain = create("nearl-clip", CLIP).eval()
    with torch.no_grad():
        three = plain.logits(images(2))
        plain.set_classes(("pneumonia", "normal", "effusion", "nodule"))
        torch.testing.assert_close(plain.logits(images(2))[:, :3], three, rtol=0, atol=1e-4)


def test_the_texts_of_a_class_set_are_read_once(monkeypatch):
    system = shaken().eval()
    reads = []
    read = system._read
    monkeypatch.setattr(system, "_read", lambda *given: reads.append(1) or read(*given))
    with torch.no_grad():
        for names in (("normal", "mass"), ("fracture",), ("normal", "mass"), ("fracture",)):
            system.set_classes(names)
            system.logits(images(2))
        assert len(reads) == 2
        system.load_state_dict(system.state_dict())
        system.logits(images(1))
        assert len(reads) == 3  # other tensors, other texts


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.text_oca[0].out.weight.add_(1.0),
        lambda s: s.text_oca.load_state_dict({n: t + 1 for n, t in s.text_oca.state_dict().items()}),
        lambda s: s.prototypes.mul_(2.0),
        lambda s: s.double(),
    ],
)
def test_the_texts_of_a_class_set_are_read_again_when_the_weights_are_others(change):
    system = shaken().eval()
    with torch.no_grad():
        before = system.class_texts()
        change(system)
        after = system.class_texts()
        system.train()
        assert torch.equal(after, system.eval().class_texts())
    assert not torch.equal(after, before)


def test_a_system_trained_on_batches_may_be_tested_by_prototypes_or_when_allowed():
    system = shaken('model.interaction="batch"', 'model.evaluation="prototype"').eval()
    batch = images(4)
    with torch.no_grad():
        alone = system.logits(ImageBatch(batch.images[:1], batch.view_mask[:1]))
        torch.testing.assert_close(alone, system.logits(batch)[:1], rtol=0, atol=2e-5)
        allowed = shaken('model.interaction="batch"').eval()
        allowed.allow_transductive = True
        assert allowed.logits(batch).shape == (4, 3)


def test_padding_of_the_prompts_changes_nothing():
    system = shaken().eval()
    with torch.no_grad():
        one = system.encode_texts(system.tokenize(["no effusion"])).global_
        two = system.encode_texts(
            system.tokenize(["no effusion", "a much longer sentence about the heart"])
        ).global_
    torch.testing.assert_close(one[0], two[0], rtol=0, atol=1e-6)


def labelled(system, n=4):
    labels = torch.zeros(n, 3, dtype=torch.int8)
    labels[torch.arange(n), torch.arange(n) % 3] = 1
    return StudyBatch(images(n), system.tokenize(["x"] * n), labels=labels)


@pytest.mark.parametrize("orthogonality", ["hard", "soft", "both", "none"])
def test_training_classes_lowers_their_loss_and_moves_the_prototypes(orthogonality):
    system = shaken(f'model.orthogonality="{orthogonality}"').train()
    batch = labelled(system)
    before = system.prototypes.clone()
    optimizer = torch.optim.AdamW([p for p in system.parameters() if p.requires_grad], lr=2e-3)
    losses = []
    for _ in range(8):
        terms = system.objectives(batch)
        assert ("orthogonality" in terms) == (orthogonality in ("soft", "both"))
        losses.append(terms["classification"].item())
        optimizer.zero_grad()
        system.total(terms).backward()
        optimizer.step()
    assert losses[-1] < losses[0]
    assert not torch.equal(system.prototypes, before)


def test_one_class_and_one_report_train():
    system = shaken('model.classes=["pneumonia"]').train()
    one = StudyBatch(images(2), system.tokenize(["x", "y"]), labels=torch.ones(2, 1, dtype=torch.int8))
    for _ in range(2):  # prototypes begin in the first step and move in the second
        system.total(system.objectives(one)).backward()
    system = create("nearl-align", [*CLIP[:3], "data.slots=['current_frontal']"]).train()
    one = StudyBatch(images(1), system.tokenize(["x"]))
    for _ in range(2):
        system.total(system.objectives(one)).backward()
    assert torch.isfinite(system.vision_oca[0].out.weight.grad).all()


def test_a_study_with_two_classes_is_refused():
    system = create("nearl-clip", CLIP).train()
    batch = labelled(system)
    batch.labels[0, :2] = 1
    with pytest.raises(RecipeError, match="exactly one present class"):
        system.objectives(batch)


def test_encoders_without_a_joint_space_get_heads_and_align_with_reports():
    overrides = [
        "backbones.vision={random={width=32, depth=4, heads=2, mlp_width=64, patch_px=8, image_px=32}}",
        "backbones.text={random={width=24, depth=2, heads=2, mlp_width=64, vocabulary=99, max_tokens=64}}",
        "data.size_px=32",
    ]
    system = create("nearl-align", overrides).train()
    pixels = torch.randint(0, 256, (3, 2, 32, 32), dtype=torch.uint8)
    mask = torch.tensor([[True, True], [True, False], [False, True]])
    batch = StudyBatch(ImageBatch(pixels, mask), system.tokenize(["a b", "c d e", "f"]))
    terms = system.objectives(batch)
    system.total(terms).backward()
    assert set(terms) == {"global_contrastive", "orthogonality"}
    assert system.eval().encode_images(batch.images).global_.shape == (3, 128)
