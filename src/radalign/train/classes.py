"""Training and validating on classes: which studies are drawn, and how right the decisions are.

manifest ── class set ── K per class ──> studies ── system.adopt_classes
validation studies ── evidence ── tune ── decide ──> accuracy
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from radalign.data.batches import StudyBatch
from radalign.data.examples import VALIDATION_SHOTS, chosen_classes, few_of_each, of_classes
from radalign.data.read_slots import has_view
from radalign.objectives.collapse import Collapse, measure_class_collapse
from radalign.study import Manifest, Study

NUMBERS = ("accuracy", "class_accuracy", "classes_chosen", "loss")


@dataclass(frozen=True)
class Chosen:
    """The studies of a run.

    Args:
        train: Those that train.
        validate: Those that validate.
        classes: The class set, () for a system that learns no classes.
        excluded: Why others were left out: `train: reason` -> ids.
    """

    train: list[Study]
    validate: list[Study]
    classes: tuple[str, ...] = ()
    excluded: dict[str, list[str]] = field(default_factory=dict)


def learns_from_labels(system: Any) -> bool:
    """Whether a system is trained on classes."""
    return bool(getattr(system, "learns_from_labels", False))


def classifies_only(system: Any) -> bool:
    """Whether a system is trained on classes and on no reports, so that decisions validate it."""
    return learns_from_labels(system) and not system.learns_from_reports


def choose_studies(system: Any, manifest: Manifest) -> Chosen:
    """The manifest's training and validation studies; for classes, K of each (at most 4 to validate).

    Raises:
        ExampleError: If the manifest's labels do not give the classes.
    """
    train, validate = (list(manifest.where(split=part)) for part in ("train", "validate"))
    if not learns_from_labels(system):
        return Chosen(train, validate)
    data, seed = system.recipe.data, system.recipe.train.seed
    classes = chosen_classes(manifest.studies, data.labels, data.classes)
    excluded: dict[str, list[str]] = {}
    kept = {}
    for part, studies, shots in (
        ("train", train, data.shots),
        ("validate", validate, min(data.shots, VALIDATION_SHOTS)),
    ):
        seen = [study for study in studies if has_view(study, manifest, data)]
        shown = of_classes(seen, classes)
        kept[part] = few_of_each(shown, classes, shots, seed)
        _leave_out(excluded, f"{part}: no image for a slot", studies, seen)
        _leave_out(excluded, f"{part}: none of the classes, or several", seen, shown)
        _leave_out(excluded, f"{part}: not drawn", shown, kept[part])
    return Chosen(kept["train"], kept["validate"], classes, excluded)


def _leave_out(excluded: dict[str, list[str]], why: str, before: list[Study], after: list[Study]) -> None:
    kept = {study.id for study in after}
    lost = [study.id for study in before if study.id not in kept]
    if lost:
        excluded[why] = lost


def validate_classes(
    system: Any,
    batches: Iterable[StudyBatch],
    precision: Callable[[], AbstractContextManager[Any]],
    tune: bool,
) -> tuple[dict[str, float], Collapse]:
    """How right a classifier is on some studies.

    Args:
        system: A `Classifier` in evaluation mode.
        batches: Studies with one class each.
        precision: Makes the autocast context of a forward pass.
        tune: Let the system pick what does not train by gradient from these studies first.

    Returns:
        `accuracy`, `class_accuracy` (mean over the classes), `classes_chosen` (how many classes are ever
        decided for; 1 is a collapse) and `loss` (cross-entropy, nats); with the collapse monitor's numbers,
        and its own result.
    """
    rows, points, targets = [], [], []
    for batch in batches:
        with precision():
            rows.append(system.evidence(batch.images).float())
            points.append(system.points(rows[-1], batch.images).float())
        targets.append(present_class(batch))
    evidence, target = torch.cat(rows), torch.cat(targets)
    with precision():
        if tune:
            system.tune(evidence, target)
        logits, sentences = system.decide(evidence).float(), system.class_texts().float()
    collapse = measure_class_collapse(torch.cat(points), sentences, target)
    return class_numbers(logits, target) | collapse.numbers(), collapse


def present_class(batch: StudyBatch) -> Tensor:
    """The class of every study of a batch whose studies show one each: int64 [N]."""
    labels = batch.labels if batch.labels is not None else torch.zeros(len(batch), 1)
    return (labels == 1).int().argmax(1)


def class_numbers(logits: Tensor, target: Tensor) -> dict[str, float]:
    """The numbers of `validate_classes`, from logits [N, C] and classes [N].

    >>> numbers = class_numbers(torch.tensor([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0]]), torch.tensor([0, 1, 1]))
    >>> [round(numbers[name], 3) for name in ("accuracy", "class_accuracy", "classes_chosen")]
    [0.667, 0.75, 2.0]
    """
    decided = logits.argmax(1)
    right = (decided == target).float()
    each = [right[target == c].mean() for c in set(target.tolist())]
    return {
        "accuracy": right.mean().item(),
        "class_accuracy": torch.stack(each).mean().item(),
        "classes_chosen": float(len(set(decided.tolist()))),
        "loss": F.cross_entropy(logits, target).item(),
    }
