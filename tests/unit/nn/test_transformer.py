import pytest
import torch
import torch.nn.functional as F
from torch import nn

from radalign.nn.adapters import ParallelAdapter, SequentialAdapter, StackedAdapter
from radalign.nn.packing import Layout, Packed
from radalign.nn.transformer import Block, Transformer, TransformerConfig, activate


def a_block(norm, **more):
    torch.manual_seed(0)
    block = Block(TransformerConfig(16, 1, 2, 32, norm=norm, **more)).eval()
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.3)
    return block


def attention(block, x):
    """The attention branch of one sequence [L, D], from torch's own function."""
    q, k, v = block.qkv(x).view(-1, 3, 2, 8).permute(1, 2, 0, 3)
    return block.out(F.scaled_dot_product_attention(q, k, v).transpose(0, 1).reshape(-1, 16))


def mlp(block, x):
    return block.down(F.gelu(block.up(x)))


X = torch.randn(5, 16, generator=torch.Generator().manual_seed(1))
ONE = Layout.even(1, 5)


def test_pre_norm_without_adapters_is_the_textbook_block():
    block = a_block("pre")
    x = X + attention(block, block.norm1(X))
    torch.testing.assert_close(block(X, ONE), x + mlp(block, block.norm2(x)))


def test_post_norm_without_adapters_is_the_textbook_block():
    block = a_block("post")
    a = block.norm1(X + attention(block, X))
    torch.testing.assert_close(block(X, ONE), block.norm2(a + mlp(block, a)))


def test_layer_scale_multiplies_each_branch():
    block = a_block("pre", layer_scale=True)
    x = X + block.scale1 * attention(block, block.norm1(X))
    torch.testing.assert_close(block(X, ONE), x + block.scale2 * mlp(block, block.norm2(x)))


def with_adapters(block):
    torch.manual_seed(2)
    block.attention_adapter = SequentialAdapter(16, init="xavier")
    block.parallel_adapter = ParallelAdapter(16, init="xavier")
    block.output_adapter = StackedAdapter(16, 4, init="he")
    return block


def test_pre_norm_slots_sit_where_the_contract_says():
    block = with_adapters(a_block("pre"))
    m = attention(block, block.norm1(X))
    x = X + m + block.attention_adapter.bottleneck(m)
    n = block.norm2(x)
    r = mlp(block, n)
    out = x + block.output_adapter(r, r) + 0.5 * block.parallel_adapter.bottleneck(n)
    torch.testing.assert_close(block(X, ONE), out)


def test_post_norm_slots_sit_where_the_contract_says():
    block = with_adapters(a_block("post"))
    a = block.norm1(X + attention(block, X))
    a = a + block.attention_adapter.bottleneck(a)
    r = mlp(block, a)
    h = block.norm2(r + a)
    out = block.norm2(block.output_adapter(h, r) + a) + 0.5 * block.parallel_adapter.bottleneck(a)
    torch.testing.assert_close(block(X, ONE), out)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_adapters_with_zero_up_projections_start_as_the_frozen_block(norm):
    block = a_block(norm)
    plain = block(X, ONE)
    block.attention_adapter, block.parallel_adapter = SequentialAdapter(16), ParallelAdapter(16)
    block.output_adapter = StackedAdapter(16, 4)
    assert torch.equal(block(X, ONE), plain)


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("causal", [False, True])
def test_packed_sequences_equal_each_sequence_alone(norm, causal):
    torch.manual_seed(0)
    model = Transformer(TransformerConfig(16, 2, 2, 32, norm=norm, causal=causal)).eval()
    mask = torch.arange(6) < torch.tensor([6, 2, 4, 2])[:, None]
    x = torch.randn(4, 6, 16)
    together = model(Packed.pack(x, mask)).unpack()
    for b in range(4):
        length = int(mask[b].sum())
        alone = model(Packed(x[b, :length], Layout.even(1, length))).tokens
        torch.testing.assert_close(together[b, :length], alone, rtol=1e-5, atol=1e-6)


def test_blocks_can_be_driven_one_by_one():
    torch.manual_seed(0)
    model = Transformer(TransformerConfig(16, 3, 2, 32)).eval()
    tokens = X
    for block in model.blocks:
        tokens = block(tokens, ONE)
    assert torch.equal(tokens, model(Packed(X, ONE)).tokens)


def test_bfloat16_autocast_is_close_and_trains_adapters_through_frozen_weights():
    torch.manual_seed(0)
    for norm in ("pre", "post"):
        model = Transformer(TransformerConfig(16, 2, 2, 32, norm=norm, layer_scale=norm == "pre"))
        model.requires_grad_(False)
        plain = model(Packed(X, ONE)).tokens
        for block in model.blocks:
            block.output_adapter = StackedAdapter(16, 4)
        with torch.autocast("cpu", torch.bfloat16):
            out = model(Packed(X, ONE)).tokens
        assert out.dtype == torch.bfloat16
        assert (out.float() - plain).norm() / plain.norm() < 0.03
        out.float().square().sum().backward()
        assert all(block.output_adapter.task.up.weight.grad.abs().sum() > 0 for block in model.blocks)
        assert all(p.grad is None for n, p in model.named_parameters() if "adapter" not in n)


def test_dropout_works_in_training_only():
    torch.manual_seed(0)
    model = Transformer(TransformerConfig(16, 1, 2, 32, norm="post", dropout=0.5, attention_dropout=0.5))
    assert not torch.equal(model(Packed(X, ONE)).tokens, model(Packed(X, ONE)).tokens)
    model.eval()
    assert torch.equal(model(Packed(X, ONE)).tokens, model(Packed(X, ONE)).tokens)


def test_activations():
    x = torch.linspace(-3, 3, 13)
    torch.testing.assert_close(activate(x, "quick_gelu"), x / (1 + torch.exp(-1.702 * x)))
    torch.testing.assert_close(activate(x, "gelu"), x * 0.5 * (1 + torch.erf(x / 2**0.5)))


def test_a_width_that_heads_do_not_divide_is_refused():
    with pytest.raises(ValueError, match="10 does not divide into 4 heads"):
        TransformerConfig(10, 1, 4, 20)
