"""Adapters into the matrices they adapt, where the algebra allows: a linear update yes, a bottleneck no.

W x + B A x = (W + B A) x          merged: same result, no further cost
m + U gelu(D m)                    no matrix gives that: the adapter stays
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

from torch import nn

from radalign.nn.linear import Linear

SLOTS = ("attention_adapter", "parallel_adapter", "output_adapter", "embedding_adapter")
_WHY = {
    "SequentialAdapter": "it has a GELU between its two matrices",
    "ParallelAdapter": "it has a GELU between its two matrices, and adds to what another branch computes",
    "StackedAdapter": "it has a ReLU between the matrices of its language and of its task adapter",
    "InvertibleAdapter": "it couples the halves of a token through a ReLU",
}


@runtime_checkable
class Mergeable(Protocol):
    """An adapter of one linear layer that is itself linear."""

    def merge_into(self, linear: Linear) -> None:
        """Add the update to the layer's weight, and take this module out of its slot."""


class Merge(NamedTuple):
    """What became of the adapters of a module.

    Attributes:
        merged: Names of the layers whose adapter is now part of their weight.
        kept: Name of every other adapter to the reason why no matrix equals it.
    """

    merged: tuple[str, ...]
    kept: dict[str, str]

    def sentences(self) -> tuple[str, ...]:
        """What a person should know, alike ones together.

        >>> Merge((), {"a": "it has a ReLU", "b": "it has a ReLU"}).sentences()
        ('2 adapters (a, ...) cannot be merged: it has a ReLU.',)
        """
        found = [f"{len(self.merged)} linear adapters are merged."] if self.merged else []
        for reason in dict.fromkeys(self.kept.values()):
            names = [name for name, why in self.kept.items() if why == reason]
            found.append(f"{len(names)} adapters ({names[0]}, ...) cannot be merged: {reason}.")
        return tuple(found)


def merge_adapters(module: nn.Module) -> Merge:
    """Merge every linear adapter of a module, in place.

    Args:
        module: Encoders or a whole system.
    """
    merged: list[str] = []
    kept: dict[str, str] = {}
    for name, part in list(module.named_modules()):
        update = getattr(part, "low_rank", None)
        if isinstance(part, Linear) and isinstance(update, Mergeable):
            update.merge_into(part)
            merged.append(name)
        for slot in SLOTS:
            adapter = getattr(part, slot, None)
            if isinstance(adapter, nn.Module):
                kept[f"{name}.{slot}"] = _WHY.get(
                    type(adapter).__name__, "it is not a linear map of one layer"
                )
    return Merge(tuple(merged), kept)
