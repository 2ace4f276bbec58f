"""The quality filter at import: blurred, overexposed, turned images counted, and left out when asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from radalign.data.checking import without_views
from radalign.data.exclusions import ExclusionFlow
from radalign.data.image_check import ImageCheck
from radalign.images.quality import reasons
from radalign.study import Study


def filter_quality(
    studies: Iterable[Study], seen: Mapping[str, ImageCheck], drop: bool, flow: ExclusionFlow
) -> list[Study]:
    """Count the images that the quality filter would leave out, by their first reason; drop them if asked.

    Args:
        studies: With view positions, since some rules hold for frontal views only.
        seen: View path to its check, measured.
        drop: Whether they are left out.
        flow: Counts them.
    """
    kept = []
    for study in studies:
        faults = {}
        for view in study.views:
            quality = seen[view.path].quality if view.path in seen else None
            found = reasons(quality, is_frontal=view.is_frontal) if quality else ()
            if found:
                faults[view.path] = (f"quality: {found[0]}", view.path)
        if drop:
            left = without_views(study, faults, flow)
            kept += [left] if left else []
        else:
            for reason, example in faults.values():
                flow.note(reason, images=1, example=example, of=example)
            kept.append(study)
    return kept
