"""View positions that a source does not record, guessed from the pixels; every guess is counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from radalign.data.exclusions import ExclusionFlow
from radalign.images.position import FRONTAL_FROM
from radalign.study import Study, View


def guess_positions(
    studies: Iterable[Study], scores: Mapping[str, float], flow: ExclusionFlow
) -> list[Study]:
    """Fill empty positions with `FRONTAL` or `LATERAL`.

    Of a study of two views without a position, the one that looks more frontal is the frontal and the other
    the lateral: two views of a chest nearly always are that pair. Any other view is judged by itself.

    Args:
        studies: In any order.
        scores: View path to `radalign.images.position.frontal_score`; a view without one stays as it is.
        flow: Counts every guess.

    >>> study = Study("s", "p", (View("a.png"), View("b.png")))
    >>> done = guess_positions([study], {"a.png": 0.3, "b.png": 0.6}, ExclusionFlow("test"))
    >>> [view.position for view in done[0].views]
    ['LATERAL', 'FRONTAL']
    """
    done = []
    for study in studies:
        unknown = [view for view in study.views if not view.position and view.path in scores]
        if unknown:
            frontal = _frontal(study, unknown, scores)
            views = tuple(_placed(v, v.path in frontal) if v in unknown else v for v in study.views)
            for view in unknown:
                flow.note("position guessed from the pixels", images=1, example=view.path, of=view.path)
            study = replace(study, views=views)
        done.append(study)
    return done


def _frontal(study: Study, unknown: list[View], scores: Mapping[str, float]) -> set[str]:
    if len(study.views) == len(unknown) == 2:
        return {max(unknown, key=lambda view: scores[view.path]).path}
    return {view.path for view in unknown if scores[view.path] >= FRONTAL_FROM}


def _placed(view: View, frontal: bool) -> View:
    return replace(view, position="FRONTAL" if frontal else "LATERAL")
