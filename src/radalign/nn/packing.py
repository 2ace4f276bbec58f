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

    def padded(self, device: torch.device) -> Layout:
        """The layout of these sequences alone, in this order, padded to the longest."""
        lengths = torch.tensor(self.lengths, device=device)
        present = torch.arange(max(self.lengths), device=device) < lengths[:, None]
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
    def of_mask(cls, mask: Tensor, waste: float | None = None) -> Layout:
        """The layout of the present tokens of a padded batch.

        Args:
            mask: bool [B, L], True = present; holes are allowed.
            waste: The share of padding that attention may compute in order to need fewer calls; None is 0 on
                a CPU, where a call is cheap, and 1/4 elsewhere.

        >>> Layout.of_mask(torch.tensor([[True, True, False], [True, False, False]])).gather.tolist()
        [3, 0, 1]
        """
        batch, length = mask.shape
        waste = (0.0 if mask.device.type == "cpu" else 0.25) if waste is None else waste
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
        flat = torch.zeros(self.batch * self.length, dtype=torch.bool, device=self.gather.device)
        return flat.index_fill(0, self.gather, True).view(self.batch, self.length)


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


class _Take(torch.autograd.Function):
    """Rows of a matrix, each taken at most once, so that backward copies and need not sum."""

    @staticmethod
    def forward(ctx: Any, source: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.total = source.shape[0]
        return source.index_select(0, rows)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (rows,) = ctx.saved_tensors
        return grad.new_zeros(ctx.total, grad.shape[1]).index_copy_(0, rows, grad), None


class _Place(torch.autograd.Function):
    """Rows put into a matrix of zeros, each at its own place: the reverse of `_Take`."""

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, rows: Tensor, total: int) -> Tensor:
        ctx.save_for_backward(rows)
        return tokens.new_zeros(total, tokens.shape[1]).index_copy_(0, rows, tokens)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (rows,) = ctx.saved_tensors
        return grad.index_select(0, rows), None, None


def pack_rows(padded: Tensor, layout: Layout) -> Tensor:
    """Take the present rows of a padded batch [B, L, D] -> [T, D], in the layout's order."""
    flat = padded.reshape(layout.batch * layout.length, padded.shape[-1])  # [B, L, D] -> [B * L, D]
    if layout.is_even:
        return flat
    packed: Tensor = _Take.apply(flat, layout.gather)  # type: ignore[no-untyped-call]
    return packed


def unpack_rows(tokens: Tensor, layout: Layout) -> Tensor:
    """Put packed rows [T, D] back into a padded batch [B, L, D] whose padding is zero."""
    if not layout.is_even:
        total = layout.batch * layout.length
        tokens = _Place.apply(tokens, layout.gather, total)  # type: ignore[no-untyped-call]
    padded: Tensor = tokens.view(layout.batch, layout.length, tokens.shape[-1])  # [B * L, D] -> [B, L, D]
    return padded


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
