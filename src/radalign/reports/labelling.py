"""Labels for studies that come without: what their reports assert."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

from radalign.reports.assertions import labels_of
from radalign.study import Manifest, Study

Progress = Callable[[Iterable[Study], str], Iterable[Study]]


def label_studies(manifest: Manifest, overwrite: bool = False, progress: Progress | None = None) -> Manifest:
    """A manifest whose studies carry the labels that their reports assert.

    Args:
        manifest: Studies with reports; one without a report keeps its labels.
        overwrite: Whether the report's word replaces a label that the source gave; else it only adds.
        progress: Wraps the loop, as `rich.progress.track` does.
    """
    studies = progress(manifest, "Reading reports") if progress else manifest
    return manifest.with_studies(_labelled(study, overwrite) for study in studies)


def count_labels(manifest: Manifest) -> dict[str, dict[int, int]]:
    """How many studies have each label present (1), absent (0) and unsure (-1), most frequent first."""
    counts = Counter((name, value) for study in manifest for name, value in study.labels.items())
    names = sorted({name for name, _ in counts}, key=lambda n: (-counts[n, 1], n))
    return {name: {value: counts[name, value] for value in (1, 0, -1)} for name in names}


def _labelled(study: Study, overwrite: bool) -> Study:
    found = labels_of(study.report)
    labels = {**study.labels, **found} if overwrite else {**found, **study.labels}
    return replace(study, labels=labels)
