"""The local similarity equals a plain loop, and retrieval can rank by it, by the global one or by both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from radalign.data.read_slots import read_slots
from radalign.evaluate.embeddings import EvaluationError, StudyEmbeddings
from radalign.evaluate.local_similarity import LocalParts, image_scores, local_scores, scales_of
from radalign.evaluate.retrieval import RetrievalSettings, evaluate_retrieval
from radalign.objectives.local import LocalScales, report_scores
from radalign.systems.base import create
from tests.few_labels import APART, CALM, labelled_manifest

GENERATOR = torch.Generator().manual_seed(0)


def parts(n, m, lengths):
    mask = torch.arange(m)[None] < torch.tensor(lengths)[:, None]
    return LocalParts(torch.nn.functional.normalize(torch.randn(n, m, 4, generator=GENERATOR), dim=-1), mask)


def test_scores_equal_a_loop_over_words():
    patches, words = parts(3, 5, [5, 4, 2]), parts(2, 4, [4, 1])
    got = local_scores(patches, words)
    for i in range(3):
        p = patches.vectors[i][patches.mask[i]].double()
        for j in range(2):
            w = words.vectors[j][words.mask[j]].double()
            attention = (4 * (p @ w.T).softmax(dim=1)).softmax(dim=0)  # over words, then over patches
            cosines = torch.stack([
                torch.nn.functional.cosine_similarity(w[k], attention[:, k] @ p, dim=0) for k in range(len(w))
            ])  # fmt: skip
            assert got[i, j] == pytest.approx(float((5 * cosines).exp().mean().log() / 5), abs=1e-5)


def given():
    random = np.random.default_rng(0)
    z = random.normal(size=(30, 6)).astype(np.float32)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    ids = tuple(f"s{i}" for i in range(30))
    local = random.normal(size=(30, 30)).astype(np.float32)
    return StudyEmbeddings(z, z[::-1].copy(), ids, ids, ({},) * 30, local=local)


@pytest.mark.parametrize("similarity", ["global", "local", "both"])
def test_retrieval_ranks_by_what_it_is_told(similarity):
    studies = given()
    scores = {"global": studies.image @ studies.text.T, "local": studies.local}
    scores["both"] = (scores["global"] + scores["local"]) / 2
    found = evaluate_retrieval({"a": studies}, RetrievalSettings(similarity=similarity, resamples=5))
    for task, matrix in (("image to text", scores[similarity]), ("text to image", scores[similarity].T)):
        ranks = (matrix > matrix.diagonal()[:, None]).sum(axis=1) + 1
        assert found["a", task, "MRR"].value == pytest.approx((1 / ranks).mean())
        assert found["a", task, "R@10"].value == pytest.approx((ranks <= 10).mean())


def test_a_local_ranking_needs_local_scores():
    with pytest.raises(EvaluationError, match="with_local"):
        evaluate_retrieval({"a": replace(given(), local=None)}, RetrievalSettings(similarity="local"))


@pytest.mark.parametrize("recipe", ["gloria", "clinvla", "alta", "biovil-t"])
def test_a_trained_system_is_asked_as_its_local_objective_asks(recipe, tmp_path):
    manifest = labelled_manifest(tmp_path, 1, 1, 1)
    system = create(recipe, [*APART, *CALM]).eval()
    with torch.no_grad():
        for name, value in system.named_parameters():
            if "local_head" in name:
                value.mul_(3)  # far from unit length
            if name.endswith("log_scales"):
                value.copy_(torch.linspace(0.5, 2.0, len(value)))
    studies = list(manifest.where(split="test"))
    texts = ["The heart is enlarged.", "No pleural effusion. The lungs are clear."]
    got = image_scores(system, [s.id for s in studies], manifest, texts)
    with torch.inference_mode():
        image = system.see(read_slots(studies, manifest, system.recipe.data))
        text = system.read(system.tokenize(texts))
        patch, word, logit = (float(scale) for scale in system.local_scales)
        sides = (image.local.float(), image.mask, text.local.float(), text.mask)
        want = report_scores(*sides, LocalScales(patch, word, logit), "mean") / (logit * word)
        unit = system.encode_images(read_slots(studies, manifest, system.recipe.data)).local
        lengths = [z[image.mask].norm(dim=-1).numpy() for z in (unit, image.local)]
    np.testing.assert_allclose(got, want.numpy(), atol=1e-5)
    assert scales_of(system) == pytest.approx((patch, word, 1 / word))
    assert lengths[0] == pytest.approx(1, abs=1e-4)
    assert lengths[1] != pytest.approx(1, abs=1e-2)
