"""Two encoders and two heads, aligned by InfoNCE: CLIP's shape, and what the simpler rivals have in common.

    views of a study ── vision tower ── CLS, mean over present views ── head ─┐
                                     └─ patches ─────────── local head        ├─ unit length, E wide
    report ──────────── text tower ──── pooled token ────────────────── head ─┘
                                     └─ words ───────────── local head

What trains is a setting: heads alone (`linear-heads`), everything (`clip-full`), or nothing (`frozen`). Heads
start at random or, with `model.warm_start="cca"`, at zero beside a closed form, which is then the start. A
rival overrides `see` (how a study becomes a point), `read` (a text) or `terms` (its loss), and nothing else.
References: CLIP (Radford et al., ICML 2021, arXiv:2103.00020), figure 3.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from radalign.data.batches import Embeddings, ImageBatch, StudyBatch, TextBatch
from radalign.nn.fusion import cls_and_mean_patch, mean_over_views, spread_over_slots
from radalign.nn.heads import ProjectionHead
from radalign.nn.linear import Linear
from radalign.nn.resnet import ResNet
from radalign.nn.text import TextEncoder
from radalign.nn.tower import VisionTower
from radalign.objectives.contrastive import global_contrastive
from radalign.objectives.gather import gather_embeddings
from radalign.objectives.local import LocalScales
from radalign.study import Manifest
from radalign.systems.base import Progress, Settings, System
from radalign.systems.contradictions import need_started_heads
from radalign.systems.groups import decayed_and_plain
from radalign.systems.points import unit_points
from radalign.systems.recipe import Recipe, RecipeError
from radalign.systems.warm_start import WarmMaps

LOG_SCALE_MOST = math.log(100)


class TwoTowerSettings(Settings):
    """The `[model]` section that every two-tower system has."""

    embedding_width: int = Field(128, ge=2, description="Width of the joint space.")
    head: Literal["linear", "mlp", "none"] = Field(
        "linear", description="`none` keeps the encoders' own features: no joint space, nothing trains."
    )
    text_pool: Literal["cls", "mean", "max"] = Field(
        "cls", description="The text's global token: CLS, the mean of the tokens, or their maximum."
    )
    fine_tune: Literal["none", "vision", "both"] = Field("none", description="Which towers train in full.")
    frozen_text_layers: int = Field(
        0, ge=0, description="With `fine_tune = both`: embeddings and so many first layers stay frozen."
    )
    scale_start: float = Field(
        1 / 0.07, gt=1, le=100, description="Start of the learned inverse temperature."
    )
    warm_start: Literal["none", "cca"] = Field(
        "none", description="`cca`: heads start from the canonical correlation of the frozen features."
    )
    train_heads: bool = Field(
        True, description="Whether the global heads train beside the warm start's maps."
    )


class TwoTowers(System):
    """Two towers and heads over any ViT-like or ResNet vision and BERT-like text backbone."""

    Settings: ClassVar[type[Settings]] = TwoTowerSettings
    objective_names: ClassVar[tuple[str, ...]] = ("global_contrastive",)
    has_local: ClassVar[bool] = False
    settings: TwoTowerSettings

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        s = self.settings
        need_started_heads(s)
        if s.head == "none" and recipe.objectives:
            raise RecipeError('A system with model.head = "none" cannot train; empty its [objectives].')
        self.image_head = self.head_of(self.image_width)
        self.text_head = self.head_of(self.text.width)
        self.image_local_head = self.head_of(self.image_width) if self.has_local else None
        self.text_local_head = self.head_of(self.text.width) if self.has_local else None
        self.maps_head = self._maps() if s.warm_start == "cca" else None
        self.log_scale = nn.Parameter(torch.tensor(math.log(s.scale_start)))
        self.log_scale.requires_grad_(bool(self.weight("global_contrastive")))
        self._free_local_heads(bool(self.weight("local_contrastive")))
        if s.fine_tune != "none":
            unfreeze(self.vision)
        if s.fine_tune == "both":
            unfreeze(self.text, s.frozen_text_layers)

    def _maps(self) -> WarmMaps:
        """Frozen maps beside the global heads, which start at zero and train if the recipe says so.

        Raises:
            RecipeError: If there are no heads.
        """
        if not isinstance(self.image_head, (Linear, ProjectionHead)):
            raise RecipeError('model.warm_start starts heads; with model.head = "none" there are none.')
        maps = WarmMaps(self, len(self.recipe.data.slots))
        maps.silence(self.image_head, self.text_head)
        for head in (self.image_head, self.text_head):
            head.requires_grad_(self.settings.train_heads)
        return maps

    def _free_local_heads(self, trains: bool) -> None:
        for head in (self.image_local_head, self.text_local_head):
            if head is not None:
                head.requires_grad_(trains)

    @property
    def width(self) -> int:
        """E; without heads, the wider tower's width."""
        if self.settings.head == "none":
            return max(self.vision.width, self.text.width)
        return self.settings.embedding_width

    @property
    def image_width(self) -> int:
        """Width of what the image heads read."""
        return self.vision.width

    def head_of(self, width: int) -> nn.Module:
        """A head from a tower's width to the joint space; zeros behind the features where there is none."""
        if self.settings.head == "none":
            return nn.ZeroPad1d((0, self.width - width))
        if self.settings.head == "linear":
            return Linear(width, self.width, bias=False)
        return ProjectionHead(width, self.width)

    # -- encoding ----------------------------------------

    def encode_images(self, images: ImageBatch) -> Embeddings:
        """Embed studies: global [B, E]; local [B, V * P, E] where the system has local heads."""
        return unit_points(self.see(images))

    def encode_texts(self, texts: TextBatch) -> Embeddings:
        """Embed texts: global [B, E]; local [B, L - 1, E] where the system has local heads."""
        return unit_points(self.read(texts))

    @property
    def local_scales(self) -> LocalScales:
        """Of the local objective; GLoRIA's, where a system has no others."""
        return LocalScales(4.0, 5.0, 10.0)

    def see(self, images: ImageBatch) -> Embeddings:
        """Studies as points: global of unit length; local of any length, as the local objective wants it."""
        present = images.view_mask  # [B, V]
        tokens = self.vision(images.images[present][:, None])  # [N, 1 + P, D]
        z = self.image_point(self.image_head(mean_over_views(tokens[:, 0], present)), tokens, present)
        if self.image_local_head is None:
            return Embeddings(z)
        local = spread_over_slots(self.image_local_head(tokens[:, 1:]), present)  # [B, V, P, E]
        mask = present[:, :, None].expand(local.shape[:3])  # [B, V, P]
        return Embeddings(z, local.flatten(1, 2), mask.flatten(1, 2))  # [B, V * P, E]

    def image_point(self, head: Tensor, tokens: Tensor, present: Tensor) -> Tensor:
        """Unit vectors [B, E] from the head's output [B, E] and what the warm start makes of the views.

        Args:
            head: [B, E].
            tokens: [N, 1 + P, D] of the present views.
            present: bool [B, V].
        """
        point = head.float()
        if self.maps_head is not None:
            both = cls_and_mean_patch(tokens)  # [N, 2 D]
            point = point + self.maps_head.image(both, present)
        return F.normalize(point, dim=-1)

    def read(self, texts: TextBatch) -> Embeddings:
        """Texts as points, as in `see`; the local ones are what `parts` says."""
        tokens = self.text(texts.input_ids, texts.attention_mask)  # [B, L, D]
        z = F.normalize(self._text_point(tokens, texts), dim=-1)
        if self.text_local_head is None:
            return Embeddings(z)
        parts, part_mask = self.parts(tokens, texts)
        return Embeddings(z, self.text_local_head(parts), part_mask)

    def text_points(self, texts: TextBatch) -> Tensor:
        """The text head's output before it gets unit length: [B, E]."""
        return self._text_point(self.text(texts.input_ids, texts.attention_mask), texts)

    def _text_point(self, tokens: Tensor, texts: TextBatch) -> Tensor:
        mask = texts.attention_mask
        point: Tensor = self.text_head(pool(tokens, mask, self.settings.text_pool)).float()
        return point if self.maps_head is None else point + self.maps_head.text(pool(tokens, mask, "mean"))

    def parts(self, tokens: Tensor, texts: TextBatch) -> tuple[Tensor, Tensor]:
        """What of a text meets the patches: rows [B, W, D] and their mask; by default, tokens after CLS."""
        return tokens[:, 1:], texts.attention_mask[:, 1:]

    # -- training ----------------------------------------

    def warm_start(self, manifest: Manifest, progress: Progress | None = None) -> dict[str, float]:
        """Fill the maps, if there are any. A system without trainable parts says so, which ends its run."""
        if self.maps_head is not None:
            return self.maps_head.fit(self, manifest, progress)
        return {} if any(p.requires_grad for p in self.parameters()) else {"trainable parameters": 0.0}

    def objectives(self, batch: StudyBatch) -> dict[str, Tensor]:
        """The recipe's terms of a batch; contrastive ones see the batches of all processes."""
        image, text = gather_embeddings(self.see(batch.images)), gather_embeddings(self.read(batch.texts))
        return self.terms(image, text, batch)

    def terms(self, image: Embeddings, text: Embeddings, batch: StudyBatch) -> dict[str, Tensor]:
        """Named losses of the gathered points."""
        return {
            "global_contrastive": global_contrastive(image.global_, text.global_, self.log_scale, batch.same)
        }

    def after_step(self) -> None:
        """Keep the scale between 1 and 100."""
        with torch.no_grad():
            self.log_scale.clamp_(0, LOG_SCALE_MOST)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Weight decay on matrices, not on biases, norms and scales (CLIP, section 2.5)."""
        return decayed_and_plain(self)


def pool(tokens: Tensor, mask: Tensor, how: str) -> Tensor:
    """One vector per text: tokens [B, L, D] (zero at padding), mask bool [B, L] -> [B, D].

    >>> tokens, mask = torch.tensor([[[1.0], [-3.0], [0.0]]]), torch.tensor([[True, True, False]])
    >>> [pool(tokens, mask, how).item() for how in ("cls", "mean", "max")]
    [1.0, -1.0, 1.0]
    """
    if how == "cls":
        return tokens[:, 0]
    if how == "mean":
        mean: Tensor = tokens.sum(1) / mask.sum(1, keepdim=True)
        return mean
    return tokens.masked_fill(~mask[..., None], -torch.inf).amax(1)


def unfreeze(encoder: VisionTower | TextEncoder, frozen_layers: int = 0) -> None:
    """Let an encoder train, but for its published projection (unused) and its first layers.

    Args:
        encoder: A tower.
        frozen_layers: Blocks that stay frozen, and the embeddings with them; 0 trains all.

    Raises:
        ValueError: A ResNet is asked to train in part.
    """
    encoder.requires_grad_(True)
    if encoder.projection is not None:
        encoder.projection.requires_grad_(False)
    if not frozen_layers:
        return
    if isinstance(encoder, ResNet):
        raise ValueError("A ResNet trains as a whole; leave frozen_layers at 0.")
    encoder.requires_grad_(False)
    for block in encoder.transformer.blocks[frozen_layers:]:
        block.requires_grad_(True)
    if encoder.norm is not None:
        encoder.norm.requires_grad_(True)
