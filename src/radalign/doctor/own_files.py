"""What a user has made: trained systems, indexes and manifests, opened and tried."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from radalign.doctor.check import Check
from radalign.search.index import Index
from radalign.study import Manifest
from radalign.systems.base import load
from radalign.train.folder import held_run

_TRIED = 200


def check_own_files(paths: Sequence[Path]) -> Iterator[Check]:
    """Each by what it is; a fault is told in the words of what opens it."""
    for path in paths:
        try:
            yield Check(str(path), "fine", _opened(path))
        except (ValueError, OSError) as error:
            yield Check(str(path), "broken", str(error).rstrip("."))


def _opened(path: Path) -> str:
    if path.suffix == ".parquet":
        return _manifest(path)
    if held_run(path) or (path / "backbones.toml").is_file():
        return _system(path)
    if path.is_dir():
        return _index(path)
    raise ValueError(f"There is no manifest (.parquet), trained system or index at {path}.")


def _manifest(path: Path) -> str:
    manifest = Manifest.read(path)
    images = [view.path for study in manifest for view in study.views]
    tried = random.Random(0).sample(images, min(_TRIED, len(images)))
    lost = [image for image in tried if not (manifest.root / image).is_file()]
    if lost:
        raise ValueError(f"Of {len(tried)} images looked for, {len(lost)} are not there, such as {lost[0]}.")
    return f"{len(manifest):,} studies; {len(tried):,} of {len(images):,} images looked for, all there"


def _system(path: Path) -> str:
    system = load(path)
    text = f"{system.recipe.name}, {system.identity[:12]}"
    if not system.aligns:
        return f"{text}, which has no space to search"
    width = system.embed_texts(["No acute disease."]).shape[1]
    return f"{text}, embeds a sentence in {width} numbers"


def _index(path: Path) -> str:
    index = Index.open(path)
    whole = f"all of its {index.verify():,} bytes are as they were written"
    return f"an index of {len(index):,} studies by {index.made_by}; {whole}"
