"""Fine-tuning a copy of a system on labelled images: what its adapters reach when they may learn the labels.

    images ─ a copy of the system ─ global embedding x sqrt(E) ─ linear ─ logits ─ cross-entropy where known

What trains is what the system's own `parameter_groups` say (adapters and heads; everything for a fully
trained one), and the new linear layer. The epoch with the best mean AUC on the validation studies is kept.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from radalign.data.batches import ImageBatch
from radalign.data.read_slots import read_slots
from radalign.evaluate.embeddings import Progress
from radalign.evaluate.probing import Learner, mean_auc
from radalign.evaluate.statistic import Floats
from radalign.study import Manifest, Study
from radalign.systems.base import System

_READ_AT_ONCE = 64


@dataclass(frozen=True)
class FineTuneSettings:
    """How the copy learns.

    Args:
        epochs: Passes over the training studies.
        batch_size: Studies per step.
        head_lr: Learning rate of the new linear layer; the system keeps its recipe's.
        weight_decay: Of the linear layer.
        seed: Of the order of studies and the linear layer.
    """

    epochs: int = 10
    batch_size: int = 32
    head_lr: float = 1e-3
    weight_decay: float = 1e-4
    seed: int = 0


@dataclass(frozen=True)
class Labelled:
    """Studies as the system sees them, and what is known of them.

    Args:
        squares: uint8 [N, V, S, S], memory-mapped.
        present: Which slots are filled, bool [N, V].
        truth: 1, 0 or -1 for unknown, [N, C].
    """

    squares: NDArray[np.uint8]
    present: NDArray[np.bool_]
    truth: NDArray[np.int8]

    def batch(self, rows: NDArray[np.int64]) -> ImageBatch:
        """Some of the studies."""
        return ImageBatch(torch.from_numpy(self.squares[rows]), torch.from_numpy(self.present[rows]))


class SquareFile:
    """Decoded images in a temporary memory-mapped file, gone when it is closed."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="radalign-")
        self._files = 0

    def __enter__(self) -> SquareFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._folder.cleanup()

    def read(
        self, system: System, studies: Sequence[Study], manifest: Manifest, truth: NDArray[np.int8],
        progress: Progress | None = None,
    ) -> Labelled:  # fmt: skip
        """Decode the images of studies once."""
        data = system.recipe.data
        shape = (len(studies), len(data.slots), data.size_px, data.size_px)
        path = Path(self._folder.name) / f"{self._files}.u8"
        self._files += 1
        squares = np.memmap(path, np.uint8, "w+", shape=shape)
        present = np.zeros(shape[:2], dtype=bool)
        starts = range(0, len(studies), _READ_AT_ONCE)
        for start in progress(starts, "Reading images") if progress else starts:
            part = read_slots(studies[start : start + _READ_AT_ONCE], manifest, data)
            squares[start : start + len(part)] = part.images.numpy()
            present[start : start + len(part)] = part.view_mask.numpy()
        return Labelled(squares, present, truth)


class Classifier(nn.Module):
    """A copy of a system with a linear layer on its global embedding."""

    def __init__(self, system: System, labels: int, seed: int) -> None:
        super().__init__()
        self.system = copy.deepcopy(system)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.linear = nn.Linear(self.system.width, labels)

    def forward(self, images: ImageBatch) -> Tensor:
        """Logits, [B, C]."""
        z = self.system.encode_images(images.to(self.system.device)).global_
        logits: Tensor = self.linear(z * z.shape[1] ** 0.5)
        return logits

    @torch.inference_mode()
    def logits(self, given: Labelled, batch_size: int) -> Floats:
        """Logits of every study, in order, [N, C]."""
        self.eval()
        rows = np.arange(len(given.truth))
        parts = [self(given.batch(rows[i : i + batch_size])) for i in range(0, len(rows), batch_size)]
        found: Floats = torch.cat(parts).double().cpu().numpy()
        return found


def fine_tune_learner(
    system: System, train: Labelled, validate: Labelled, test: Labelled, settings: FineTuneSettings
) -> Learner:
    """A learner that fine-tunes a fresh copy of the system on the given training studies."""

    def learn(taken: NDArray[np.int64]) -> Floats:
        model = Classifier(system, train.truth.shape[1], settings.seed).to(system.device)
        optimiser = torch.optim.AdamW(_groups(model, settings))
        best, kept = -np.inf, model.logits(test, settings.batch_size)
        for rows in _epochs(taken, settings):
            _train_epoch(model, optimiser, train, rows)
            quality = mean_auc(model.logits(validate, settings.batch_size), validate.truth).value
            if np.isnan(quality) or quality > best:
                best = best if np.isnan(quality) else quality
                kept = model.logits(test, settings.batch_size)
        return kept

    return learn


def _groups(model: Classifier, settings: FineTuneSettings) -> list[dict[str, object]]:
    linear = {
        "params": list(model.linear.parameters()),
        "lr": settings.head_lr,
        "weight_decay": settings.weight_decay,
    }
    return [*model.system.parameter_groups(), linear]


def _epochs(taken: NDArray[np.int64], settings: FineTuneSettings) -> Iterator[list[NDArray[np.int64]]]:
    random = np.random.default_rng(settings.seed)
    for _ in range(settings.epochs):
        order = random.permutation(taken)
        yield [order[i : i + settings.batch_size] for i in range(0, len(order), settings.batch_size)]


def _train_epoch(
    model: Classifier, optimiser: torch.optim.Optimizer, train: Labelled, batches: list[NDArray[np.int64]]
) -> None:
    model.train()
    for rows in batches:
        truth = torch.from_numpy(train.truth[rows]).to(model.system.device)
        known = truth >= 0
        each = nn.functional.binary_cross_entropy_with_logits(
            model(train.batch(rows)), truth.clamp(min=0).float(), reduction="none"
        )
        loss = (each * known).sum() / known.sum().clamp(min=1)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        model.system.after_step()
