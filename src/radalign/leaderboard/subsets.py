"""Some studies of a split, priors still resolved among all studies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from radalign.data.read_slots import has_view
from radalign.data.settings import DataSettings
from radalign.evaluate.retrieval import known_labels
from radalign.evaluate.tasks import chosen_split
from radalign.leaderboard.plan import Judging, LeaderboardError, TestSet
from radalign.study import Manifest, Study

MOST_LABELS = 12


class Subset(Manifest):
    """Some studies of a manifest, whose priors may be among the others.

    Args:
        studies: The chosen ones.
        whole: Where priors are looked up.
    """

    def __init__(self, studies: Iterable[Study], whole: Manifest) -> None:
        super().__init__(studies, whole.root)
        object.__setattr__(self, "_whole", whole)

    _whole: Manifest

    def prior(self, study: Study) -> Study | None:
        """The study's prior if the whole manifest holds it."""
        return self._whole.prior(study)


def need_judgeable(judging: Judging, tests: Iterable[TestSet], manifest: Manifest) -> None:
    """Check that a manifest has what cells will be judged on, before anything is trained for it.

    Raises:
        EvaluationError: If the split is empty, or no study knows a label of `[evaluate]`.
        LeaderboardError: If a test set is empty.
    """
    split = chosen_split(manifest, judging.split)
    known_labels(judging.labels, {name for study in manifest for name in study.labels})
    for test in tests:
        chosen(split, manifest, test)


def _what_there_is(split: Manifest, manifest: Manifest, test: TestSet) -> str:
    """How many studies of the split have each view that a test set needs, and which labels they have."""
    counts = [f"{sum(_has(study, manifest, what) for study in split)} have a {what}" for what in test.has]
    said = f"Of its {len(split)} studies {', '.join(counts)}." if counts else ""
    if not test.labels:
        return said
    held = Counter(name for study in split for name in study.positives)
    names = ", ".join(f"{name} ({count})" for name, count in held.most_common(MOST_LABELS)) or "none"
    return f"{said} The most frequent labels of the split are {names}.".strip()


def chosen(split: Manifest, manifest: Manifest, test: TestSet) -> Manifest:
    """The studies of a test set.

    Raises:
        LeaderboardError: If it is empty, with what there is.
    """
    kept = [study for study in split if _belongs(study, manifest, test)]
    if not kept:
        raise LeaderboardError(
            f"No study of the split belongs to the test set {test.name!r}; change the plan. "
            f"{_what_there_is(split, manifest, test)}"
        )
    return split.with_studies(kept) if len(kept) < len(split) else split


def _belongs(study: Study, manifest: Manifest, test: TestSet) -> bool:
    labelled = not test.labels or bool(set(test.labels) & set(study.positives))
    return labelled and all(_has(study, manifest, what) for what in test.has)


def _has(study: Study, manifest: Manifest, what: str) -> bool:
    """Views as a system with that slot alone would take them; a prior is a study of the manifest."""
    if what == "prior":
        return manifest.prior(study) is not None
    return has_view(study, manifest, DataSettings.model_validate({"slots": (f"current_{what}",)}))
