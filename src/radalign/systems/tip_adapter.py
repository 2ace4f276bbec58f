"""Tip-Adapter: the sentences of the classes, and votes of the labelled images that look alike.

    logits = 100 cos(f, sentence_c) + alpha * sum over shots of class c of exp(-beta (1 - cos(f, key)))

    training shots ─ changed 10 times ─ frozen tower ─ mean ─> keys [N, F]     (Tip-Adapter-F trains the keys)
    validation shots ──> alpha and beta (and, in F, the epoch); the test images pick nothing

A class that no shot showed has no votes and is decided by its sentence.

References: Zhang et al., Tip-Adapter, ECCV 2022 (arXiv:2207.09519), equations 4 to 7. The published F variant
picks its epoch on the test set and reports the best of two; that is not reproduced.
"""

from __future__ import annotations

from itertools import product
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from radalign.data.batches import Embeddings, ImageBatch, StudyBatch, TextBatch
from radalign.data.examples import class_of
from radalign.data.read_slots import read_slots
from radalign.images.augment import ChangeRanges, change_images, draw_change
from radalign.study import Manifest, Study
from radalign.systems.base import Progress, Settings
from radalign.systems.classifier import Classifier, cosine_logits, targets_of
from radalign.systems.frozen_space import FrozenSpace, FrozenSpaceSettings
from radalign.systems.recipe import Recipe


class TipAdapterSettings(FrozenSpaceSettings):
    """Tip-Adapter's `[model]` section."""

    shots: int = Field(0, ge=0, description="Rows of the cache; filled from the training studies.")
    train_keys: bool = Field(False, description="Tip-Adapter-F: the keys train.")
    passes: int = Field(10, ge=1, description="Changed copies of a training image whose mean is its key.")
    alpha: float = Field(1.0, ge=0, description="Weight of the votes while the keys train.")
    beta: float = Field(5.5, gt=0, description="Sharpness of the votes while the keys train.")
    alphas: tuple[float, ...] = Field(
        (0.0, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0), min_length=1, description="Tried on validation studies."
    )
    betas: tuple[float, ...] = Field(
        (1.0, 3.0, 5.5, 10.0), min_length=1, description="Tried on validation studies."
    )


class TipAdapter(Classifier):
    """Tip-Adapter and Tip-Adapter-F over CLIP, or over any two encoders with a map from the labels."""

    Settings: ClassVar[type[Settings]] = TipAdapterSettings
    objective_names = ("classification",)
    settings: TipAdapterSettings
    key_classes: Tensor
    chosen: Tensor

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self.space = FrozenSpace(self)
        self.register_buffer("chosen", torch.tensor([self.settings.alpha, self.settings.beta]))
        self.classes = self.settings.classes
        self._make_cache(self.settings.shots)

    def _make_cache(self, shots: int) -> None:
        keys = torch.zeros(shots, FrozenSpace.key_width_of(self), device=self.device)
        self.keys = nn.Parameter(keys, requires_grad=self.settings.train_keys)
        self.register_buffer("key_classes", torch.zeros(shots, dtype=torch.int64, device=self.device))

    @property
    def width(self) -> int:
        """E: the backbones' own joint space, or the text encoder's width."""
        return FrozenSpace.width_of(self)

    def adopt_classes(self, names: Any, studies: int) -> None:
        """Make the class set and the size of the cache part of the recipe."""
        super().adopt_classes(names, studies)
        self.put_settings(shots=studies)
        self._make_cache(studies)

    # -- the cache ----------------------------------------

    def warm_start(self, manifest: Manifest, progress: Progress | None = None) -> dict[str, float]:
        """Fill the cache from the training studies (and first the map, without a joint space)."""
        if self.space.maps is not None:
            self.space.maps.fit(self, manifest, self.settings.map_penalty, progress)
        studies = [s for s in manifest.where(split="train") if class_of(s, self.classes) is not None]
        passes = range(self.settings.passes if self.recipe.data.augment.probability else 1)
        total = torch.zeros_like(self.keys)
        for number in passes if progress is None else progress(passes, "Filling the cache"):
            total += self._pass(studies, manifest, number)
        with torch.no_grad():
            self.keys.copy_(F.normalize(total, dim=-1))
            self.key_classes.copy_(torch.tensor([class_of(s, self.classes) for s in studies]))
        return {"shots": float(len(studies)), "passes": float(len(passes))}

    @torch.no_grad()
    def _pass(self, studies: list[Study], manifest: Manifest, number: int, batch_size: int = 32) -> Tensor:
        """Unit features of all shots, their images changed as this pass says: [N, F]."""
        rows = []
        for start in range(0, len(studies), batch_size):
            images = read_slots(studies[start : start + batch_size], manifest, self.recipe.data)
            changed = self._changed(images, [self.recipe.train.seed, number, start])
            rows.append(self.space.both(self, changed.to(self.device))[1])
        return torch.cat(rows)

    def _changed(self, images: ImageBatch, seed: list[int]) -> ImageBatch:
        how = self.recipe.data.augment
        if not how.probability:
            return images
        ranges = ChangeRanges(**how.model_dump(exclude={"probability", "same_over_time"}))
        rng, flat = np.random.default_rng(seed), images.images.flatten(0, 1)  # [B * V, H, W]
        moved = change_images(flat, [draw_change(rng, ranges) for _ in flat], images.images.shape[-1])
        return ImageBatch(moved.view_as(images.images), images.view_mask)

    # -- deciding ----------------------------------------

    def encode_images(self, images: ImageBatch) -> Embeddings:
        """Embed studies with the frozen tower: global [B, E], the mean over their views."""
        return Embeddings(F.normalize(self.space.images(self, images), dim=-1))

    def encode_texts(self, texts: TextBatch) -> Embeddings:
        """Embed any texts with the frozen tower: global [B, E]."""
        return Embeddings(F.normalize(self.space.texts(self, texts), dim=-1))

    def evidence(self, images: ImageBatch) -> Tensor:
        """Joint features and key features side by side: [B, E + F]."""
        return torch.cat(self.space.both(self, images), -1)

    def decide(self, evidence: Tensor) -> Tensor:
        """Sentences and votes, with the chosen alpha and beta: [B, E + F] -> [B, C]."""
        z, own = evidence[:, : self.width], evidence[:, self.width :]
        return self._sentences(z) + self.chosen[0] * self._votes(own, self.chosen[1])

    def _sentences(self, z: Tensor) -> Tensor:
        return cosine_logits(self.settings.scale or self.space.scale, z, self.class_texts())

    def _votes(self, z: Tensor, beta: Tensor | float) -> Tensor:
        """Votes of the cached shots for the classes of the present class set: z [B, F] -> [B, C]."""
        near = torch.exp(-beta * (1 - z.float() @ F.normalize(self.keys, dim=-1).T))  # [B, N]
        place = {name: i for i, name in enumerate(self.classes)}
        known = [place.get(name, -1) for name in self.settings.classes]
        classes = torch.tensor(known, dtype=torch.int64, device=z.device)[self.key_classes]  # [N]
        values = (classes[:, None] == torch.arange(len(self.classes), device=z.device)).float()  # [N, C]
        votes: Tensor = near @ values
        return votes

    def tune(self, evidence: Tensor, targets: Tensor) -> None:
        """Take the alpha and beta with the best accuracy (then loss) on validation studies."""
        words, best = self._sentences(evidence[:, : self.width]), (-1.0, 0.0)
        for beta, alpha in product(self.settings.betas, self.settings.alphas):
            logits = words + alpha * self._votes(evidence[:, self.width :], beta)
            accuracy = (logits.argmax(1) == targets).float().mean().item()
            rank = (accuracy, -F.cross_entropy(logits, targets).item())
            if rank > best:
                best = rank
                self.chosen.copy_(torch.tensor([alpha, beta]))

    def objectives(self, batch: StudyBatch) -> dict[str, Tensor]:
        """Cross-entropy of the classes with the alpha and beta of the recipe."""
        with torch.no_grad():
            z, own = self.space.both(self, batch.images)
            words = self._sentences(z)
        logits = words + self.settings.alpha * self._votes(own, self.settings.beta)
        return {"classification": F.cross_entropy(logits, targets_of(batch, len(self.classes)))}
