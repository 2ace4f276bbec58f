"""BioViL-T's image branch: every patch of the current image, and how it differs from the prior image.

    current frontal ── vision tower ─ patches ─ Linear ─┬─────────────────────────── static ─┐
                                                        ├─ + type now ──┐                    ├─ heads
    prior frontal ──── vision tower ─ patches ─ Linear ─── + type prior ┴ blocks ─ difference ┘
                       (same weights)                      no prior: one learned vector everywhere

Both images share one position embedding. The blocks see the patches of both; only what stands at the current
image's places is kept. The global embedding is the mean over patches, so change reaches it without passing
through a mean of CLS tokens. The published image tower is a ResNet-50; recipe `biovil-t` has a ViT,
`biovil-t-resnet50` the CNN, whose last stage gives the patches.

References: Bannur et al., "Learning to Exploit Temporal Structure for Biomedical Vision-Language Processing",
    CVPR 2023. The authors published inference only; the loss (global and half of the local objective) and
    the training settings are this project's.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from radalign.data.batches import BatchError, Embeddings, ImageBatch, StudyBatch
from radalign.nn.fusion import spread_over_slots
from radalign.nn.linear import Linear
from radalign.nn.packing import Layout, Packed
from radalign.nn.transformer import Transformer, TransformerConfig
from radalign.nn.vision import sincos_positions
from radalign.objectives.local import LocalScales, local_contrastive
from radalign.systems.base import Settings
from radalign.systems.recipe import Recipe, RecipeError
from radalign.systems.two_towers import LOG_SCALE_MOST, TwoTowers, TwoTowerSettings

SLOTS = frozenset({"current_frontal", "prior_frontal"})


class BioViLTSettings(TwoTowerSettings):
    """BioViL-T's `[model]` section."""

    fusion_width: int = Field(256, ge=4, multiple_of=4, description="W, width of the comparison.")
    fusion_depth: int = Field(3, ge=1, description="Blocks of the comparison.")
    fusion_heads: int = Field(8, ge=1, description="Attention heads of the comparison.")


class Comparison(nn.Module):
    """What is different at each place of the current image: [M, P, W] twice -> [M, P, W].

    Args:
        width: W.
        depth: Blocks.
        heads: Attention heads.
        grid: Patches along each side.
    """

    position: Tensor

    def __init__(self, width: int, depth: int, heads: int, grid: int) -> None:
        super().__init__()
        self.register_buffer("position", sincos_positions(width, grid)[1:], persistent=False)  # [P, W]
        self.kind = nn.Parameter(torch.randn(2, width) * 0.02)  # current, prior
        self.transformer = Transformer(TransformerConfig(width, depth, heads, width))
        self.norm = nn.LayerNorm(width, 1e-6)

    def forward(self, current: Tensor, prior: Tensor) -> Tensor:
        """Compare the patches of M current images with those of their priors."""
        places = self.position.to(current.dtype)
        both = torch.cat([current + places + self.kind[0], prior + places + self.kind[1]], 1)  # [M, 2 P, W]
        layout = Layout.even(both.shape[0], both.shape[1], both.device)
        mixed = self.transformer(Packed(both.flatten(0, 1), layout)).unpack()  # [M, 2 P, W]
        difference: Tensor = self.norm(mixed[:, : current.shape[1]])
        return difference


class BioViLT(TwoTowers):
    """BioViL-T with a ViT or ResNet, over the slots `current_frontal` and `prior_frontal`."""

    Settings: ClassVar[type[Settings]] = BioViLTSettings
    objective_names = ("global_contrastive", "local_contrastive")
    has_local = True
    settings: BioViLTSettings

    def __init__(self, recipe: Recipe) -> None:
        if set(recipe.data.slots) != SLOTS:
            raise RecipeError(
                'BioViL-T compares two frontal views; set data.slots = ["current_frontal", "prior_frontal"].'
            )
        super().__init__(recipe)
        s = self.settings
        self.now, self.before = (
            recipe.data.slots.index(name) for name in ("current_frontal", "prior_frontal")
        )
        self.narrow_head = Linear(self.vision.width, s.fusion_width)
        grid = -(-recipe.data.size_px // self.vision.patch_px)  # a ResNet's border counts, so rounded up
        self.comparison = Comparison(s.fusion_width, s.fusion_depth, s.fusion_heads, grid)
        self.missing_prior = nn.Parameter(torch.randn(s.fusion_width) * 0.02)
        self.local_log_scales = nn.Parameter(self.log_scale.detach().repeat(3))  # patch, word, logit
        self.local_log_scales.requires_grad_(bool(self.weight("local_contrastive")))

    @property
    def image_width(self) -> int:
        """Static and difference, side by side."""
        return 2 * self.settings.fusion_width

    def see(self, images: ImageBatch) -> Embeddings:
        """Studies as points: global [B, E] of unit length, local [B, P, E].

        Raises:
            BatchError: If a study has no current frontal view.
        """
        present = images.view_mask
        if not bool(present[:, self.now].all()):
            raise BatchError("BioViL-T needs a current frontal view of every study; drop the others first.")
        tokens = self.vision(images.images[present][:, None])  # [N, 1 + P, D]
        patches = spread_over_slots(self.narrow_head(tokens[:, 1:]), present)  # [B, V, P, W]
        static, has_prior = patches[:, self.now], present[:, self.before]
        both = torch.cat([static, self._difference(static, patches[:, self.before], has_prior)], -1)
        z = self.image_point(self.image_head(both.mean(1)), tokens, present)
        if self.image_local_head is None:
            return Embeddings(z)
        mask = torch.ones(both.shape[:2], dtype=torch.bool, device=both.device)  # [B, P]
        return Embeddings(z, self.image_local_head(both), mask)

    def _difference(self, static: Tensor, prior: Tensor, has_prior: Tensor) -> Tensor:
        """Difference of every patch [B, P, W]; the learned vector where there is no prior."""
        out = self.missing_prior.to(static.dtype).expand_as(static)
        if not bool(has_prior.any()):
            return out
        compared = self.comparison(static[has_prior], prior[has_prior]).to(static.dtype)
        return out.index_put((has_prior.nonzero()[:, 0],), compared)

    @property
    def local_scales(self) -> LocalScales:
        """The learned ones."""
        return LocalScales(*self.local_log_scales.exp())

    def terms(self, image: Embeddings, text: Embeddings, batch: StudyBatch) -> dict[str, Tensor]:
        """Global InfoNCE, and word-to-patch alignment."""
        terms = super().terms(image, text, batch) if self.weight("global_contrastive") else {}
        if self.weight("local_contrastive"):
            sides = (image.local, image.mask, text.local, text.mask)
            found = local_contrastive(*sides, self.local_scales, batch.same, "mean")  # type: ignore[arg-type]
            terms["local_contrastive"] = found
        return terms

    def after_step(self) -> None:
        """Keep every scale between 1 and 100."""
        super().after_step()
        with torch.no_grad():
            self.local_log_scales.clamp_(0, LOG_SCALE_MOST)
