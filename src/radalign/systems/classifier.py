"""A system that tells classes apart, and the frozen space that two of them work in.

    class names ─ template ─ class_texts [C, E] ─┐
    images ─ encode_images [B, E] ───────────────┴─ decide ─> logits [B, C]

Training needs a class per study and no report. The class set travels with the recipe; `set_classes` replaces
it (novel classes) without touching what was learned.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from radalign.data.batches import ImageBatch, StudyBatch, TextBatch
from radalign.study import Manifest, Study
from radalign.systems.base import Progress, System
from radalign.systems.recipe import RecipeError


class Decider(System):
    """Base of the systems that score studies for classes of their own, whatever sentences say."""

    exclusive: ClassVar[bool] = True
    """Whether one class excludes the others (a softmax), or each is present or absent by itself."""

    @property
    def own_classes(self) -> tuple[str, ...]:
        """The C classes of `logits`; none while no class was learned."""
        raise TypeError(f"{type(self).__name__} does not name its classes; every decider must.")

    def logits(self, images: ImageBatch) -> Tensor:
        """Of every study and class: [B, C]."""
        raise TypeError(f"{type(self).__name__} does not decide; every decider must.")

    @torch.inference_mode()
    def classify_studies(
        self,
        studies: Sequence[Study],
        manifest: Manifest,
        batch_size: int = 32,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Read the images of studies and decide: logits, float32 [N, C]; as `embed_studies` otherwise."""
        from radalign.data.read_slots import read_slots

        starts: Iterable[int] = range(0, len(studies), batch_size)
        was_training = self.training
        self.eval()
        rows = []
        for start in starts if progress is None else progress(starts, "Classifying studies"):
            batch = read_slots(studies[start : start + batch_size], manifest, self.recipe.data)
            rows.append(self.logits(batch.to(self.device)).float().cpu().numpy())
        self.train(was_training)
        return np.concatenate(rows) if rows else np.zeros((0, len(self.own_classes)), np.float32)


class Classifier(Decider):
    """Base of the systems that learn classes; `settings` must have `classes` and `template`."""

    classes: tuple[str, ...] = ()

    @property
    def own_classes(self) -> tuple[str, ...]:
        """The class set, for a system that learned it from labels."""
        return self.classes if self.learns_from_labels else ()

    @property
    def learns_from_reports(self) -> bool:
        """Reports are only needed when an objective reads them."""
        return False

    @property
    def learns_from_labels(self) -> bool:
        """Whether a training study needs a class."""
        return True

    # -- the class set ----------------------------------------

    def set_classes(self, names: Sequence[str]) -> None:
        """Replace the class set (novel classes, say); what was learned stays.

        Raises:
            RecipeError: If there is none.
        """
        if not names:
            raise RecipeError("A class set needs at least one class; name some in `data.labels`.")
        self.classes = tuple(names)

    def adopt_classes(self, names: Sequence[str], studies: int) -> None:
        """Make a class set part of the recipe before training.

        Args:
            names: The classes, in the order of the labels.
            studies: Training studies that will be seen.
        """
        self.set_classes(names)
        self.put_settings(classes=list(names))

    def put_settings(self, **values: Any) -> None:
        """Write settings of `[model]` that only the training data can tell, so that they are saved."""
        self.recipe = self.recipe.model_copy(update={"model": {**self.recipe.model, **values}})
        self.settings = self._checked(self.recipe)

    def class_prompts(self) -> TextBatch:
        """The sentence of every class, `model.template` filled in; C texts."""
        names = (name.replace("_", " ") for name in self.classes)
        return self.tokenize([self.settings.template.format(name) for name in names]).to(self.device)

    # -- deciding ----------------------------------------

    def class_texts(self) -> Tensor:
        """One embedding per class, as `encode_texts` makes it: [C, E]."""
        return self.encode_texts(self.class_prompts()).global_

    def evidence(self, images: ImageBatch) -> Tensor:
        """What a decision is made from, one row per study; here the embeddings [B, E]."""
        return self.encode_images(images).global_

    def points(self, evidence: Tensor, images: ImageBatch) -> Tensor:
        """The embeddings [B, E] that the collapse monitor sees: the evidence's first, unless it is logits."""
        if getattr(self, "interaction", "prototype") != "prototype":
            return self.encode_images(images).global_
        return evidence[:, : self.width]

    def decide(self, evidence: Tensor) -> Tensor:
        """Logits [B, C] of evidence."""
        raise TypeError(f"{type(self).__name__} does not decide; every classifier must.")

    def tune(self, evidence: Tensor, targets: Tensor) -> None:
        """Pick settings that do not train by gradient, from validation studies; by default there are none.

        Args:
            evidence: Of the validation studies.
            targets: Their classes, int64 [N].
        """

    def logits(self, images: ImageBatch) -> Tensor:
        """Of every study and class: [B, C]."""
        return self.decide(self.evidence(images))


def targets_of(batch: StudyBatch, classes: int) -> Tensor:
    """The one present class of every study: int64 [B].

    Raises:
        RecipeError: If a study shows none or several.
    """
    labels = batch.labels
    if labels is None or labels.shape[1] != classes or not bool(((labels == 1).sum(1) == 1).all()):
        raise RecipeError(
            "Classification needs exactly one present class per study, in the order of model.classes; "
            "set data.labels to the same names."
        )
    return (labels == 1).int().argmax(1)


def cosine_logits(scale: Tensor | float, z_img: Tensor, z_txt: Tensor) -> Tensor:
    """Scaled cosine: [..., B, E] and [..., C, E] -> [..., B, C].

    >>> cosine_logits(10.0, torch.tensor([[3.0, 4.0]]), torch.tensor([[1.0, 0.0], [0.0, 2.0]])).tolist()
    [[6.0, 8.0]]
    """
    cosine = F.normalize(z_img.float(), dim=-1) @ F.normalize(z_txt.float(), dim=-1).transpose(-1, -2)
    return scale * cosine
