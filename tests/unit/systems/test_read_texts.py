"""Words and sentences of token ids: cut where the tokens are cut, whatever the tokenizer."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from radalign.systems.read_texts import ReadTexts, grouped_mean, grouped_sum, sentences_of, words_of
from radalign.weights.tokenizer import HashTokenizer
from tests.unit.systems.conftest import rival

PIECES = ["[CLS]", "no", "ate", "##lect", "##asis", ".", "2", ".", "clear", ".", "[SEP]"]


def test_pieces_of_clip_belong_together_until_a_word_ends():
    assert words_of(["<|startoftext|>", "effu", "sion</w>", "left</w>", "<|endoftext|>"]) == [-1, 0, 0, 1, -1]


def test_sentences_and_words_of_wordpieces():
    assert words_of(PIECES) == [-1, 0, 1, 1, 1, 2, 3, 4, 5, 6, -1]
    assert sentences_of(PIECES) == [-1, 0, 0, 0, 0, 0, -1, -1, 1, 1, -1]


@given(st.lists(st.sampled_from(["no", "mass", ".", "1", ",", "effusion"]), max_size=30))
def test_sentences_are_numbered_in_order_without_holes(words):
    numbers = [n for n in sentences_of(["[CLS]", *words, "[SEP]"]) if n >= 0]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(len(set(numbers))))


@given(st.lists(st.text("ab .1", max_size=40), min_size=1, max_size=4))
def test_groups_cover_tokens_between_the_special_ones_and_nothing_else(texts):
    tokenizer = HashTokenizer(50, 12)
    system = rival("hica")
    batch = system.tokenize(texts)
    inside = batch.attention_mask.clone()
    inside[:, 0] = False
    inside[torch.arange(len(texts)), batch.lengths - 1] = False
    assert not bool((batch.groups >= 0)[~inside].any())
    assert batch.groups.shape == batch.input_ids.shape
    assert len(tokenizer.pieces(texts[0])) == tokenizer.count(texts[0])


def test_a_long_text_is_cut_with_its_groups():
    batch = rival("gloria", "backbones.max_tokens=6").tokenize(["one two three four five six seven eight"])
    assert batch.groups.tolist() == [[-1, 0, 1, 2, 3, -1]]


def test_sums_and_means_equal_loops():
    torch.manual_seed(0)
    tokens, groups = (
        torch.randn(3, 6, 4),
        torch.tensor([[0, 0, 1, -1, 1, 2], [0, -1, -1, -1, -1, -1], [-1] * 6]),
    )
    sums, mask = grouped_sum(tokens, groups)
    means, _ = grouped_mean(tokens, groups)
    assert mask.tolist() == [[True, True, True], [True, False, False], [False] * 3]
    for b in range(3):
        for g in range(3):
            rows = tokens[b][groups[b] == g]
            expected = rows.sum(0) if len(rows) else torch.zeros(4)
            torch.testing.assert_close(sums[b, g], expected, atol=1e-6, rtol=0)
            torch.testing.assert_close(means[b, g], expected / max(1, len(rows)), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["gloria", "hica"])
def test_what_was_read_moves_with_the_ids(name):
    batch = rival(name).tokenize(["No effusion.", "Normal heart. Clear lungs."])
    assert isinstance(batch.to("cpu"), ReadTexts)
    assert torch.equal(batch.to("cpu").groups, batch.groups)
