import pytest
import torch

from radalign.nn.packing import Layout, Packed, pack_rows, unpack_rows


def a_mask():
    """Prefixes, a full row, an empty row, and a row with a hole."""
    return torch.tensor(
        [[1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0], [1, 0, 1, 1], [1, 1, 0, 0]], dtype=torch.bool
    )


def test_unpacking_gives_back_the_batch_with_zero_padding():
    mask, padded = a_mask(), torch.randn(5, 4, 3)
    packed = Packed.pack(padded, mask)
    assert packed.tokens.shape == (int(mask.sum()), 3)
    assert torch.equal(packed.unpack(), padded * mask[..., None])


def test_rows_of_a_sequence_are_contiguous_and_in_order():
    layout = Layout.of_mask(a_mask())
    sequences = layout.sequence.tolist()
    starts = [i for i in range(len(sequences)) if i == 0 or sequences[i] != sequences[i - 1]]
    assert len(starts) == len(set(sequences)) == 4  # the empty row has no tokens
    for b in range(5):
        assert layout.position[layout.sequence == b].tolist() == a_mask()[b].nonzero()[:, 0].tolist()


def test_the_mask_comes_back():
    assert torch.equal(Layout.of_mask(a_mask()).mask, a_mask())


def test_nothing_is_padded_without_waste_and_buckets_grow_with_it():
    assert all(bucket.is_even for bucket in Layout.of_mask(a_mask()).buckets)
    assert [b.lengths for b in Layout.of_mask(a_mask(), waste=0.0).buckets] == [(2, 2), (3,), (4,)]
    assert [b.lengths for b in Layout.of_mask(a_mask(), waste=0.3).buckets] == [(2, 2, 3), (4,)]
    assert [b.lengths for b in Layout.of_mask(a_mask(), waste=1.0).buckets] == [(2, 2, 3, 4)]


def test_gradients_pass_to_the_present_places_only():
    mask, padded = a_mask(), torch.randn(5, 4, 3, dtype=torch.float64, requires_grad=True)
    layout = Layout.of_mask(mask)
    weight = torch.randn(5, 4, 3, dtype=torch.float64)
    (unpack_rows(pack_rows(padded, layout), layout) * weight).sum().backward()
    assert torch.equal(padded.grad, weight * mask[..., None])


def test_both_directions_pass_gradcheck():
    layout = Layout.of_mask(a_mask())
    padded = torch.randn(5, 4, 2, dtype=torch.float64, requires_grad=True)
    tokens = torch.randn(layout.rows, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: pack_rows(x, layout), padded)
    assert torch.autograd.gradcheck(lambda x: unpack_rows(x, layout), tokens)


@pytest.mark.parametrize("shape", [(0, 4), (3, 0)])
def test_a_batch_of_nothing_is_defined(shape):
    packed = Packed.pack(torch.zeros(*shape, 2), torch.ones(shape, dtype=torch.bool))
    assert packed.tokens.shape == (0, 2)
    assert packed.unpack().shape == (*shape, 2)
    assert Layout.even(*shape).buckets == ()
