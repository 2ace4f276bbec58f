"""Galleries with scores, and the heat of a sentence over an image: only where images may be shown."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from radalign.leaderboard.blocks import Block, Picture
from radalign.leaderboard.cell_files import PICTURES, DamagedFile, read_pictures
from radalign.leaderboard.plan import LeaderboardError, need_known
from radalign.leaderboard.scores import Judged
from radalign.study import Manifest, Study, View

THUMBNAIL_PX, HEAT_PX, WORDS = 144, 288, 60
SIMULATED = "radalign phantom"


def may_show(manifest: Manifest) -> bool:
    """Whether every study is simulated, so that its images may leave the house."""
    return len(manifest) > 0 and all(study.source == SIMULATED for study in manifest)


def need_gallery(asked: Sequence[str], known: Sequence[str], shows: bool) -> None:
    """Check the arms whose galleries were asked for.

    Raises:
        LeaderboardError: If the plan does not have one, or the page shows no images.
    """
    need_known("arm", asked, known)
    if asked and not shows:
        raise LeaderboardError(
            "--show chooses galleries, and this page has none: images are shown of simulated studies, or "
            "with --gallery where they may leave the house. Give --gallery, or leave --show out."
        )


def cells_to_show(
    judged: Sequence[Judged], usual: Sequence[str], asked: Sequence[str], heat: bool
) -> list[Judged]:
    """A cell of each arm whose gallery is drawn, one with pictures where there is one.

    Args:
        judged: All cells of the page.
        usual: Arms that are shown when none is asked for: the leader and the reference.
        asked: Arms that were asked for instead.
        heat: When none is asked for, also an arm with heat maps if there is one and the others have none.
    """
    found = [_of_arm(arm, judged) for arm in dict.fromkeys(asked or usual)]
    shown = [one for one in found if one is not None]
    if heat and not asked and not any(map(_has_heat, shown)):
        shown += [one for one in judged if _has_heat(one)][:1]
    return shown


def _of_arm(arm: str, judged: Sequence[Judged]) -> Judged | None:
    own = [j for j in judged if j.cell.arm.name == arm]
    return next((j for j in own if (j.cell.folder / PICTURES).is_file()), own[0] if own else None)


def _has_heat(judged: Judged) -> bool:
    try:
        return bool(read_pictures(judged.cell.folder).get("heat"))
    except DamagedFile:
        return False


def gallery_blocks(cells: Sequence[Judged], manifest: Manifest, heat: bool) -> list[Block]:
    """The queries of each cell given: images for sentences, reports for images, heat of sentences."""
    blocks: list[Block] = []
    for judged in cells:
        try:
            held = read_pictures(judged.cell.folder)
        except DamagedFile as damage:  # the numbers are there, so the page is made
            blocks.append(str(damage))
            continue
        if not held:
            blocks.append(
                f"{judged.cell.label} has no pictures: it came from a record, or does not put studies and "
                "texts into one space."
            )
            continue
        blocks.append(f"{judged.cell.label}. Right answers are outlined.")
        blocks += [_by_text(query, manifest) for query in held["by_text"]]
        blocks += [_by_image(query, manifest) for query in held["by_image"]]
        if heat and held["heat"]:
            blocks.append(_heat(held["heat"], manifest))
    return blocks


def _by_text(query: Mapping[str, Any], manifest: Manifest) -> Picture:
    tiles = "".join(
        f"<figure{_right(hit)}>{_image(manifest[hit['study']], manifest)}"
        f"<figcaption>{hit['score']:+.3f} {escape(hit['study'])}</figcaption></figure>"
        for hit in query["hits"]
    )
    right = sum(hit["right"] for hit in query["hits"])
    words = (
        f"“{query['sentence']}”: {right} of the first {len(query['hits'])} have {query['finding']}; "
        f"{100 * query['share']:.0f} % of all do."
    )
    return Picture(f'<div class="row">{tiles}</div>', words, is_headed=True)


def _by_image(query: Mapping[str, Any], manifest: Manifest) -> Picture:
    study = manifest[query["study"]]
    reports = "".join(
        f"<blockquote{_right(hit)}>{hit['score']:+.3f} {escape(_text(manifest[hit['study']]))}</blockquote>"
        for hit in query["hits"]
    )
    html = f'<div class="row"><figure>{_image(study, manifest)}</figure></div>{reports}'
    words = f"Study {study.id}: its own report is number {query['rank']} of {query['of']}."
    return Picture(html, words, is_headed=True)


def _heat(rows: Sequence[Mapping[str, Any]], manifest: Manifest) -> Picture:
    tiles = "".join(
        f'<figure><div class="over">{_image(manifest[row["study"]], manifest)}'
        f'<img src="{_png(_coloured(np.array(row["heat"])))}" alt=""></div>'
        f"<figcaption>{escape(row['sentence'])} ({escape(row['study'])})</figcaption></figure>"
        for row in rows
    )
    return Picture(
        f'<div class="row">{tiles}</div>',
        "Cosine of every patch to the words of the sentence, mean over words; yellow is hottest.",
        is_headed=True,
    )


def _right(hit: Mapping[str, Any]) -> str:
    return ' class="right"' if hit["right"] else ""


def _text(study: Study) -> str:
    words = study.report.body.split()
    return " ".join(words[:WORDS]) + (" ..." if len(words) > WORDS else "")


def _image(study: Study, manifest: Manifest) -> str:
    seen = _readable(study, manifest)
    alt = f"Study {study.id}" + (f", {seen[0].position}" if seen else ", whose images cannot be read")
    source = _png(seen[1]) if seen else ""
    return (
        f'<img src="{source}" alt="{escape(alt, quote=True)}" width="{THUMBNAIL_PX}" height="{THUMBNAIL_PX}">'
    )


def _readable(study: Study, manifest: Manifest) -> tuple[View, Any] | None:
    """The frontal view, or the first that can be read, and its picture."""
    from radalign.images.errors import ImageError

    for view in sorted(study.views, key=lambda view: view != study.frontal):
        try:
            return view, _grey(manifest.image_path(view))
        except ImageError:
            continue  # the page has its numbers from elsewhere, and says that they lack this image
    return None


def _grey(path: Path) -> Any:
    """A small square of an image file, grey."""
    from PIL import Image

    from radalign.images.read import read_image

    pixels = np.rint(np.clip(read_image(path), 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(pixels).resize((THUMBNAIL_PX, THUMBNAIL_PX), reducing_gap=2.0)


def _coloured(heat: Any) -> Any:
    """Heat as colours, from its own smallest to its own largest value."""
    from matplotlib import colormaps
    from PIL import Image

    span = float(heat.max() - heat.min()) or 1.0
    colours = colormaps["viridis"]((heat - heat.min()) / span, bytes=True)[..., :3]
    return Image.fromarray(np.ascontiguousarray(colours)).resize(
        (HEAT_PX, HEAT_PX), Image.Resampling.BILINEAR
    )


def _png(image: Any) -> str:
    """A picture as a data address."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
