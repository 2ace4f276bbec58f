import pytest
import torch
from torch import nn

from radalign.nn.text import TextConfig, TextEncoder, last_tokens
from radalign.nn.transformer import TransformerConfig


def an_encoder(norm="post", **more):
    torch.manual_seed(0)
    blocks = TransformerConfig(16, 2, 2, 32, norm=norm, causal=norm == "pre")
    return TextEncoder(TextConfig(blocks, vocabulary=50, max_tokens=12, **more)).eval()


def a_batch():
    torch.manual_seed(1)
    mask = torch.arange(9) < torch.tensor([9, 4, 1, 0, 4])[:, None]
    return torch.randint(0, 50, (5, 9)), mask


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_padding_never_matters_and_comes_out_zero(norm):
    encoder, (ids, mask) = an_encoder(norm), a_batch()
    out = encoder(ids, mask)
    assert torch.equal(out[~mask], torch.zeros(int((~mask).sum()), 16))
    assert torch.equal(encoder(ids.masked_fill(~mask, 7), mask), out)
    for b in (0, 1, 2):
        n = int(mask[b].sum())
        alone = encoder(ids[b : b + 1, :n], torch.ones(1, n, dtype=torch.bool))
        torch.testing.assert_close(out[b, :n], alone[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_only_real_tokens_reach_the_linear_layers(norm):
    encoder, (ids, mask) = an_encoder(norm), a_batch()
    rows = []
    encoder.transformer.blocks[0].up.register_forward_hook(lambda _m, x, _y: rows.append(x[0].shape[0]))
    encoder(ids, mask)
    assert rows == [int(mask.sum())]


def test_a_causal_encoder_does_not_look_ahead():
    encoder, (ids, mask) = an_encoder("pre"), a_batch()
    changed = ids.clone()
    changed[0, 5:] = 3
    torch.testing.assert_close(encoder(ids, mask)[0, :5], encoder(changed, mask)[0, :5])
    assert not torch.allclose(encoder(ids, mask)[0, 8], encoder(changed, mask)[0, 8])


def test_extra_is_added_per_text_or_per_token():
    encoder, (ids, mask) = an_encoder(), a_batch()
    per_text = torch.randn(5, 16)
    plain, found = encoder.embed(ids, mask), encoder.embed(ids, mask, per_text)
    torch.testing.assert_close(found.tokens, plain.tokens + per_text[plain.layout.sequence])
    per_token = per_text[:, None].expand(5, 9, 16)
    torch.testing.assert_close(encoder.embed(ids, mask, per_token).tokens, found.tokens)


def test_the_embedding_adapter_comes_after_the_embeddings():
    encoder, (ids, mask) = an_encoder(), a_batch()
    plain = encoder.embed(ids, mask).tokens
    encoder.embedding_adapter = nn.Linear(16, 16)
    torch.testing.assert_close(encoder.embed(ids, mask).tokens, encoder.embedding_adapter(plain))


def test_a_text_longer_than_the_encoder_is_refused():
    with pytest.raises(ValueError, match="13 tokens but the limit is 12; truncate"):
        an_encoder()(torch.zeros(1, 13, dtype=torch.long), torch.ones(1, 13, dtype=torch.bool))


def test_texts_without_tokens_are_defined():
    encoder = an_encoder()
    assert encoder(torch.zeros(2, 3).long(), torch.zeros(2, 3, dtype=torch.bool)).abs().sum() == 0
    assert encoder(torch.zeros(0, 3).long(), torch.zeros(0, 3, dtype=torch.bool)).shape == (0, 3, 16)


def test_integer_masks_are_taken_as_true_and_false():
    encoder, (ids, mask) = an_encoder(), a_batch()
    assert torch.equal(encoder(ids, mask.long()), encoder(ids, mask))


def test_bfloat16_autocast_is_close_and_trains_the_embedding_adapter():
    encoder, (ids, mask) = an_encoder().requires_grad_(False), a_batch()
    plain = encoder(ids, mask)
    encoder.embedding_adapter = nn.Linear(16, 16)
    nn.init.eye_(encoder.embedding_adapter.weight)
    nn.init.zeros_(encoder.embedding_adapter.bias)
    with torch.autocast("cpu", torch.bfloat16):
        low = encoder(ids, mask)
    assert (low.float() - plain).norm() / plain.norm() < 0.03
    low.float().square().sum().backward()
    assert encoder.embedding_adapter.weight.grad.abs().sum() > 0


def test_the_last_token_is_the_last_real_one():
    tokens = torch.arange(6.0).view(2, 3, 1)
    mask = torch.tensor([[True, True, False], [True, True, True]])
    assert last_tokens(tokens, mask).tolist() == [[1.0], [5.0]]


def test_projections_have_one_layer_or_two():
    assert an_encoder().projection is None
    assert an_encoder(projection=8).projection(torch.zeros(2, 16)).shape == (2, 8)
    two = an_encoder(projection=8, projection_hidden=12).projection
    assert [tuple(p.shape) for p in two.parameters()] == [(12, 16), (8, 12)]


def test_every_token_of_a_report_belongs_to_the_first_segment():
    sizes = {"width": 8, "depth": 1, "heads": 2, "mlp_width": 8}
    blocks = TransformerConfig(**sizes, norm="post")
    torch.manual_seed(0)
    encoder = TextEncoder(TextConfig(blocks, 20, 16, segments=2)).eval()
    folded = TextEncoder(TextConfig(blocks, 20, 16)).eval()
    torch.nn.init.normal_(encoder.segment)
    own = {name: value.clone() for name, value in encoder.state_dict().items() if name != "segment"}
    folded.load_state_dict(own)
    ids, mask = torch.randint(20, (3, 9)), torch.arange(9) < torch.tensor([9, 2, 5])[:, None]
    with torch.no_grad():
        assert not torch.allclose(encoder(ids, mask), folded(ids, mask))
        folded.position.weight += encoder.segment[0]
        assert torch.equal(encoder(ids, mask), folded(ids, mask))
