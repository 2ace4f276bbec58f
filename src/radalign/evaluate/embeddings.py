"""The embeddings of studies and of their reports, side by side: what a study-level evaluation works on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from radalign.data.read_slots import has_view
from radalign.data.report_text import report_text
from radalign.evaluate.subgroups import study_groups
from radalign.study import Manifest, Study

if TYPE_CHECKING:
    from radalign.systems.recipe import Recipe

Progress = Callable[[Iterable[Any], str], Iterable[Any]]
Vectors = NDArray[np.float32]


class EvaluationError(ValueError):
    """The data cannot be evaluated; the message says what to do."""


class Embedder(Protocol):
    """What evaluation asks of a system."""

    recipe: Recipe

    def embed_studies(
        self, studies: Iterable[Study], manifest: Manifest | None = None, batch_size: int = 32,
        progress: Progress | None = None,
    ) -> NDArray[Any]:  # fmt: skip
        """Embed the images of studies, [N, E], L2-normalised."""

    def embed_texts(
        self, texts: Sequence[str], batch_size: int = 128, normalise: bool = True
    ) -> NDArray[Any]:
        """Embed texts, [N, E], L2-normalised unless asked otherwise."""


@dataclass(frozen=True)
class StudyEmbeddings:
    """N studies: row i of `image` and of `text` belong to the same study.

    Args:
        image: float32 [N, E].
        text: float32 [N, E]; the report's embedding, or None when reports were not asked for.
        study_ids: [N].
        patient_ids: [N]; intervals are made by resampling these.
        labels: Per study, label to 1 (present), 0 (absent) or -1 (unsure); not named means unknown.
        texts: The texts that were embedded, or empty when unknown.
        groups: Kind of subgroup (`sex`, `age`, `view`, ...) to every study's value, "" where unknown.
        local: Local similarity of every image (row) and report (column), [N, N] (of every prompt instead,
            [N, T], for zero-shot), or None; see `local_similarity`.
        by_class: Finding to scores [N, 2] of its presence and absence by classes that the system learned; see
            `own_classes`.

    Raises:
        EvaluationError: If the parts differ in length, or the two embeddings in width.
    """

    image: Vectors
    text: Vectors | None
    study_ids: tuple[str, ...]
    patient_ids: tuple[str, ...]
    labels: tuple[Mapping[str, int], ...]
    texts: tuple[str, ...] = ()
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    local: Vectors | None = None
    by_class: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        parts: list[Sized] = [
            self.image,
            self.study_ids,
            self.patient_ids,
            self.labels,
            *self.groups.values(),
        ]
        sizes = {len(part) for part in parts} | ({len(self.texts)} if self.texts else set())
        fits = self.text is None or self.text.shape == self.image.shape
        if len(sizes) != 1 or not fits:
            raise EvaluationError(
                f"Images {self.image.shape}, {0 if self.text is None else len(self.text)} texts, "
                f"{len(self.study_ids)} ids and {len(self.labels)} label sets do not belong together; "
                "give one row of each per study."
            )

    def __len__(self) -> int:
        return len(self.study_ids)

    @property
    def positives(self) -> list[frozenset[str]]:
        """The labels that are present, per study."""
        return [frozenset(name for name, value in row.items() if value == 1) for row in self.labels]


def embed(
    system: Embedder, manifest: Manifest, progress: Progress | None = None, reports: bool = True
) -> StudyEmbeddings:
    """Embed the studies of a manifest that have an image for the system and, if asked for, a report.

    Args:
        system: Anything with a recipe, `embed_studies` and `embed_texts`.
        manifest: Usually one split of one.
        progress: Wraps loops over batches.
        reports: Whether reports are needed and embedded.

    Raises:
        EvaluationError: If no study has what is needed.
    """
    chosen = evaluable(manifest, system, reports)
    if not chosen:
        raise EvaluationError(
            f"None of the {len(manifest)} studies has an image that the system takes"
            f"{' and a report' if reports else ''}; check the views and reports with `radalign data show`."
        )
    settings = system.recipe.data.text
    texts = tuple(report_text(study.report, settings) for study in chosen) if reports else ()
    return StudyEmbeddings(
        image=np.asarray(system.embed_studies(chosen, manifest, progress=progress), dtype=np.float32),
        text=np.asarray(system.embed_texts(texts), dtype=np.float32) if reports else None,
        study_ids=tuple(study.id for study in chosen),
        patient_ids=tuple(study.patient_id for study in chosen),
        labels=tuple(study.labels for study in chosen),
        texts=texts,
        groups=study_groups(chosen),
    )


def only_groups(given: StudyEmbeddings, kinds: Sequence[str]) -> StudyEmbeddings:
    """The same studies with no more kinds of subgroup than these."""
    return replace(given, groups={kind: given.groups[kind] for kind in kinds if kind in given.groups})


def evaluable(manifest: Manifest, system: Embedder, need_report: bool = True) -> list[Study]:
    """The studies with an image in a current slot of the system and, if needed, a report."""
    data = system.recipe.data
    return [s for s in manifest if has_view(s, manifest, data) and (s.report.body or not need_report)]


def same_studies(named: Mapping[str, StudyEmbeddings]) -> StudyEmbeddings:
    """The first of the sets, after checking that all hold the same studies in the same order."""
    if not named:
        raise EvaluationError("There is no system to evaluate; give at least one.")
    first = next(iter(named.values()))
    for name, other in named.items():
        if other.study_ids != first.study_ids:
            raise EvaluationError(
                f"{name!r} saw other studies than the first system; evaluate both on the same."
            )
    for name, given in named.items():
        if not (np.isfinite(given.image).all() and (given.text is None or np.isfinite(given.text).all())):
            raise EvaluationError(
                f"{name!r} gives embeddings that are not finite numbers; its training broke."
            )
    if len(first) < 2:
        raise EvaluationError("An evaluation needs at least two studies; choose a larger split.")
    return first
