"""The joint space of two frozen towers: their own projections, or a map computed from the labelled studies.

    image ─ frozen tower ─┬─ projection (CLIP, BiomedCLIP) ──────────────────┬─ [B, E]
                          └─ CLS and mean patch ─ ridge map ─ text space ────┘
    text  ─ frozen tower ─┬─ projection
                          └─ mean token ─ unit ─ centre

Encoders that were never trained together (DINOv2 and MiniLM, say) share no space. The map is the closed form
that sends the features of the training studies to the sentences of their classes: no report is needed, and a
class that no study showed is still reached through its sentence.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from radalign.data.batches import ImageBatch, TextBatch
from radalign.data.examples import class_of
from radalign.data.read_slots import read_slots
from radalign.nn.fusion import mean_over_views
from radalign.nn.maps import SlotMap, UnitMap
from radalign.nn.text import TextEncoder, last_tokens
from radalign.study import Manifest
from radalign.systems.base import Progress, Settings, System
from radalign.systems.contradictions import Template
from radalign.systems.frozen_features import pooled_texts, pooled_views
from radalign.systems.recipe import RecipeError
from radalign.systems.remembered import Remembered


class FrozenSpaceSettings(Settings):
    """What the `[model]` sections of the classifiers in this space share."""

    classes: tuple[str, ...] = Field((), description="Class set; filled from data.labels or the manifest.")
    template: Template = Field("a photo of a {}.", description="Prompt of a class; {} is its name.")
    scale: float = Field(
        0.0, ge=0, description="Inverse temperature of the sentences; 0 = CLIP's 100, or 1 / 0.07 on a map."
    )
    map_penalty: float = Field(
        0.1, gt=0, description="Ridge penalty of the map for encoders without a joint space."
    )


def has_joint_space(system: System) -> bool:
    """Whether both towers come with a projection into one space."""
    return joint_width(system) > 0


def joint_width(system: System) -> int:
    """E of the published joint space, 0 where there is none.

    Raises:
        RecipeError: If the two projections do not end in one space.
    """
    image, text = system.vision.config.projection, system.text.config.projection
    if not image or not text:
        return 0
    if image != text:
        raise RecipeError(
            f"The vision encoder projects to {image} numbers and the text encoder to {text}: they were not "
            "trained together; name two encoders of one CLIP."
        )
    return image


def text_pool_of(text: TextEncoder) -> Literal["last", "cls", "mean"]:
    """Where a text tower is read: CLIP's last token, BiomedCLIP's CLS, else the mean."""
    if text.projection is None:
        return "mean"
    return "last" if text.config.transformer.norm == "pre" else "cls"


class FrozenSpace(nn.Module):
    """Embeds images and texts with frozen towers only.

    Args:
        system: Gives the towers and the slots; they stay its own.
    """

    def __init__(self, system: System) -> None:
        super().__init__()
        self.maps: LabelMaps | None = None if has_joint_space(system) else LabelMaps(system)
        self.memory = Remembered()

    @property
    def scale(self) -> float:
        """Inverse temperature of the cosines: CLIP's own 100; a map from few labels is less sure."""
        return 100.0 if self.maps is None else 1 / 0.07

    @staticmethod
    def width_of(system: System) -> int:
        """E: of the published space, or of the texts."""
        return joint_width(system) or system.text.width

    def features(self, system: System, images: ImageBatch) -> Tensor:
        """What the frozen tower makes of every present view: [N, E] in a joint space, else [N, 2 D].

        Batches of evaluation come again (in every epoch's validation, every cell's test), so they are
        remembered; in training images change with every draw.
        """

        def make() -> Tensor:
            if self.maps is not None:
                return pooled_views(system.vision, images)
            tokens = system.vision(images.images[images.view_mask][:, None])  # [N, 1 + P, D]
            projected: Tensor = system.vision.projection(tokens[:, 0])  # type: ignore[misc]
            return projected

        if system.training:
            return make()
        looks = (system.vision.mean, system.vision.std)  # a recipe may set its own
        kind = "projected" if self.maps is None else "pooled"
        return self.memory.of(images, f"{system.backbones['vision']} {looks} {kind}", make)

    def images(self, system: System, images: ImageBatch) -> Tensor:
        """Image features before they become unit vectors: [B, E]."""
        rows = self.features(system, images)
        if self.maps is None:
            return mean_over_views(rows, images.view_mask)
        mapped: Tensor = self.maps.image(rows, images.view_mask)
        return mapped

    def both(self, system: System, images: ImageBatch) -> tuple[Tensor, Tensor]:
        """Unit features in the joint space [B, E], and the ones that images are compared by [B, F].

        With a joint space they are the same; with a map, images are compared before it (standardised),
        because the map was fitted to send the shots to their sentences.
        """
        if self.maps is None:
            z = F.normalize(self.images(system, images), dim=-1)
            return z, z
        rows = self.features(system, images)
        mapped = self.maps.image(rows, images.view_mask)
        plain = self.maps.image.standardise(rows, images.view_mask)
        return F.normalize(mapped, dim=-1), F.normalize(plain, dim=-1)

    @staticmethod
    def key_width_of(system: System) -> int:
        """F: of the joint space, or of the pooled features of all slots."""
        slots = len(system.recipe.data.slots)
        return joint_width(system) or 2 * slots * system.vision.width

    def texts(self, system: System, texts: TextBatch) -> Tensor:
        """Text features: [B, E]."""
        if self.maps is not None:
            mapped: Tensor = self.maps.text(pooled_texts(system.text, texts))
            return mapped
        tokens, mask = system.text(texts.input_ids, texts.attention_mask), texts.attention_mask
        read = last_tokens(tokens, mask) if text_pool_of(system.text) == "last" else tokens[:, 0]
        own: Tensor = system.text.projection(read)  # type: ignore[misc]
        return own


class LabelMaps(nn.Module):
    """Images into the text space by ridge regression on the class sentences, and the centred text space.

    Attributes:
        image: Mean and one common deviation of the training features, then the ridge map.
        text: Unit length, minus the mean of the classes; the map itself is the identity.
    """

    def __init__(self, system: System) -> None:
        super().__init__()
        slots, width = len(system.recipe.data.slots), system.text.width
        self.image = SlotMap(slots, 2 * system.vision.width, width)
        self.text = UnitMap(system.text.width, width)
        self.requires_grad_(False)

    @torch.no_grad()
    def fit(
        self, system: Any, manifest: Manifest, penalty: float, progress: Progress | None = None
    ) -> dict[str, float]:
        """Fill the maps from the manifest's training studies and their classes.

        Args:
            system: A classifier.
            manifest: Its training studies show one class each.
            penalty: Of the ridge, as a share of a study's mean squared feature length.
            progress: Wraps the loop over batches.
        """
        rows, present, classes = shot_features(system, manifest, progress)
        sentences = F.normalize(pooled_texts(system.text, system.class_prompts()).float(), dim=-1)  # [C, D]
        self.text.mean.copy_(sentences.mean(0))
        self.text.weight.copy_(torch.eye(sentences.shape[1]))
        self._standardise(rows, present)
        x = self.image.standardise(rows, present).double()  # [N, V * 2 D]
        y = (sentences - sentences.mean(0))[classes].double()  # [N, D_t]
        gram = x @ x.T  # [N, N]: the dual form, because the studies are few
        gram.diagonal().add_(penalty * gram.diagonal().mean())
        self.image.weight.copy_((x.T @ torch.linalg.solve(gram, y)).float())
        self.image.bias.zero_()
        return {"studies": float(len(classes))}

    def _standardise(self, rows: Tensor, present: Tensor) -> None:
        """One deviation for all dimensions: few studies cannot tell one for each."""
        self.image.set_statistics(rows, present)
        self.image.std[:] = self.image.std.square().mean().sqrt()


@torch.inference_mode()
def shot_features(
    system: Any, manifest: Manifest, progress: Progress | None = None, batch_size: int = 32
) -> tuple[Tensor, Tensor, Tensor]:
    """Pooled features of the training studies and their classes.

    Returns:
        rows [N, 2 D] of present views, present [B, V], classes int64 [B].
    """
    studies = [s for s in manifest.where(split="train") if class_of(s, system.classes) is not None]
    starts = range(0, len(studies), batch_size)
    was_training = system.training
    system.eval()
    rows, present = [], []
    for start in starts if progress is None else progress(starts, "Computing frozen features"):
        images = read_slots(studies[start : start + batch_size], manifest, system.recipe.data)
        rows.append(pooled_views(system.vision, images.to(system.device)).float())
        present.append(images.view_mask.to(system.device))
    system.train(was_training)
    classes = torch.tensor([class_of(s, system.classes) for s in studies], device=system.device)
    return torch.cat(rows), torch.cat(present), classes
