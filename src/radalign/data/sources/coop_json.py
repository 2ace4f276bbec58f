"""A labelled image set with a split file in CoOp's form, as CoOp, MaPLe and BiomedCoOp share theirs.

    folder/
      split*.json      {"train": [[relative path, label number, class name], ...], "val": ..., "test": ...}
      <images>         paths start from the folder or from one folder below it

A study is one image; there are no patients and no reports. The number that the file gives a class is kept, so
that base and novel classes are the file's own halves.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from radalign.data.examples import CLASS_NUMBER
from radalign.data.exclusions import ExclusionFlow
from radalign.data.sources.files import need_file
from radalign.data.sources.rows import ImageRow, studies_from_rows
from radalign.data.sources.source import Source, SourceError, SourceOptions
from radalign.study import Study, View

LAYOUT = "a folder with split*.json (train, val, test: [[path, label, class name], ...]) and the images"
_SPLITS = {"train": "train", "val": "validate", "test": "test"}


def read(folder: Path, flow: ExclusionFlow, options: SourceOptions) -> Iterator[Study]:
    """Yield one study per image, with its class as the one present label.

    Args:
        folder: The data set's folder.
        flow: Counts images that are listed twice.
        options: `images` is the folder that the paths start from.

    Raises:
        SourceError: If there is no split file, or it is not in CoOp's form.
    """
    yield from studies_from_rows((_row(split, item) for split, item in items_of(split_file(folder))), flow)


def split_file(folder: Path) -> Path:
    """The split file itself, or the first one of a folder."""
    return folder if folder.is_file() else need_file(folder, ["split*.json"], "CoOp's split file")


def items_of(path: Path) -> list[tuple[str, tuple[str, int, str]]]:
    """Every item as (split, (path, label, class name)).

    Raises:
        SourceError: If the file is not in CoOp's form, or a label has two names.
    """
    try:
        table: dict[str, list[Any]] = json.loads(path.read_text(encoding="utf-8"))
        items = [
            (split, (str(image), int(label), str(name)))
            for part, split in _SPLITS.items()
            for image, label, name in table[part]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f"{path} is not a split file ({error!r}); it needs train, val and test lists."
        ) from error
    names: dict[int, str] = {}
    for _, (image, label, name) in items:
        if names.setdefault(label, name) != name:
            raise SourceError(
                f"{path} calls label {label} both {names[label]!r} and {name!r} ({image}); mend the file."
            )
    return items


def _row(split: str, item: tuple[str, int, str]) -> ImageRow:
    image, label, name = item
    return ImageRow(
        view=View(image, "FRONTAL"),
        study_id=image,
        patient_id=image,
        labels={name.replace("_", " "): 1},
        split=split,
        source="CoOp split file",
        extra={CLASS_NUMBER: str(label)},
    )


def image_root(folder: Path, options: SourceOptions) -> Path:
    """The folder that the paths start from: `--images`, the split file's own, or one just below it."""
    if options.images:
        return options.images
    path = split_file(folder)
    items = items_of(path)
    home = path.parent
    below = sorted(p for p in home.iterdir() if p.is_dir())
    return next((place for place in (home, *below) if items and (place / items[0][1][0]).is_file()), home)


SOURCE = Source(
    "coop_json",
    "Labelled images with CoOp's split file (BiomedCoOp's sets)",
    LAYOUT,
    read,
    root=image_root,
    from_file=True,
)
