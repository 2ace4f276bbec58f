"""Studies that can train or be evaluated, and any of them as a batch.

manifest ── usable? ── StudyDataset ── batch(numbers, chance) ──> StudyBatch
              └─ excluded: reason -> study ids
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from radalign.data.agreement import agreement, agreement_key
from radalign.data.batches import ImageBatch, StudyBatch, TextBatch
from radalign.data.examples import class_of
from radalign.data.pixel_cache import PixelCache
from radalign.data.report_text import report_text
from radalign.data.settings import DataSettings
from radalign.data.slots import Candidates, choose_views, slot_candidates
from radalign.images.augment import Change, ChangeRanges, change_images, draw_change, resize_images
from radalign.study import Manifest, Study, View

Tokenize = Callable[[Sequence[str]], TextBatch]
UNKNOWN_LABEL = -2
_NO_REPORT, _NO_CLASS = "an empty report", "none of the classes, or several"


class DataError(ValueError):
    """No batch can be made of the data; the message says what is missing."""


class Chance(NamedTuple):
    """Where the randomness of a study comes from: the run's seed, the epoch, and the study's number."""

    seed: int
    epoch: int

    def of(self, number: int) -> np.random.Generator:
        """The generator of one study in this epoch."""
        return np.random.default_rng([self.seed, self.epoch, number])


@dataclass(frozen=True)
class Entry:
    """One usable study: the views that may fill its slots, and what its report is compared by."""

    study: Study
    candidates: Candidates
    key: frozenset[Hashable]


class StudyDataset:
    """The usable ones of some studies.

    Args:
        studies: Those to use, in order.
        manifest: Where priors and images are looked up.
        cache: Their pixels.
        settings: Slots, augmentation, text, soft targets.
        tokenize: Texts to token ids, as the system does it.
        needs_reports: Whether a study without a report is left out; otherwise reports are not looked at.
        classes: The class set; a study must show exactly one of them. Empty asks for no class.

    Raises:
        DataError: If no study is usable.
    """

    def __init__(
        self,
        studies: Sequence[Study],
        manifest: Manifest,
        cache: PixelCache,
        settings: DataSettings,
        tokenize: Tokenize,
        needs_reports: bool = True,
        classes: Sequence[str] = (),
    ) -> None:
        self.manifest, self.cache, self.settings, self.tokenize = manifest, cache, settings, tokenize
        self.needs_reports, self.classes = needs_reports, tuple(classes)
        self.excluded: dict[str, list[str]] = {}
        self.entries = [entry for study in studies if (entry := self._entry(study)) is not None]
        if not self.entries:
            raise DataError(self._why_none(studies))
        found = sorted({name for entry in self.entries for name in entry.study.labels})
        self.label_names = self.classes or tuple(found)

    def __len__(self) -> int:
        return len(self.entries)

    def _entry(self, study: Study) -> Entry | None:
        if self.needs_reports and not report_text(study.report, self.settings.text):
            self._exclude(study, _NO_REPORT)
            return None
        if self.classes and class_of(study, self.classes) is None:
            self._exclude(study, _NO_CLASS)
            return None
        candidates = slot_candidates(study, self.manifest, self.settings, self._is_readable)
        current = [
            views for slot, views in zip(self.settings.slots, candidates, strict=True) if "current" in slot
        ]
        if not any(current or candidates):
            self._exclude(study, "no usable image in any slot")
            return None
        return Entry(study, candidates, agreement_key(study, self.settings.soft_targets))

    def _exclude(self, study: Study, why: str) -> None:
        self.excluded.setdefault(why, []).append(study.id)

    def _why_none(self, studies: Sequence[Study]) -> str:
        """The counts, then one study's own reason: counts alone do not say what to mend."""
        counts = ", ".join(f"{len(ids)} with {why}" for why, ids in self.excluded.items())
        kind = {"train": "training ", "validate": "validation "}.get(studies[0].split, "") if studies else ""
        head = f"None of the {len(studies)} {kind}studies can be used ({counts or 'none given'})."
        if not studies:
            return head
        why = max(self.excluded, key=lambda reason: len(self.excluded[reason]))
        first = next(study for study in studies if study.id == self.excluded[why][0])
        if why == _NO_REPORT:
            advice = "Give the studies reports, or choose other sections with data.text."
        elif why == _NO_CLASS:
            advice = f"A study needs exactly one of {', '.join(self.classes)} as a present label."
        else:
            return f"{head} The first, {first.id!r}: {self._why_no_image(first)}"
        return f"{head} The first is {first.id!r}. {advice}"

    def _why_no_image(self, study: Study) -> str:
        paths = [str(self.manifest.image_path(view)) for view in study.views]
        if not paths:
            return "it has no image at all; import the data again with its images."
        unreadable = [path for path in paths if path in self.cache.unreadable]
        if unreadable:
            reason = self.cache.unreadable[unreadable[0]]
            return reason if unreadable[0] in reason else f"{unreadable[0]}: {reason}"
        positions = ", ".join(view.position or "none" for view in study.views)
        return (
            f"its images have the positions {positions}, and the slots are {', '.join(self.settings.slots)}; "
            "set data.slots, or data.unknown_view for images without a position."
        )

    def _is_readable(self, view: View) -> bool:
        return self.manifest.image_path(view) in self.cache

    def lengths(self) -> list[int]:
        """Characters of each report, a cheap stand-in for its tokens."""
        return [len(report_text(entry.study.report, self.settings.text)) for entry in self.entries]

    def batch(
        self, numbers: Sequence[int], chance: Chance | None = None, gathered: Sequence[int] | None = None
    ) -> StudyBatch:
        """Some studies as one batch.

        Args:
            numbers: Places in this data set.
            chance: In training, what views, changes and sentences depend on; None = the same every time.
            gathered: Places of the studies of all processes, when they are more than `numbers`.

        Returns:
            A batch in the order of `numbers`; images uint8.
        """
        entries = [self.entries[number] for number in numbers]
        generators = [chance.of(number) if chance else None for number in numbers]
        images = self._images(entries, generators)
        texts = [
            report_text(e.study.report, self.settings.text, g) if self.needs_reports else ""
            for e, g in zip(entries, generators, strict=True)
        ]
        together = numbers if gathered is None else gathered
        same = agreement([self.entries[number].key for number in together], self.settings.soft_targets)
        ids = tuple(entry.study.id for entry in entries)
        return StudyBatch(images, self.tokenize(texts), same, ids, self._labels(entries))

    def _images(
        self, entries: Sequence[Entry], generators: Sequence[np.random.Generator | None]
    ) -> ImageBatch:
        size, slots = self.settings.size_px, len(self.settings.slots)
        pixels = torch.zeros(len(entries), slots, size, size, dtype=torch.uint8)
        mask = torch.zeros(len(entries), slots, dtype=torch.bool)
        views: list[View] = []
        changes: list[Change] = []
        for row, (entry, rng) in enumerate(zip(entries, generators, strict=True)):
            choosing = rng if self.settings.view_choice == "random" else None
            drawn = self._changes(rng)
            for slot, view in enumerate(choose_views(entry.candidates, choosing)):
                if view is not None:
                    mask[row, slot] = True
                    views.append(view)
                    changes.append(drawn[slot])
        cached = torch.from_numpy(self.cache.read([self.manifest.image_path(view) for view in views]))
        changed = any(change != Change() for change in changes)
        pixels[mask] = change_images(cached, changes, size) if changed else resize_images(cached, size)
        return ImageBatch(pixels, mask)

    def _changes(self, rng: np.random.Generator | None) -> list[Change]:
        """One change per slot; the number of draws depends on the settings alone."""
        settings, slots = self.settings.augment, self.settings.slots
        if rng is None or not settings.probability:
            return [Change()] * len(slots)
        ranges = ChangeRanges(**settings.model_dump(exclude={"probability", "same_over_time"}))
        kinds = [slot.split("_")[1] if settings.same_over_time else slot for slot in slots]
        drawn = {}
        for kind in dict.fromkeys(kinds):
            change = draw_change(rng, ranges)
            drawn[kind] = change if rng.random() < settings.probability else Change()
        return [drawn[kind] for kind in kinds]

    def _labels(self, entries: Sequence[Entry]) -> Tensor | None:
        if not self.label_names:
            return None
        rows = [[e.study.labels.get(name, UNKNOWN_LABEL) for name in self.label_names] for e in entries]
        return torch.tensor(rows, dtype=torch.int8)
