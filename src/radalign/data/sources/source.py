"""What a source is: a name, a licence, and a function from a folder to studies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from radalign.data.exclusions import ExclusionFlow
from radalign.data.priors import Order, study_time_days
from radalign.study import Study

Check = Literal["decode", "exists", "none"]


class SourceError(ValueError):
    """A source's folder is not laid out as its distributor does; the message says what is expected."""


@dataclass(frozen=True)
class SourceOptions:
    """What a user can tell a source beyond its folder; `refuse_useless` refuses what it has no use for.

    Args:
        images: Folder of the images, when they are not in the distributor's place.
        reports: Folder, zip or file of the reports, when they are elsewhere.
        labels: Which of several label files to read.
        columns: Role to column name, for tables.
        part: Which part of the set to read.
    """

    images: Path | None = None
    reports: Path | None = None
    labels: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    part: str = ""


def in_folder(folder: Path, options: SourceOptions) -> Path:
    """View paths start from the folder of the images, or the data set's own."""
    return options.images or folder


def beside_table(path: Path, options: SourceOptions) -> Path:
    """View paths start from the folder of the images, or the one that the table is in."""
    return options.images or (path if path.is_dir() else path.parent)


def refuse_useless(source: Source, options: SourceOptions) -> None:
    """Refuse options that a source would ignore: who gives one expects something of it.

    Raises:
        SourceError: If there is one.
    """
    given = {
        "labels": options.labels,
        "part": options.part,
        "column": options.columns,
        "report-files": options.reports,
    }
    useless = [f"--{name}" for name, value in given.items() if value and name not in source.takes]
    if useless:
        raise SourceError(f"{source.name} has no use for {' and '.join(useless)}; leave it out.")


Read = Callable[[Path, ExclusionFlow, SourceOptions], Iterator[Study]]


@dataclass(frozen=True)
class Source:
    """One public data set.

    Args:
        name: What the user types.
        title: One line for the list of sources.
        layout: What the folder must hold, for errors and help.
        read: Yields studies with paths relative to `root`, counting in the flow what it finds and rejects; it
            does not look at the image files.
        check: How thoroughly images are checked by default; large sets only for existence.
        order: When a study was made, in days, or None: decides which study is the prior.
        root: The folder that view paths start from.
        takes: Which of the options `labels`, `part`, `column` and `report-files` it has a use for.
        from_file: Whether a file may be given instead of a folder.
        without_positions: Whether the set never says which view an image is.
    """

    name: str
    title: str
    layout: str
    read: Read
    check: Check = "decode"
    order: Order = study_time_days
    root: Callable[[Path, SourceOptions], Path] = in_folder
    takes: tuple[str, ...] = ()
    from_file: bool = False
    without_positions: bool = False
