"""The quick cosines against the readable ones: numbers and gradients, whatever is absent."""

from __future__ import annotations

import pytest
import torch

from radalign.objectives.contrastive import symmetric_cross_entropy
from radalign.objectives.local import LocalScales, local_contrastive, report_scores, word_similarities
from radalign.objectives.word_context import word_cosines


@pytest.fixture
def sides():
    g = torch.Generator().manual_seed(5)
    patches, words = torch.randn(5, 12, 6, generator=g), torch.randn(4, 9, 6, generator=g)
    patch_mask = torch.rand(5, 12, generator=g) < 0.6
    patch_mask[3] = False  # an image without any view
    word_mask = torch.arange(9) < torch.tensor([9, 3, 0, 8])[:, None]  # and a report without any word
    return patches, patch_mask, words, word_mask


def numbers_and_gradients(function, sides, start, *extra):
    patches, patch_mask, words, word_mask = sides
    p, w = patches.clone().requires_grad_(), words.clone().requires_grad_()
    scale = torch.tensor(start, dtype=p.dtype, requires_grad=True)
    cosines = function(p, patch_mask, w, word_mask, scale, *extra)
    (cosines * torch.linspace(-1, 1, cosines.numel(), dtype=p.dtype).view(cosines.shape)).sum().backward()
    return cosines.detach(), p.grad, w.grad, scale.grad


@pytest.mark.parametrize("elements", [1, 150, 10**9])
@pytest.mark.parametrize("kept_bytes", [0, 10**9])
@pytest.mark.parametrize("scale", [4.0, 14.29, 100.0])
def test_numbers_and_gradients_are_those_of_the_formula(sides, scale, kept_bytes, elements):
    patches, patch_mask, words, word_mask = sides
    whole = word_mask.any(1)  # the readable formula divides by zero for a report without words
    some = (patches, patch_mask, words[whole], word_mask[whole])
    exact = (patches.double(), patch_mask, words[whole].double(), word_mask[whole])
    formula = numbers_and_gradients(word_similarities, exact, scale)
    # A steep softmax makes float32's rounding larger, and how much of it there is depends on the processor.
    for given, rtol, atol in ((exact, 1e-9, 1e-12), (some, 2e-3, 4e-6 * scale)):
        quick = numbers_and_gradients(word_cosines, given, scale, elements, kept_bytes)
        for ours, right in zip(quick, formula, strict=True):
            torch.testing.assert_close(ours.double(), right, rtol=rtol, atol=atol)


def test_a_large_batch_keeps_nothing_and_computes_it_again(sides, monkeypatch):
    from radalign.objectives import word_context

    made = []
    weigh = word_context._weigh
    monkeypatch.setattr(word_context, "_weigh", lambda *args: made.append(None) or weigh(*args))
    needed = 4 * 4 * int(sides[1].sum()) * 20  # float32 u, a, e and h of every patch and the 3 + 8 + 9 words
    counts = []
    for kept_bytes in (needed, needed - 1):
        made.clear()
        numbers_and_gradients(word_cosines, sides, 5.0, 1, kept_bytes)
        counts.append(len(made))
    assert counts[1] == 2 * counts[0] > 0


def test_what_is_absent_gives_zero_and_gets_no_gradient(sides):
    cosines, d_patches, d_words, _ = numbers_and_gradients(word_cosines, sides, 5.0)
    _, patch_mask, _, word_mask = sides
    assert cosines[3].abs().max() == 0
    assert cosines[:, ~word_mask].abs().max() == 0
    assert d_patches[~patch_mask].abs().max() == 0
    assert d_words[~word_mask].abs().max() == 0
    assert all(torch.isfinite(t).all() for t in (cosines, d_patches, d_words))


def test_the_loss_on_a_processor_is_that_of_the_scores(sides):
    patches, patch_mask, words, word_mask = (side[:2] for side in sides)
    scales = LocalScales(4.0, 5.0, 10.0)
    for how in ("sum", "mean"):
        loss = local_contrastive(patches, patch_mask, words, word_mask, scales, None, how)
        scores = report_scores(patches, patch_mask, words, word_mask, scales, how)
        torch.testing.assert_close(loss, symmetric_cross_entropy(scores), rtol=1e-5, atol=1e-6)


def test_autocast_changes_nothing(sides):
    args = (*sides, torch.tensor(4.0))
    plain = word_cosines(*args)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(word_cosines(*args), plain)
