"""Studies as examples of classes: which class a study shows, which classes count, which few are drawn.

manifest ── one listed label present? ── class set (all, base, novel) ── K per class (seeded) ──> studies
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Sequence
from typing import Literal

from radalign.study import Study

VALIDATION_SHOTS = 4
CLASS_NUMBER = "class_number"
"""Key of `Study.extra` where a source keeps the number that its split file gives a class."""

Part = Literal["all", "base", "novel"]


class ExampleError(ValueError):
    """The labels of a manifest do not give the classes that are asked for; the message says what to do."""


def class_of(study: Study, classes: Sequence[str]) -> int | None:
    """The place of the one listed class that a study shows; None when it shows none, or several.

    >>> class_of(Study("s", "p", labels={"Edema": 1, "Nodule": 0, "Hernia": 1}), ["Nodule", "Edema"])
    1
    """
    present = [place for place, name in enumerate(classes) if study.labels.get(name) == 1]
    return present[0] if len(present) == 1 else None


def all_classes(studies: Iterable[Study]) -> tuple[str, ...]:
    """Every label that some study shows, sorted by the split file's number where there is one, then by name.

    >>> all_classes([Study("a", "p", labels={"Edema": 1, "Mass": 0}), Study("b", "q", labels={"Clear": 1})])
    ('Clear', 'Edema')
    """
    number: dict[str, int] = {}
    for study in studies:
        known = study.extra.get(CLASS_NUMBER, "") if len(study.positives) == 1 else ""
        for name in study.positives:
            number[name] = int(known) if known.isdigit() else number.get(name, 0)
    return tuple(sorted(number, key=lambda name: (number[name], name)))


def part_of_classes(names: Sequence[str], part: Part) -> tuple[str, ...]:
    """All classes, the base half (the first ones, rounded up) or the novel half.

    References:
        Zhou et al., CoCoOp, CVPR 2022: base and new classes are the two halves of the sorted labels.

    >>> part_of_classes(["a", "b", "c"], "base"), part_of_classes(["a", "b", "c"], "novel")
    (('a', 'b'), ('c',))
    """
    half = (len(names) + 1) // 2
    return tuple({"all": names, "base": names[:half], "novel": names[half:]}[part])


def chosen_classes(studies: Sequence[Study], labels: Sequence[str], part: Part = "all") -> tuple[str, ...]:
    """The class set of a training or a test.

    Args:
        studies: Of the whole manifest.
        labels: The classes in order; empty takes `all_classes`.
        part: Which half.

    Raises:
        ExampleError: If a class is named twice or no study shows it, or there are fewer than two.
    """
    there = all_classes(studies)
    names = tuple(labels) or there
    unknown = [name for name in names if name not in there]
    if unknown:
        raise ExampleError(
            f"No study shows {', '.join(unknown)}; set data.labels to some of {', '.join(there[:20])}."
        )
    if len(names) < 2 or len(set(names)) != len(names):
        raise ExampleError(
            f"Classes must be at least two different ones, not {list(names)}; name them in data.labels."
        )
    return part_of_classes(names, part)


def of_classes(studies: Iterable[Study], classes: Sequence[str]) -> list[Study]:
    """The studies that show exactly one of the classes, in order."""
    return [study for study in studies if class_of(study, classes) is not None]


def few_of_each(studies: Iterable[Study], classes: Sequence[str], shots: int, seed: int) -> list[Study]:
    """K studies per class, drawn by `draw_shots`; all of them for 0."""
    usable = of_classes(studies, classes)
    if not shots:
        return usable
    return [usable[i] for i in draw_shots([class_of(study, classes) for study in usable], shots, seed)]


def draw_shots(labels: Sequence[int | None], shots: int, seed: int) -> list[int]:
    """Indices of K items per class, drawn as CoOp's data code draws them.

    Args:
        labels: Class of every item.
        shots: K; a class with fewer items gives all it has.
        seed: Of Python's generator; classes are served as they first appear.

    References:
        Zhou et al., CoOp, IJCV 2022 (Dassl's few-shot sampler: `random.sample` per class).

    >>> sorted(draw_shots([0, 0, 0, 1, 1], 2, seed=1))[2:]
    [3, 4]
    """
    items: dict[int | None, list[int]] = {}
    for i, label in enumerate(labels):
        items.setdefault(label, []).append(i)
    generator = random.Random(seed)
    return [i for own in items.values() for i in (generator.sample(own, shots) if len(own) >= shots else own)]


def list_sha256(ids: Iterable[str]) -> str:
    """The hash that names a list of studies: of the ids in order, one a line."""
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()
