"""Questions to patches: answers do not depend on other questions, on absent patches, or on patch order."""

from __future__ import annotations

import pytest
import torch

from radalign.nn.query_decoder import QueryDecoder


@pytest.fixture
def asked():
    torch.manual_seed(0)
    decoder = QueryDecoder(16, depth=2, heads=4).eval()
    patches, mask = torch.randn(3, 6, 16), torch.ones(3, 6, dtype=torch.bool)
    mask[1, 4:] = False
    return decoder, torch.randn(5, 16), patches, mask


def test_an_answer_does_not_depend_on_the_other_questions(asked):
    decoder, questions, patches, mask = asked
    alone = decoder(questions[2:3], patches, mask)
    torch.testing.assert_close(decoder(questions, patches, mask)[:, 2:3], alone, atol=1e-6, rtol=0)


def test_absent_patches_are_not_looked_at(asked):
    decoder, questions, patches, mask = asked
    scribbled = patches.clone()
    scribbled[~mask] = 9.0
    torch.testing.assert_close(decoder(questions, scribbled, mask), decoder(questions, patches, mask))


def test_patches_have_no_order_of_their_own(asked):
    decoder, questions, patches, mask = asked
    turned = decoder(questions, patches.flip(1), mask.flip(1))
    torch.testing.assert_close(turned, decoder(questions, patches, mask), atol=1e-5, rtol=0)


def test_one_layer_equals_attention_written_out(asked):
    decoder, questions, patches, mask = asked
    layer = decoder.layers[0]
    x = questions.expand(3, -1, -1)
    q = layer.query(layer.norm1(x))
    k, v = layer.key_value(patches).split(16, -1)
    out = torch.zeros(3, 5, 16)
    for b in range(3):
        for h in range(4):
            part = slice(4 * h, 4 * h + 4)
            score = q[b, :, part] @ k[b, :, part].T / 2  # sqrt(4)
            score[:, ~mask[b]] = -torch.inf
            out[b, :, part] = score.softmax(-1) @ v[b, :, part]
    x = x + layer.out(out)
    x = x + layer.down(torch.nn.functional.gelu(layer.up(layer.norm2(x))))
    torch.testing.assert_close(layer(questions.expand(3, -1, -1), patches, mask), x, atol=1e-5, rtol=0)
