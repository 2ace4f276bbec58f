"""Copies of the images that have text burned in, with that text masked; a manifest that points at them.

manifest ── each image: marks found? ── no: the view stays as it is
                                    └── yes: <out>/<name>.png, filled from its neighbourhood
<out>/masks.jsonl says per image what was done; the same command goes on where it stopped
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from radalign.data.first_bytes import starts_as_dicom
from radalign.images.burned_in import Reader, clean
from radalign.images.errors import ImageError
from radalign.images.read import read_image
from radalign.study import Manifest, View

Progress = Callable[[Iterable[Any], str], Iterable[Any]]
RECORD = "masks.jsonl"
RULES = 3  # of what is a mark and how much is filled; copies made by other rules are not mixed in


@dataclass(frozen=True)
class Masked:
    """What was done to one image.

    Args:
        path: As in the manifest.
        file: The masked copy in the output folder, "" when nothing had to be masked.
        boxes: How many marks were masked.
        kept: How many were read as safe.
        left: How many were not masked, because they are larger than a label or reach the middle.
        residual: How many other unsafe ones were still found afterwards.
        error: Why it could not be read, "" if it could.
    """

    path: str
    file: str = ""
    boxes: int = 0
    kept: int = 0
    left: int = 0
    residual: int = 0
    error: str = ""


def mask_images(
    manifest: Manifest,
    out: Path,
    reader: Reader | None = None,
    band: float = 0.2,
    progress: Progress | None = None,
) -> tuple[Manifest, list[Masked]]:
    """Mask the burned-in text of every image of a manifest; the originals are not touched.

    Args:
        manifest: The studies.
        out: Folder of the masked copies (16-bit grey PNG) and of the record.
        reader: OCR; without one every mark found is masked, side letters too.
        band: Width of the border bands that are searched, as a share of each side.
        progress: Wraps the loop over images.

    Returns:
        The manifest with the paths of the masked copies, and what was done to each image.

    Raises:
        ValueError: If the band is not a share, or the folder was made with other settings.
    """
    if not 0 < band <= 0.5:
        raise ValueError(f"A border band of {band} cannot be; use a share above 0 and up to 0.5.")
    out.mkdir(parents=True, exist_ok=True)
    settings = {"rules": RULES, "band": band, "ocr": reader is not None}
    done = _read_record(out / RECORD, settings)
    views = [view for study in manifest for view in study.views if view.path not in done]
    with (out / RECORD).open("a", encoding="utf-8") as record:
        for view in progress(views, "Masking text") if progress else views:
            one = mask_image(view.path, manifest.image_path(view), out, reader, band)
            record.write(json.dumps(vars(one)) + "\n")
            record.flush()
            done[view.path] = one
    studies = [
        replace(s, views=tuple(_placed(v, done, out, manifest.root) for v in s.views)) for s in manifest
    ]
    return manifest.with_studies(studies), list(done.values())


def mask_image(path: str, file: Path, out: Path, reader: Reader | None, band: float) -> Masked:
    """Mask one image; a copy is written only when something was masked.

    Args:
        path: Its name in the manifest.
        file: Where it is.
        out: Folder of the copies.
        reader: OCR, or None.
        band: See `mask_images`.
    """
    try:
        image = read_image(file)
    except ImageError as error:
        return Masked(path, error=str(error))
    cleaned = clean(image, reader, band)
    name = f"{Path(path).stem}-{hashlib.sha256(path.encode()).hexdigest()[:8]}.png" if cleaned.masked else ""
    if name:
        _write(cleaned.image, out / name)
    masked, kept, left, residual = map(len, (cleaned.masked, cleaned.kept, cleaned.left, cleaned.residual))
    return Masked(path, name, masked, kept, left, residual)


def masked_text(done: list[Masked]) -> str:
    """The counts in lines."""
    lines = [
        f"{len(done):6,} images looked at",
        f"{sum(bool(m.boxes) for m in done):6,} had marks that were masked",
        f"{sum(bool(m.kept) for m in done):6,} had marks that were read as safe and stayed",
        f"{sum(bool(m.left) for m in done):6,} had marks too large or too near the middle, which stayed",
        f"{sum(bool(m.residual) for m in done):6,} had marks that were still found afterwards",
        f"{sum(bool(m.error) for m in done):6,} could not be read and stayed as they are",
    ]
    return "\n".join([*lines, *(m.error for m in done if m.error)])


def _write(image: np.ndarray, file: Path) -> None:
    partial = file.with_name(f".{file.name}.partial")
    words = np.rint(np.clip(image, 0, 1) * 65535).astype(np.uint16)
    Image.fromarray(words).save(partial, format="PNG")
    os.replace(partial, file)


def _placed(view: View, done: dict[str, Masked], out: Path, root: Path) -> View:
    name = done[view.path].file
    if not name:
        return view
    if starts_as_dicom(root / view.path):
        # The copy is upright with square pixels; the size in the header would squash it.
        view = replace(view, original_width_px=0, original_height_px=0)
    return replace(view, path=os.path.relpath(out.resolve() / name, root.resolve()))


def _read_record(path: Path, settings: dict[str, Any]) -> dict[str, Masked]:
    """What an earlier run did; the first line holds its settings, a line cut off by a kill is done again."""
    if not path.is_file():
        path.write_text(json.dumps(settings) + "\n", encoding="utf-8")
        return {}
    text = path.read_text(encoding="utf-8")
    first, *lines = text[: text.rfind("\n") + 1].splitlines() or [""]
    if first != json.dumps(settings):
        raise ValueError(f"{path} was made with other settings ({first}); use another folder, or delete it.")
    if not text.endswith("\n"):
        path.write_text("\n".join([first, *lines]) + "\n", encoding="utf-8")
    return {one.path: one for one in (Masked(**json.loads(line)) for line in lines)}
