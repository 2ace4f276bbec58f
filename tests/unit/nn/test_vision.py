import pytest
import torch
import torch.nn.functional as F
from torch import nn

from radalign.nn.packing import Layout
from radalign.nn.transformer import TransformerConfig
from radalign.nn.vision import VisionConfig, VisionEncoder, kept_patches, sincos_positions


def an_encoder(**more):
    torch.manual_seed(0)
    config = VisionConfig(TransformerConfig(16, 2, 2, 32), **{"patch_px": 4, "image_px": 16, **more})
    encoder = VisionEncoder(config).eval()
    nn.init.normal_(encoder.cls)
    return encoder


def test_all_patches_come_out_after_cls_in_raster_order():
    encoder, images = an_encoder(), torch.randn(3, 3, 16, 16)
    assert encoder(images).shape == (3, 17, 16)
    kernel = encoder.patch.weight.view(16, 3, 4, 4)
    by_convolution = F.conv2d(images, kernel, encoder.patch.bias, stride=4).flatten(2).transpose(1, 2)
    torch.testing.assert_close(encoder.embed_patches(images), by_convolution)


def test_kept_patches_equal_those_of_the_whole_image():
    images = torch.randn(2, 3, 8, 12)
    keep = torch.tensor([[0, 5], [3, 1]])
    whole = kept_patches(images, 4)  # [2, 6, 48]
    assert torch.equal(kept_patches(images, 4, keep), torch.stack([whole[0, [0, 5]], whole[1, [3, 1]]]))
    assert torch.equal(whole[1, 4].view(3, 4, 4), images[1, :, 4:8, 4:8])


def test_dropping_patches_equals_attention_over_the_kept_ones_only():
    """The oracle computes every patch and forbids attention to the dropped ones."""
    encoder, images = an_encoder(), torch.randn(2, 3, 16, 16)
    keep = torch.tensor([[1, 4, 9], [0, 2, 15]])
    found = encoder(images, keep)
    for n in range(2):
        kept = torch.cat([torch.zeros(1, dtype=torch.long), keep[n] + 1])
        allowed = torch.zeros(17, dtype=torch.bool).index_fill(0, kept, True)
        x = encoder.embed(images[n : n + 1]).tokens  # all 17 tokens
        for block in encoder.transformer.blocks:
            q, k, v = block.qkv(block.norm1(x)).view(17, 3, 2, 8).permute(1, 2, 0, 3)
            mixed = F.scaled_dot_product_attention(q, k, v, allowed.expand(17, 17))
            x = x + block.out(mixed.transpose(0, 1).reshape(17, 16))
            x = x + block.down(F.gelu(block.up(block.norm2(x))))
        torch.testing.assert_close(found[n], encoder.norm(x)[kept], rtol=1e-5, atol=1e-5)


def test_only_kept_patches_are_looked_at():
    encoder, images = an_encoder(), torch.randn(1, 3, 16, 16)
    keep = torch.tensor([[2, 7]])
    changed = images.clone()
    changed[..., 12:, :] = 1e6
    assert torch.equal(encoder(images, keep), encoder(changed, keep))


def test_images_of_a_batch_do_not_see_each_other():
    encoder, images = an_encoder(), torch.randn(4, 3, 16, 16)
    torch.testing.assert_close(encoder(images)[2:3], encoder(images[2:3]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_grey_images_equal_three_normalised_channels(dtype):
    encoder = an_encoder(mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))
    grey = (
        torch.rand(2, 1, 16, 16) if dtype == torch.float32 else torch.randint(0, 256, (2, 1, 16, 16)).byte()
    )
    unit = grey / 255 if dtype == torch.uint8 else grey
    mean, std = torch.tensor(encoder.mean)[:, None, None], torch.tensor(encoder.std)[:, None, None]
    keep = torch.tensor([[0, 3], [9, 15]])
    torch.testing.assert_close(encoder(grey, keep), encoder((unit - mean) / std, keep), rtol=1e-4, atol=1e-5)


def test_grey_gradients_reach_a_trained_patch_embedding():
    encoder = an_encoder()
    encoder(torch.rand(1, 1, 16, 16)).square().sum().backward()
    assert encoder.patch.weight.grad.abs().sum() > 0


def test_extra_is_added_to_every_token_of_its_image():
    encoder, images = an_encoder(), torch.randn(2, 3, 16, 16)
    extra = torch.randn(2, 16)
    plain = encoder.embed(images).tokens.view(2, 17, 16)
    torch.testing.assert_close(
        encoder.embed(images, extra=extra).tokens.view(2, 17, 16), plain + extra[:, None]
    )


def test_the_embedding_adapter_comes_after_everything_before_the_blocks():
    encoder, images = an_encoder(norm_first=True), torch.randn(2, 3, 16, 16)
    plain = encoder.embed(images).tokens
    encoder.embedding_adapter = nn.Linear(16, 16)
    torch.testing.assert_close(encoder.embed(images).tokens, encoder.embedding_adapter(plain))


def test_other_image_sizes_interpolate_the_grid():
    encoder = an_encoder()
    assert encoder(torch.randn(1, 3, 24, 12)).shape == (1, 1 + 6 * 3, 16)
    assert torch.equal(encoder.positions((4, 4)), encoder.position)
    with torch.no_grad():
        encoder.position[1:] = 3.0  # a constant grid stays constant whatever its size
    torch.testing.assert_close(encoder.positions((7, 5))[1:], torch.full((35, 16), 3.0))


def test_missing_embeddings_can_be_put_in_by_a_system():
    """ALTA replaces absent patches by a token, before positions are added."""
    encoder = an_encoder()
    token = torch.randn(16)
    packed = encoder.arrange(token.expand(1, 16, 16), (4, 4))
    torch.testing.assert_close(packed.tokens[1:], token + encoder.position[1:])


def test_an_image_that_patches_do_not_tile_is_refused():
    with pytest.raises(ValueError, match="18 x 16 px is not a grid of 4 px patches; resize"):
        an_encoder()(torch.randn(1, 3, 18, 16))


def test_no_images_give_no_tokens():
    assert an_encoder()(torch.zeros(0, 3, 16, 16)).shape == (0, 17, 16)


def test_fixed_positions_do_not_train_and_follow_the_formula():
    encoder = an_encoder(position="sincos")
    assert not encoder.position.requires_grad
    table = sincos_positions(16, 3)
    row, column = 2, 1
    angles = [10000 ** -(i / 4) for i in range(4)]
    line = lambda at: [*torch.tensor(angles).mul(at).sin(), *torch.tensor(angles).mul(at).cos()]  # noqa: E731
    expected = torch.stack([*line(column), *line(row)])
    torch.testing.assert_close(table[1 + row * 3 + column], expected)
    assert torch.equal(table[0], torch.zeros(16))


def test_bfloat16_autocast_is_close():
    encoder, images = an_encoder().requires_grad_(False), torch.rand(2, 1, 16, 16)
    plain = encoder(images)
    with torch.autocast("cpu", torch.bfloat16):
        low = encoder(images)
    assert (low.float() - plain).norm() / plain.norm() < 0.03


def test_an_encoder_can_be_driven_level_by_level():
    encoder, images = an_encoder(), torch.randn(2, 3, 16, 16)
    packed = encoder.embed(images)
    assert packed.layout.buckets == Layout.even(2, 17).buckets
    for block in encoder.transformer.blocks:
        packed = packed.replace(block(packed.tokens, packed.layout))
    torch.testing.assert_close(encoder.finish(packed), encoder(images))
