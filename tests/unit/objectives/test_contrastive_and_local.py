"""The batched objectives against slow, obvious loops."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from radalign.objectives.contrastive import global_contrastive, soft_cross_entropy
from radalign.objectives.local import LocalScales, local_contrastive, report_scores, report_scores_in_chunks
from radalign.objectives.published import global_attraction, local_attraction, variance_hinge


def loop_scores(patches, patch_mask, words, word_mask, scales):
    """GLoRIA's formula word by word, as one reads it."""
    rows = []
    for i in range(len(patches)):
        p = patches[i][patch_mask[i]]
        row = []
        for j in range(len(words)):
            w = words[j][word_mask[j]]
            u = p @ w.T
            a = u.softmax(1)
            b = (scales.patch * a.T).softmax(1)
            r = F.cosine_similarity(w, b @ p, dim=1)
            row.append(scales.logit * torch.log(torch.exp(scales.word * r).sum()))
        rows.append(torch.stack(row))
    return torch.stack(rows)


@pytest.fixture
def sides():
    g = torch.Generator().manual_seed(3)
    patches = torch.randn(5, 7, 6, generator=g)
    words = torch.randn(5, 9, 6, generator=g)
    patch_mask = torch.ones(5, 7, dtype=torch.bool)
    patch_mask[2, 4:] = False
    word_mask = torch.arange(9) < torch.tensor([9, 3, 1, 5, 5])[:, None]
    return patches, patch_mask, words, word_mask


SCALES = LocalScales(4.0, 5.0, 10.0)


def test_local_scores_equal_the_loop(sides):
    torch.testing.assert_close(
        report_scores(*sides, SCALES), loop_scores(*sides, SCALES), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("limit", [1, 150, 400, 10**9])
def test_chunks_of_any_size_give_the_same_scores_and_gradients(sides, limit):
    patches, patch_mask, words, word_mask = sides
    results = []
    for function, extra in ((report_scores, {}), (report_scores_in_chunks, {"max_elements": limit})):
        p, w = patches.clone().requires_grad_(), words.clone().requires_grad_()
        scores = function(p, patch_mask, w, word_mask, SCALES, **extra)
        scores.square().mean().backward()
        results.append((scores.detach(), p.grad, w.grad))
    for one, two in zip(*results, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5)


def test_the_mean_takes_away_the_bias_towards_long_reports(sides):
    difference = report_scores(*sides, SCALES, "sum") - report_scores(*sides, SCALES, "mean")
    expected = 10.0 * torch.tensor([math.log(n) for n in (9, 3, 1, 5, 5)]).expand(5, 5)
    torch.testing.assert_close(difference, expected, rtol=1e-5, atol=1e-5)


def test_padding_never_matters(sides):
    patches, patch_mask, words, word_mask = sides
    noisy = words.masked_fill(~word_mask[..., None], 77.0)
    noisy_patches = patches.masked_fill(~patch_mask[..., None], -55.0)
    torch.testing.assert_close(
        report_scores(noisy_patches, patch_mask, noisy, word_mask, SCALES), report_scores(*sides, SCALES)
    )


def test_a_study_without_words_is_left_out_of_the_local_loss(sides):
    patches, patch_mask, words, word_mask = sides
    word_mask = word_mask.clone()
    word_mask[1] = False
    kept = [0, 2, 3, 4]
    expected = local_contrastive(patches[kept], patch_mask[kept], words[kept], word_mask[kept], SCALES)
    torch.testing.assert_close(local_contrastive(patches, patch_mask, words, word_mask, SCALES), expected)


def test_soft_targets_equal_the_loop():
    logits = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    same = torch.eye(4)
    same[0, 2] = same[2, 0] = 0.5
    expected = 0.0
    for i in range(4):
        target = same[i] / same[i].sum()
        expected -= sum(target[j] * logits[i].log_softmax(0)[j] for j in range(4)) / 4
    torch.testing.assert_close(soft_cross_entropy(logits, same), expected)


def test_the_identity_as_agreement_is_plain_infonce():
    z = F.normalize(torch.randn(6, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    w = F.normalize(torch.randn(6, 8, generator=torch.Generator().manual_seed(1)), dim=1)
    scale = torch.tensor(2.659)
    torch.testing.assert_close(global_contrastive(z, w, scale, torch.eye(6)), global_contrastive(z, w, scale))


def test_a_constant_map_is_a_perfect_minimum_of_the_published_objective():
    z = F.normalize(torch.ones(8, 16), dim=1)
    mask = torch.ones(8, 5, dtype=torch.bool)
    constant = torch.ones(8, 5, 16)
    assert global_attraction(z, z).item() == pytest.approx(0, abs=1e-6)
    assert local_attraction(constant, mask, constant, mask).item() == pytest.approx(0, abs=1e-6)
    assert variance_hinge(z).item() > 0.9


def test_index_pairing_compares_patch_i_with_word_i():
    patches = torch.eye(4)[None, :3]
    words = torch.eye(4)[None, [0, 1, 3]]
    ones = torch.ones(1, 3, dtype=torch.bool)
    assert local_attraction(patches, ones, words, ones, "index").item() == pytest.approx(1 / 3)


def test_local_attraction_weighs_a_short_report_like_a_long_one():
    torch.manual_seed(0)
    patches, words = torch.randn(3, 5, 4), torch.randn(3, 6, 4)
    patch_mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 1], [0, 0, 0, 0, 0]]) > 0
    word_mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0]]) > 0
    pairs = []
    for i in (0, 1):  # the third study has no view, so no pair
        seen = patches[i][patch_mask[i]]
        contexts = [(seen @ word).softmax(0) @ seen for word in words[i][word_mask[i]]]
        cosines = [F.cosine_similarity(c, w, dim=0) for c, w in zip(contexts, words[i], strict=False)]
        pairs.append(1 - torch.stack(cosines).mean())
    loss = local_attraction(patches, patch_mask, words, word_mask)
    torch.testing.assert_close(loss, torch.stack(pairs).mean())


def test_index_pairing_passes_over_absent_slots():
    """A study without its first view is the study of its second view alone."""
    torch.manual_seed(0)
    patches, words = torch.randn(2, 8, 4), torch.randn(2, 3, 4)
    said, there = torch.ones(2, 3, dtype=torch.bool), torch.ones(2, 8, dtype=torch.bool)
    there[0, :4] = False
    patches[0, :4] = 0.0
    alone = local_attraction(patches[:1, 4:], there[:1, 4:], words[:1], said[:1], "index")
    whole = local_attraction(patches[1:], there[1:], words[1:], said[1:], "index")
    assert alone.item() > 0.1
    assert local_attraction(patches, there, words, said, "index").item() == pytest.approx(
        (alone + whole).item() / 2
    )
