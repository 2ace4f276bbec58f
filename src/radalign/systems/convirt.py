"""ConVIRT: one random sentence of the report against the image, NT-Xent weighted by direction.

    image ─ vision tower ─ CLS ─────── Linear, GELU, Linear ─ v ─┐
                                                                 ├ 0.75 l(v -> u) + 0.25 l(u -> v), T = 0.1
    one sentence ─ text tower ─ max ── Linear, GELU, Linear ─ u ─┘

The published towers are a ResNet-50 and a ClinicalBERT whose first half is frozen; recipe `convirt` has a
ViT, `convirt-resnet50` the CNN. Random sentences are the data's business (`data.text` in the recipe). Heads
are the project's own, with a LayerNorm between the layers.

References: Zhang et al., "Contrastive Learning of Medical Visual Representations from Paired Images and
    Text", MLHC 2022, equations 2 to 4.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from radalign.data.batches import Embeddings, StudyBatch
from radalign.objectives.contrastive import soft_cross_entropy
from radalign.systems.base import Settings
from radalign.systems.two_towers import TwoTowers, TwoTowerSettings


class ConVIRTSettings(TwoTowerSettings):
    """ConVIRT's `[model]` section."""

    temperature: float = Field(0.1, gt=0, description="T of NT-Xent, fixed.")
    image_to_text_share: float = Field(0.75, ge=0, le=1, description="Weight of the direction image to text.")


def weighted_nt_xent(
    z_img: Tensor, z_txt: Tensor, temperature: float, image_to_text_share: float, same: Tensor | None = None
) -> Tensor:
    """NT-Xent in both directions, one weighing more.

    Args:
        z_img: [B, E] of unit length.
        z_txt: [B, E] of unit length; row i belongs to image i.
        temperature: T.
        image_to_text_share: Weight of the direction image to text; the other direction has the rest.
        same: [B, B] agreement in 0..1, or None for one right answer per row.

    Returns:
        Loss in nats.

    >>> import torch
    >>> round(weighted_nt_xent(torch.eye(2), torch.eye(2), 1.0, 0.75).item(), 4)    # ln(1 + 1/e)
    0.3133
    """
    logits = z_img.float() @ z_txt.float().T / temperature  # [B, B]
    transposed = None if same is None else same.T
    forth, back = soft_cross_entropy(logits, same), soft_cross_entropy(logits.T, transposed)
    return image_to_text_share * forth + (1 - image_to_text_share) * back


class ConVIRT(TwoTowers):
    """ConVIRT over any ViT-like or ResNet vision and BERT-like text backbone."""

    Settings: ClassVar[type[Settings]] = ConVIRTSettings
    objective_names = ("nt_xent",)
    settings: ConVIRTSettings

    def terms(self, image: Embeddings, text: Embeddings, batch: StudyBatch) -> dict[str, Tensor]:
        """The weighted NT-Xent."""
        s = self.settings
        loss = weighted_nt_xent(image.global_, text.global_, s.temperature, s.image_to_text_share, batch.same)
        return {"nt_xent": loss}
