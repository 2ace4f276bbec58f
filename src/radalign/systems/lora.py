"""LoRA: both towers stay frozen, but for low-rank updates of their attention (or of all their matrices).

    frozen W [3 D, D] of query, key, value  +  alpha / r * up [D, r] down [r, D] for query and for value

The start is exactly the frozen towers (up is zero), so the first step is that of `linear-heads`. Everything
beside the updates (heads, InfoNCE, data) is that of the two-tower baseline.
References: Hu et al., ICLR 2022; updating query and value is their section 7.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from radalign.nn.linear import Linear
from radalign.nn.lora import LowRank
from radalign.nn.transformer import Block
from radalign.nn.vision import VisionEncoder
from radalign.systems.base import Settings
from radalign.systems.folder import SystemFolderError
from radalign.systems.recipe import Recipe, RecipeError
from radalign.systems.two_towers import TwoTowers, TwoTowerSettings


class LoRASettings(TwoTowerSettings):
    """LoRA's `[model]` section."""

    rank: int = Field(8, ge=1, description="r, the rank of every update.")
    alpha: float = Field(16.0, gt=0, description="Updates are scaled by alpha / rank.")
    targets: Literal["attention", "all"] = Field(
        "attention", description="`attention`: query and value; `all`: every matrix of every block."
    )


class LoRA(TwoTowers):
    """Low-rank updates in both towers."""

    Settings: ClassVar[type[Settings]] = LoRASettings
    needs_transformer = True
    settings: LoRASettings
    vision: VisionEncoder

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        s = self.settings
        if s.fine_tune != "none":
            raise RecipeError("Low-rank updates are for frozen towers; leave model.fine_tune at none.")
        self._is_merged = False
        for block in self._blocks():
            packed = (0, 2) if s.targets == "attention" else (0, 1, 2)
            block.qkv.low_rank = LowRank(*_sizes(block.qkv), s.rank, s.alpha, packed, 3)
            for layer in (block.out, block.up, block.down) if s.targets == "all" else ():
                layer.low_rank = LowRank(*_sizes(layer), s.rank, s.alpha)

    def _blocks(self) -> Iterator[Block]:
        for encoder in (self.vision, self.text):
            for block in encoder.transformer.blocks:
                if isinstance(block, Block):
                    yield block

    def merged(self) -> LoRA:
        """A copy with every update added to its matrix: the same embeddings at the frozen towers' cost."""
        copy = deepcopy(self)
        for block in copy._blocks():
            for layer in (block.qkv, block.out, block.up, block.down):
                if isinstance(layer.low_rank, LowRank):
                    layer.low_rank.merge_into(layer)
        copy._is_merged = True
        return copy

    def save(self, folder: str | Path, card: str = "") -> None:
        """Write a system folder, as every system does.

        Raises:
            SystemFolderError: If the updates are merged: the towers are no longer the named backbones.
        """
        if self._is_merged:
            raise SystemFolderError(
                "Merged towers are no published backbones; save the system before merging."
            )
        super().save(folder, card)


def _sizes(layer: Linear) -> tuple[int, int]:
    return layer.in_features, layer.out_features
