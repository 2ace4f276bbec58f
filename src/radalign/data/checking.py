"""Are the images there, and do they decode? Counted and listed per image, in parallel, with fingerprints."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from radalign.data.exclusions import ExclusionFlow
from radalign.data.first_bytes import MISSING, UNREADABLE, fault_of_file
from radalign.data.sources.source import Check
from radalign.images.errors import ImageError
from radalign.study import Study, View

if TYPE_CHECKING:
    from radalign.images.quality import Quality

T = TypeVar("T")
Progress = Callable[[Iterable[Any], str], Iterable[Any]]

NO_IMAGE = "study has no usable image"
_CHUNK = 64
_WORTH_PROCESSES = 512


@dataclass(frozen=True)
class ImageCheck:
    """What looking at one image gave.

    Args:
        fault: Why it cannot be used, as (reason, sentence); None when it can.
        fingerprint: See `radalign.images.fingerprint`; b"" when the image was not decoded.
        frontal: See `radalign.images.position`; None when the image was not decoded.
        quality: See `radalign.images.quality`; None when it was not measured.
    """

    fault: tuple[str, str] | None = None
    fingerprint: bytes = b""
    frontal: float | None = None
    quality: Quality | None = None


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
        workers: Processes for decoding; 1 = this one.
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


def check_image(path: str, root: Path, quality: bool = False) -> ImageCheck:
    """Decode one image, or say why it cannot be."""
    from radalign.images.fingerprint import fingerprint
    from radalign.images.position import frontal_score
    from radalign.images.quality import measure
    from radalign.images.read import read_image

    if not (root / path).is_file():
        return ImageCheck((MISSING, path))
    try:
        image = read_image(root / path)
    except ImageError as error:
        return ImageCheck((UNREADABLE, str(error).replace(f"{root}{os.sep}", "")))
    measured = measure(image) if quality else None
    return ImageCheck(None, fingerprint(image), frontal_score(image), measured)


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
    found = _in_processes if workers > 1 and len(paths) >= _WORTH_PROCESSES else _in_this_process
    results = found(partial(_check_chunk, root=root, quality=quality), chunks, workers, progress)
    return dict(chain.from_iterable(results))


def _check_chunk(paths: Sequence[str], root: Path, quality: bool) -> list[tuple[str, ImageCheck]]:
    return [(path, check_image(path, root, quality)) for path in paths]


def _in_this_process(
    function: Callable[[Sequence[str]], T],
    chunks: list[Sequence[str]],
    workers: int,
    progress: Progress | None,
) -> Iterable[T]:
    return map(function, progress(chunks, "Checking images") if progress else chunks)


def _in_processes(
    function: Callable[[Sequence[str]], T],
    chunks: list[Sequence[str]],
    workers: int,
    progress: Progress | None,
) -> Iterable[T]:
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(function, chunk) for chunk in chunks]
        for future in progress(futures, "Checking images") if progress else futures:
            yield future.result()


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
