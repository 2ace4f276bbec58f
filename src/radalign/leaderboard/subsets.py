"""Some studies of a split, priors still resolved among all studies."""

from __future__ import annotations

from collections.abc import Iterable

from radalign.data.read_slots import has_view
from radalign.data.settings import DataSettings
from radalign.leaderboard.plan import LeaderboardError, TestSet
from radalign.study import Manifest, Study


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


def chosen(split: Manifest, manifest: Manifest, test: TestSet) -> Manifest:
    """The studies of a test set.

    Raises:
        LeaderboardError: If it is empty.
    """
    kept = [study for study in split if _belongs(study, manifest, test)]
    if not kept:
        raise LeaderboardError(
            f"No study of the split belongs to the test set {test.name!r}; change the plan."
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
