"""Are the images there, and do they decode? Counted and listed per image, in parallel, with fingerprints.

DICOM, rare kinds and large sets are decoded in child processes, because a decoder may crash; a few PNG or
JPEG files, which only Pillow's own decoders read, here: that saves the child's start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from radalign.data.exclusions import ExclusionFlow
from radalign.data.first_bytes import fault_of_file, starts_as_plain_raster
from radalign.data.image_check import ImageCheck, check_image
from radalign.data.image_checker import ImageCheckers
from radalign.data.sources.source import Check
from radalign.study import Study, View

Progress = Callable[[Iterable[Any], str], Iterable[Any]]

NO_IMAGE = "study has no usable image"
_CHUNK = 64
_WORTH_PROCESSES = 512


def check_images(
    studies: Iterable[Study],
    root: Path,
    flow: ExclusionFlow,
    check: Check = "decode",
    workers: int = 1,
    progress: Progress | None = None,
    quality: bool = False,
) -> tuple[list[Study], dict[str, ImageCheck]]:
    """Leave out the views whose image is missing or unreadable, then the studies without a view.

    Args:
        studies: Their view paths start from `root`.
        root: A folder.
        flow: Counts every image and study left out, with the sentence that says why.
        check: `decode` reads every image; `exists` looks for the files and at their first bytes; `none`
            trusts the table.
        workers: Processes that decode.
        progress: Wraps the loop over images, for a progress bar.
        quality: Whether decoded images are measured for the quality filter.

    Returns:
        The studies left, and what was seen of each image that was looked at.
    """
    studies = list(studies)
    paths = [view.path for study in studies for view in study.views]
    checks = _checks(paths, root, check, workers, progress, quality)
    kept = [left for study in studies if (left := _without(study, checks, flow)) is not None]
    return kept, checks


def _checks(
    paths: Sequence[str], root: Path, check: Check, workers: int, progress: Progress | None, quality: bool
) -> dict[str, ImageCheck]:
    if check == "none":
        return {}
    chunks = [paths[i : i + _CHUNK] for i in range(0, len(paths), _CHUNK)]
    if check == "exists":
        looked = progress(chunks, "Looking for images") if progress else chunks
        faults = ((path, fault_of_file(root, path)) for chunk in looked for path in chunk)
        return {path: ImageCheck(fault) for path, fault in faults if fault}
    shown: Iterable[Sequence[str]] = progress(chunks, "Checking images") if progress else chunks
    if len(paths) < _WORTH_PROCESSES and all(starts_as_plain_raster(root / path) for path in paths):
        return {path: check_image(path, root, quality) for chunk in shown for path in chunk}
    children = ImageCheckers(min(workers, len(chunks)) or 1, root, quality)
    with children.checking(chunks) as results:
        return {path: seen for _ in shown for path, seen in next(results)}


def _without(study: Study, checks: dict[str, ImageCheck], flow: ExclusionFlow) -> Study | None:
    faults = {view.path: checks[view.path].fault for view in study.views if view.path in checks}
    return without_views(study, {path: fault for path, fault in faults.items() if fault}, flow)


def without_views(study: Study, faults: dict[str, tuple[str, str]], flow: ExclusionFlow) -> Study | None:
    """A study less the views that have a fault, each counted; None when no view is left.

    Args:
        study: With its views.
        faults: View path to (reason, example).
        flow: Counts them.
    """
    views: list[View] = []
    for view in study.views:
        if view.path in faults:
            reason, example = faults[view.path]
            flow.drop(reason, images=1, example=example)
        else:
            views.append(view)
    if not views:
        flow.drop(NO_IMAGE, studies=1, example=study.id)
        return None
    return study if len(views) == len(study.views) else replace(study, views=tuple(views))
