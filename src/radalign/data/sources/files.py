"""Finding the files of a distribution: by pattern, and all images below a folder in one walk."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from radalign.data.exclusions import ExclusionFlow
from radalign.data.sources.source import SourceError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".dcm", ".dicom")
TWICE = "two files of one name"


def need_file(folder: Path, patterns: Iterable[str], what: str) -> Path:
    """The first file that matches, patterns in order of preference, in the folder or one level below.

    Raises:
        SourceError: If there is none.
    """
    patterns = list(patterns)
    found = find_file(folder, patterns)
    if found is None:
        names = " or ".join(patterns)
        raise SourceError(f"{what} is not in {folder}: no file {names}. Fetch it, or check the folder.")
    return found


def find_file(folder: Path, patterns: Iterable[str]) -> Path | None:
    """As `need_file`, but None when there is none."""
    for pattern in patterns:
        for place in (pattern, f"*/{pattern}"):
            matches = sorted(folder.glob(place))
            if matches:
                return matches[0]
    return None


def walk(root: Path) -> Iterator[tuple[str, list[str]]]:
    """Folders and their file names in a fixed order, through links to folders, each real folder once."""
    seen: set[str] = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        folders[:] = sorted(f for f in folders if _first_time(os.path.join(folder, f), seen))
        yield folder, sorted(names)


def _first_time(folder: str, seen: set[str]) -> bool:
    real = os.path.realpath(folder)
    return not (real in seen or seen.add(real))  # type: ignore[func-returns-value]


def named_images(root: Path, below: str = "") -> Iterator[tuple[str, str]]:
    """File name without suffix, and path from the root, of every image there in the order of the tree.

    Args:
        root: What paths start from.
        below: The folder of the root to look in; "" = all of it.
    """
    for folder, names in walk(root / below):
        relative = Path(folder).relative_to(root).as_posix()
        prefix = "" if relative == "." else f"{relative}/"
        for name in names:
            stem, suffix = os.path.splitext(name)
            if suffix.lower() in IMAGE_SUFFIXES:
                yield stem, prefix + name


def first_of_each(files: Iterable[tuple[str, str]], flow: ExclusionFlow) -> dict[str, str]:
    """Name to path; the first of a name is kept, and the others are noted with it.

    >>> flow = ExclusionFlow("test")
    >>> first_of_each([("a", "full/a.png"), ("a", "small/a.png")], flow)
    {'a': 'full/a.png'}
    >>> flow.noted[TWICE].listed
    ['full/a.png, not small/a.png']
    """
    found: dict[str, str] = {}
    others: dict[str, list[str]] = {}
    for name, path in files:
        if found.setdefault(name, path) != path:
            others.setdefault(name, []).append(path)
    for name, paths in others.items():
        kept = found[name]
        flow.note(TWICE, images=1, example=f"{kept}, not {', '.join(paths)}", of=kept)
    return found


def images_by_name(root: Path, flow: ExclusionFlow, below: str = "") -> dict[str, str]:
    """`named_images`, the first of each name; a copy in another folder, or of another kind, is noted."""
    return first_of_each(named_images(root, below), flow)
