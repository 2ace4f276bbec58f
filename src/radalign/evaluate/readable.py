"""Go on without the images that cannot be read, and say which: one broken file must not end an evaluation.

    ask ── an image cannot be read ──> find all such among the studies ──> ask again without them

Nothing is read twice as long as every image can be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from radalign.data.read_slots import has_view, read_square
from radalign.data.settings import DataSettings
from radalign.data.slots import slot_candidates
from radalign.evaluate.embeddings import EvaluationError, Progress
from radalign.evaluate.results import Result
from radalign.images.errors import ImageError
from radalign.study import Manifest, Study

T = TypeVar("T")
NAMED = 5


@dataclass(frozen=True)
class Unreadable:
    """What an evaluation went on without.

    Args:
        images: Path as the manifest has it, to the reason.
        studies: Ids of studies that have no other image for a system, and were left out.
        looked_at: How many studies were looked at.
    """

    images: Mapping[str, str] = field(default_factory=dict)
    studies: tuple[str, ...] = ()
    looked_at: int = 0

    @property
    def facts(self) -> dict[str, Any]:
        """For a result's settings; empty when every image can be read."""
        if not self.images:
            return {}
        return {"unreadable_images": dict(self.images), "studies_left_out": list(self.studies)}

    @property
    def notes(self) -> tuple[str, ...]:
        """For a person.

        >>> Unreadable({"a.png": "a.png is empty."}, ("s1",), 9).notes
        ('1 of 9 studies left out, because no image of theirs can be read: s1. The first: a.png is empty.',)
        """
        if not self.images:
            return ()
        why = f"The first: {next(iter(self.images.values()))}"
        if not self.studies:
            return (f"{len(self.images)} images cannot be read; their studies have others. {why}",)
        more = f" and {len(self.studies) - NAMED} more" if len(self.studies) > NAMED else ""
        names = ", ".join(self.studies[:NAMED]) + more
        return (
            f"{len(self.studies)} of {self.looked_at} studies left out, because no image of theirs can be "
            f"read: {names}. {why}",
        )


def ask_of_readable(
    ask: Callable[[Manifest], T], manifest: Manifest, first: Manifest, systems: Iterable[Any],
    progress: Progress | None = None,
) -> tuple[T, Unreadable]:  # fmt: skip
    """Ask about a manifest; where an image cannot be read, about the manifest without all such images.

    Args:
        ask: Evaluates; raises `ImageError` where an image cannot be read.
        manifest: All studies.
        first: Those that are looked through first; a task that also learns needs more of them.
        systems: Their recipes say which images are read, and how.
        progress: Wraps the loop over images.

    Returns:
        The answer, and what it was made without.

    Raises:
        ImageError: If an image cannot be read that is none of the manifest's.
        EvaluationError: If no study has a readable image.
    """
    try:
        return ask(manifest), Unreadable()
    except ImageError as error:
        broken = error
    settings = [system.recipe.data for system in systems]
    found: dict[str, str] = {}
    for scope in (first, manifest):
        more = unreadable_images(scope, manifest, settings, progress)
        if more.keys() <= found.keys():
            continue  # it is another image that stopped the task
        found |= more
        left, gone = _without(manifest, scope, found, settings)
        try:
            return ask(left), gone
        except ImageError as error:
            broken = error
    raise broken


def without(result: Result, gone: Unreadable) -> Result:
    """A result that says what it was made without."""
    return replace(result, settings=dict(result.settings) | gone.facts, notes=(*gone.notes, *result.notes))


def unreadable_images(
    studies: Iterable[Study], manifest: Manifest, settings: Sequence[DataSettings],
    progress: Progress | None = None,
) -> dict[str, str]:  # fmt: skip
    """Path to reason, of the images in the slots of studies and of their priors that cannot be read."""
    views = {
        (view.path, number): view
        for study in studies
        for number, own in enumerate(settings)
        for candidates in slot_candidates(study, manifest, own)
        for view in candidates
    }
    found: dict[str, str] = {}
    for (path, number), view in (
        progress(views.items(), "Finding broken images") if progress else views.items()
    ):
        if path in found:
            continue
        try:
            read_square(view, manifest, settings[number])
        except ImageError as error:
            found[path] = str(error).replace(f"{manifest.root.absolute()}/", "")
    return found


def _without(
    manifest: Manifest, scope: Manifest, images: Mapping[str, str], settings: Sequence[DataSettings]
) -> tuple[Manifest, Unreadable]:
    """The manifest without these images; a study that is lost to one system is lost to all.

    Raises:
        EvaluationError: If none of the studies that could be seen is left.
    """
    left = manifest.with_studies(
        replace(s, views=tuple(v for v in s.views if v.path not in images)) for s in manifest
    )

    def seen(study: Study, held: Manifest) -> list[bool]:
        return [has_view(study, held, own) for own in settings]

    before = {study.id: seen(study, manifest) for study in scope}
    lost = [i for i, was in before.items() if was != seen(left[i], left)]
    if lost and len(lost) == sum(any(was) for was in before.values()):
        raise EvaluationError(
            f"No image of the {len(before)} studies can be read. The first: {next(iter(images.values()))}"
        )
    gone = set(lost)
    kept = left.with_studies(replace(s, views=()) if s.id in gone else s for s in left)
    return kept, Unreadable(images, tuple(lost), len(before))
