"""From a manifest to the two loaders of a run: what trains, what validates, and what was left out and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from radalign.data.dataset import DataError, StudyDataset
from radalign.data.examples import list_sha256
from radalign.data.loader import StudyLoader
from radalign.data.pixel_cache import PixelCache
from radalign.data.report_text import report_text
from radalign.study import Manifest, Study
from radalign.systems.asked import cannot_be_read
from radalign.train.classes import choose_studies
from radalign.train.interrupt import Around

PROBE_STUDIES = 256
FEW = 4  # shots per class up to which `train.few_shot_batch_size` holds


class Team(Protocol):
    """What the data must know of the processes that train together."""

    @property
    def rank(self) -> int:
        """This process's number."""

    @property
    def count(self) -> int:
        """How many there are."""


@dataclass(frozen=True)
class RunData:
    """The data of a run.

    Args:
        train: Batches of the training studies.
        validation: The validation studies in order.
        probes_training: There is no validation split, so `validation` is a sample of the training studies.
        usable: The studies that train or validate and their priors, without unreadable views.
        excluded: Why studies were left out, by part: `train: an empty report` -> ids.
        unreadable: Image path to the reason.
        sha256: Of the ids of what trains and validates, in order.
        unread: Training reports of which the tokenizer knows hardly a word.
    """

    train: StudyLoader
    validation: StudyLoader
    probes_training: bool
    usable: Manifest
    excluded: dict[str, list[str]]
    unreadable: dict[str, str]
    sha256: str
    unread: int = 0

    def sentences(self) -> list[str]:
        """What was left out, for a person."""
        lines = [f"Left out {len(ids)} studies ({why})." for why, ids in self.excluded.items()]
        if self.unreadable:
            first = next(iter(self.unreadable.values()))
            lines.append(f"{len(self.unreadable)} images cannot be read; the first: {first}")
        if self.unread:
            lines.append(
                f"Of {self.unread} training reports the tokenizer knows hardly a word; "
                "choose a text encoder of their language with backbones.text."
            )
        if self.probes_training:
            lines.append("No study has the split `validate`: numbers are of training studies, best = last.")
        return lines


def prepare_data(
    system: Any,
    manifest: Manifest,
    cache_folder: Path,
    team: Team,
    decode_processes: int = 0,
    around: Around | None = None,
) -> RunData:
    """Decode the images and make the loaders.

    Args:
        system: Its recipe says how, its `tokenize` makes tokens.
        manifest: With a split.
        cache_folder: Where decoded images are kept.
        team: This process's number and the number of processes.
        decode_processes: Decoding processes, 0 = as many as make sense.
        around: Wraps long loops for a progress bar.

    Raises:
        DataError: If no study can train.
    """
    recipe, settings = system.recipe, system.recipe.train
    if not len(manifest.where(split="train")):
        raise DataError("No study has the split `train`; split the manifest with `radalign data split`.")
    chosen = choose_studies(system, manifest)
    train, validate = chosen.train, chosen.validate
    wanted = with_priors(manifest, (*train, *validate))
    how = system.loading() if hasattr(system, "loading") else recipe.data
    cache = PixelCache.build(cache_folder, wanted, how, decode_processes, around)

    def dataset(studies: Sequence[Study]) -> StudyDataset:
        reports = getattr(system, "learns_from_reports", True)
        return StudyDataset(studies, manifest, cache, how, system.tokenize, reports, chosen.classes)

    training = dataset(train)
    probing = dataset(spread_evenly(validate, settings.validate_studies)) if validate else None
    probe = probing or dataset(spread_evenly([e.study for e in training.entries], PROBE_STUDIES))
    if chosen.classes:
        system.adopt_classes(chosen.classes, len(training))
    few = settings.few_shot_batch_size if 0 < recipe.data.shots <= FEW else 0
    loader = StudyLoader(
        training,
        few or settings.batch_size,
        settings.seed,
        team.rank,
        team.count,
        settings.workers,
        settings.group_by_length,
    )
    excluded = chosen.excluded | {f"train: {why}": ids for why, ids in training.excluded.items()}
    excluded |= {f"validate: {why}": ids for why, ids in probe.excluded.items()}
    return RunData(
        loader,
        StudyLoader(probe, settings.batch_size, workers=settings.workers),
        probing is None,
        _readable(manifest, wanted, [*training.entries, *probe.entries], cache),
        excluded,
        cache.unreadable,
        list_sha256(e.study.id for e in (*training.entries, *probe.entries)),
        _unread(system, training),
    )


def _unread(system: Any, training: StudyDataset) -> int:
    tokenizer = getattr(system, "tokenizer", None)
    if tokenizer is None or not training.needs_reports:
        return 0
    texts = (report_text(entry.study.report, training.settings.text) for entry in training.entries)
    return sum(cannot_be_read(tokenizer, text) for text in texts)


def with_priors(manifest: Manifest, studies: Sequence[Study]) -> Manifest:
    """The studies and their priors, in the manifest's order."""
    priors = (manifest.prior(study) for study in studies)
    return manifest.where(ids={s.id for s in studies} | {p.id for p in priors if p is not None})


def spread_evenly(studies: Sequence[Study], count: int) -> list[Study]:
    """At most `count` of the studies, at even distances; all for 0.

    >>> [s.id for s in spread_evenly([Study(str(i), "p") for i in range(10)], 3)]
    ['0', '3', '6']
    """
    if not count or count >= len(studies):
        return list(studies)
    return [studies[i * len(studies) // count] for i in range(count)]


def _readable(manifest: Manifest, wanted: Manifest, entries: Sequence[Any], cache: PixelCache) -> Manifest:
    """What a system may read on its own: only usable studies keep their split, only readable views stay."""
    usable = {entry.study.id for entry in entries}

    def cleaned(study: Study) -> Study:
        views = tuple(view for view in study.views if manifest.image_path(view) in cache)
        return replace(study, views=views)

    return manifest.with_studies(
        cleaned(study) for study in wanted if study.id in usable or study.split not in ("train", "validate")
    )
