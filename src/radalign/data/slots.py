"""Which view of a study, or of its prior, fills which slot of the model's input."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from radalign.data.settings import DataSettings, Slot
from radalign.study import Manifest, Study, View

Candidates = tuple[tuple[View, ...], ...]
"""Per slot, the views that may fill it, in the study's order."""


def slot_candidates(
    study: Study,
    manifest: Manifest,
    settings: DataSettings,
    readable: Callable[[View], bool] = lambda view: True,
) -> Candidates:
    """The views that may fill each slot; an empty tuple = the slot stays empty.

    Args:
        study: The current study.
        manifest: Where its prior is looked up.
        settings: Slots, and what a view without a position counts as.
        readable: Whether a view's image can be used at all.

    >>> study = Study("s", "p", (View("a", "PA"), View("b", "LL"), View("c", "AP")))
    >>> [[view.path for view in slot] for slot in slot_candidates(study, Manifest([study]), DataSettings())]
    [['a', 'c'], ['b']]
    """
    prior = manifest.prior(study)
    usable = {"current": tuple(filter(readable, study.views)), "prior": ()}
    if prior is not None:
        usable["prior"] = tuple(filter(readable, prior.views))
    return tuple(_fitting(usable[slot.split("_")[0]], slot, settings) for slot in settings.slots)


def choose_views(candidates: Candidates, rng: np.random.Generator | None = None) -> list[View | None]:
    """One view per slot: the first, or a random one in training; None = the slot is empty.

    Args:
        candidates: From `slot_candidates`.
        rng: Source of chance; None takes the first.
    """
    return [_pick(views, rng) for views in candidates]


def _pick(views: Sequence[View], rng: np.random.Generator | None) -> View | None:
    if not views:
        return None
    return views[0] if rng is None else views[int(rng.integers(len(views)))]


def _fitting(views: tuple[View, ...], slot: Slot, settings: DataSettings) -> tuple[View, ...]:
    if slot.endswith("lateral"):
        return tuple(view for view in views if view.is_lateral)
    frontal = tuple(view for view in views if view.is_frontal)
    if frontal or settings.unknown_view == "skip":
        return frontal
    return tuple(view for view in views if not view.position)
