"""Finding the files of a distribution: by pattern, and all images below a folder in one walk."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from radalign.data.sources.source import SourceError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".dcm", ".dicom")


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


def images_by_name(root: Path, suffixes: Iterable[str] = IMAGE_SUFFIXES) -> dict[str, str]:
    """File name without suffix to path below the root, for every image there; the first of a name wins."""
    suffixes = tuple(suffixes)
    found: dict[str, str] = {}
    for folder, names in walk(root):
        relative = Path(folder).relative_to(root).as_posix()
        prefix = "" if relative == "." else f"{relative}/"
        for name in names:
            stem, suffix = os.path.splitext(name)
            if suffix.lower() in suffixes:
                found.setdefault(stem, prefix + name)
    return found
