"""Sequences of different lengths as one matrix of rows, so that padding is never computed.

    padded [B, L, D] + mask [B, L]  --pack-->  tokens [T, D] + Layout  --unpack-->  padded [B, L, D]

T is the number of real tokens. Rows of one sequence are contiguous and in order; sequences are arranged by
length, so that neighbours can attend in one call. Linear layers, norms and adapters see `tokens` only;
attention alone needs to know where a sequence begins, and it asks the `Layout`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Bucket:
    """Neighbouring sequences that attend in one call.

    Attributes:
        lengths: The length of each sequence, in tokens, in packed order.
    """

    lengths: tuple[int, ...]

    @property
    def rows(self) -> int:
        """How many packed rows the bucket has.

        >>> Bucket((3, 5)).rows
        8
        """
        return sum(self.lengths)

    @property
    def is_even(self) -> bool:
        """Whether all sequences have one length, so that attention is a plain reshape."""
        return min(self.lengths) == max(self.lengths)

    @cached_property
    def padded(self) -> Layout:
        """The layout of these sequences alone, in this order, padded to the longest (on the CPU)."""
        present = torch.arange(max(self.lengths)) < torch.tensor(self.lengths)[:, None]
        return Layout(present.flatten().nonzero().squeeze(1), len(self.lengths), max(self.lengths), ())


@dataclass(frozen=True, eq=False)
class Layout:
    """How T packed rows divide into B sequences.

    Attributes:
        gather: LongTensor [T], the place of each packed row in the flat padded batch [B * L].
        batch: B, the number of sequences, empty ones included.
        length: L, the padded length.
        buckets: The sequences in packed order, grouped for attention.
    """

    gather: Tensor
    batch: int
    length: int
    buckets: tuple[Bucket, ...]

    @classmethod
    def even(cls, batch: int, length: int, device: torch.device | str = "cpu") -> Layout:
        """The layout of sequences that all have the same length, where packing is a reshape.

        >>> Layout.even(2, 3).gather.tolist()
        [0, 1, 2, 3, 4, 5]
        """
        buckets = (Bucket((length,) * batch),) if batch and length else ()
        return cls(torch.arange(batch * length, device=device), batch, length, buckets)

    @classmethod
    def of_mask(cls, mask: Tensor, waste: float = 0.0) -> Layout:
        """The layout of the present tokens of a padded batch.

        Args:
            mask: bool [B, L], True = present; holes are allowed.
            waste: The share of padding that attention may compute in order to need fewer calls; 0 means none.

        >>> Layout.of_mask(torch.tensor([[True, True, False], [True, False, False]])).gather.tolist()
        [3, 0, 1]
        """
        batch, length = mask.shape
        lengths = mask.sum(1)
        order = torch.argsort(lengths, stable=True)
        flat = torch.arange(batch * length, device=mask.device).view(batch, length)
        gather = flat[order][mask[order]]  # [B, L] -> [T]
        sizes = [size for size in lengths[order].tolist() if size]
        return cls(gather, batch, length, _buckets(sizes, waste))

    @property
    def rows(self) -> int:
        """T, the number of packed rows."""
        return self.gather.shape[0]

    @property
    def is_even(self) -> bool:
        """Whether packed rows are the padded batch itself, reshaped."""
        return self.rows == self.batch * self.length

    @cached_property
    def scatter(self) -> Tensor:
        """LongTensor [B * L]: the packed row of each padded place; T where there is none."""
        places = self.gather.new_full((self.batch * self.length,), self.rows)
        places[self.gather] = torch.arange(self.rows, device=self.gather.device)
        return places

    @cached_property
    def sequence(self) -> Tensor:
        """LongTensor [T]: which sequence (0..B-1) each packed row belongs to."""
        return self.gather // max(self.length, 1)

    @cached_property
    def position(self) -> Tensor:
        """LongTensor [T]: the column of each packed row in the padded batch."""
        return self.gather % max(self.length, 1)

    @cached_property
    def mask(self) -> Tensor:
        """Where the padded batch has tokens: bool [B, L]."""
        return (self.scatter < self.rows).view(self.batch, self.length)


def _buckets(sizes: list[int], waste: float) -> tuple[Bucket, ...]:
    """Group ascending lengths greedily so that padding stays below `waste` of each group's places."""
    groups: list[list[int]] = []
    for size in sizes:
        places = size * (len(groups[-1]) + 1) if groups else 0
        if groups and places - sum(groups[-1]) - size <= waste * places:
            groups[-1].append(size)
        else:
            groups.append([size])
    return tuple(Bucket(tuple(group)) for group in groups)


def take_rows(source: Tensor, index: Tensor, inverse: Tensor) -> Tensor:
    """Rows [K, D] of source [N, D], each taken at most once.

    Args:
        source: float [N, D].
        index: LongTensor [K]; N gives a zero row.
        inverse: LongTensor [N], the same map the other way round; K where a row is not taken.
    """
    rows: Tensor = _Rows.apply(source, index, inverse)  # type: ignore[no-untyped-call]
    return rows


class _Rows(torch.autograd.Function):
    """`source[index]` for rows that are each taken at most once, so that backward is a gather and not a sum.

    `index` may hold `len(source)`, which gives a zero row; `inverse` is the same map the other way round.
    """

    @staticmethod
    def forward(ctx: Any, source: Tensor, index: Tensor, inverse: Tensor) -> Tensor:
        ctx.save_for_backward(index, inverse)
        return _take(source, index)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        index, inverse = ctx.saved_tensors
        return take_rows(grad, inverse, index), None, None


def _take(source: Tensor, index: Tensor) -> Tensor:
    """Rows [K, D] of source [N, D]; zero where `index` is N."""
    rows = source.new_zeros(index.shape[0], source.shape[1])
    real = index < source.shape[0]
    rows[real] = source[index[real]]
    return rows


def pack_rows(padded: Tensor, layout: Layout) -> Tensor:
    """Take the present rows of a padded batch [B, L, D] -> [T, D], in the layout's order."""
    flat = padded.reshape(layout.batch * layout.length, padded.shape[-1])  # [B, L, D] -> [B * L, D]
    if layout.is_even:
        return flat
    return take_rows(flat, layout.gather, layout.scatter)


def unpack_rows(tokens: Tensor, layout: Layout) -> Tensor:
    """Put packed rows [T, D] back into a padded batch [B, L, D] whose padding is zero."""
    flat = tokens if layout.is_even else take_rows(tokens, layout.scatter, layout.gather)
    return flat.view(layout.batch, layout.length, tokens.shape[-1])  # [B * L, D] -> [B, L, D]


@dataclass(frozen=True, eq=False)
class Packed:
    """Real tokens of several sequences, and how they divide.

    Attributes:
        tokens: float [T, D].
        layout: Which rows belong together.
    """

    tokens: Tensor
    layout: Layout

    @classmethod
    def pack(cls, padded: Tensor, mask: Tensor) -> Packed:
        """Drop the padding of float [B, L, D] under bool [B, L].

        >>> Packed.pack(torch.ones(1, 3, 2), torch.tensor([[True, False, True]])).tokens.shape
        torch.Size([2, 2])
        """
        layout = Layout.of_mask(mask)
        return cls(pack_rows(padded, layout), layout)

    def unpack(self) -> Tensor:
        """The padded batch [B, L, D], zero where there is no token."""
        return unpack_rows(self.tokens, self.layout)

    def replace(self, tokens: Tensor) -> Packed:
        """Other tokens [T, D'] with the same layout."""
        return Packed(tokens, self.layout)
