"""The rivals' losses against the slow, obvious way to write them."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from radalign.data.batches import Embeddings
from radalign.systems.convirt import weighted_nt_xent
from radalign.systems.hica import agreement_of_findings
from tests.unit.systems.conftest import frontal_batch, rival


def test_nt_xent_equals_the_paper_written_as_loops():
    torch.manual_seed(0)
    v, u = F.normalize(torch.randn(5, 8), dim=-1), F.normalize(torch.randn(5, 8), dim=-1)
    total = 0.0
    for i in range(5):
        own = math.exp(float(v[i] @ u[i]) / 0.1)
        v_to_u = -math.log(own / sum(math.exp(float(v[i] @ u[k]) / 0.1) for k in range(5)))
        u_to_v = -math.log(own / sum(math.exp(float(v[k] @ u[i]) / 0.1) for k in range(5)))
        total += (0.75 * v_to_u + 0.25 * u_to_v) / 5
    assert weighted_nt_xent(v, u, 0.1, 0.75).item() == pytest.approx(total, abs=1e-5)
    assert weighted_nt_xent(v, u, 0.1, 0.25).item() != pytest.approx(total, abs=1e-4)


def gloria_scores(image: Embeddings, text: Embeddings, t1: float, t2: float, t3: float) -> torch.Tensor:
    scores = torch.zeros(len(image), len(text))
    for i in range(len(image)):
        patches = image.local[i][image.mask[i]]
        for j in range(len(text)):
            words = text.local[j][text.mask[j]]
            over_words = (patches @ words.T).softmax(1)  # [P, W]
            over_patches = (t1 * over_words).softmax(0)
            total = 0.0
            for w in range(len(words)):
                context = (over_patches[:, w : w + 1] * patches).sum(0)
                total += math.exp(t2 * float(F.cosine_similarity(words[w], context, dim=0)))
            scores[i, j] = t3 * math.log(total)
    return scores


def test_gloria_equals_its_loops_with_temperatures_4_5_10():
    system = rival("gloria").eval()
    b = frontal_batch(system)
    with torch.no_grad():
        image, text, found = system.see(b.images), system.read(b.texts), system.objectives(b)
        scores, target = gloria_scores(image, text, 4.0, 5.0, 10.0), torch.arange(4)
        local = 0.5 * (F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target))
        cosine = 10.0 * image.global_ @ text.global_.T
        globally = 0.5 * (F.cross_entropy(cosine, target) + F.cross_entropy(cosine.T, target))
    torch.testing.assert_close(found["local_contrastive"], local, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(found["global_contrastive"], globally, atol=1e-5, rtol=0)


def test_the_temperatures_of_gloria_do_not_train():
    assert not rival("gloria").log_scale.requires_grad


def test_hica_adds_three_levels_and_the_coarse_one_forgives_reports_that_agree():
    system = rival("hica").eval()
    b = frontal_batch(system)
    with torch.no_grad():
        image, text, found = system.see(b.images), system.read(b.texts), system.objectives(b)
    asserted = b.texts.asserted
    sets = [{int(c) for c in (row == 1).nonzero()[:, 0]} for row in asserted]
    for i, one in enumerate(sets):
        for j, two in enumerate(sets):
            overlap = 1.0 if i == j else len(one & two) / max(1, len(one | two))
            assert agreement_of_findings(asserted)[i, j].item() == pytest.approx(overlap)
    logits = system.log_scale.exp() * image.global_ @ text.global_.T
    same = agreement_of_findings(asserted)
    forth = -(same / same.sum(1, keepdim=True) * logits.log_softmax(1)).sum(1).mean()
    back = -(same / same.sum(1, keepdim=True) * logits.T.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(found["finding_contrastive"], 0.5 * (forth + back), atol=1e-5, rtol=0)


def test_a_sentence_of_hica_is_the_mean_of_its_tokens():
    system = rival("hica").eval()
    texts = system.tokenize(["No effusion. Heart size normal.", "Normal."])
    with torch.no_grad():
        tokens = system.text(texts.input_ids, texts.attention_mask)
        points = system.read(texts)
        second = system.text_local_head(tokens[0, 4:8].mean(0))  # heart size normal .
    assert points.mask.tolist() == [[True, True], [True, False]]
    torch.testing.assert_close(points.local[0, 1], second, atol=1e-5, rtol=0)
