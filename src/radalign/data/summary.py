"""What a manifest holds, in numbers and as a contact sheet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from textwrap import shorten
from typing import Any

from radalign.study import SPLITS, Manifest, ManifestError, Study, View

_SNIPPET_CHARACTERS = 160


def summarise(manifest: Manifest, most_labels: int = 20) -> dict[str, Any]:
    """Counts of studies, views, reports, labels, splits and priors, as plain values.

    Args:
        manifest: Any manifest.
        most_labels: How many labels to list, the most frequent first.

    >>> summarise(Manifest([Study("a", "p", (View("a.png", "PA"),))]))["views"]["positions"]
    {'PA': 1}
    """
    studies = manifest.studies
    return {
        "studies": len(studies),
        "patients": len({s.patient_id for s in studies}),
        "views": _views(studies),
        "reports": _reports(studies),
        "labels": _labels(studies, most_labels),
        "splits": _splits(manifest),
        "priors": sum(manifest.prior(s) is not None for s in studies),
        "sources": dict(Counter(s.source or "unknown" for s in studies).most_common(5)),
        "licences": dict(Counter(s.licence or "unknown" for s in studies).most_common(5)),
        "sha256": manifest.sha256(),
    }


def choose_split(manifest: Manifest, split: str | None) -> Manifest:
    """The studies of one split, of `none`, or all.

    Raises:
        ManifestError: If there is no such split in the manifest.

    >>> len(choose_split(Manifest([Study("a", "p", split="train")]), "train"))
    1
    """
    if split is None:
        return manifest
    held = {study.split or "none" for study in manifest}
    if split not in held:
        there = ", ".join(name for name in (*SPLITS, "none") if name in held)
        raise ManifestError(f"The manifest has no split {split!r}; it has {there or 'no study'}.")
    return manifest.where(split="" if split == "none" else split)


def summary_text(summary: dict[str, Any]) -> str:
    """A summary as a few lines for a person.

    >>> print(summary_text(summarise(Manifest([Study("a", "p", (View("a.png", "PA"),))]))).splitlines()[0])
    1 studies of 1 patients, 1 views
    """
    views, reports = summary["views"], summary["reports"]
    lines = [
        f"{summary['studies']:,} studies of {summary['patients']:,} patients, {views['count']:,} views",
        f"views     {_pairs(views['positions'])}",
        f"          both frontal and lateral: {views['frontal_and_lateral']:,} studies; "
        f"only lateral: {views['only_lateral']:,} studies",
        f"reports   {reports['with_text']:,} with text; words: median {reports['median_words']}, "
        f"longest {reports['most_words']:,}",
        f"splits    {_split_line(summary['splits'])}",
        f"priors    {summary['priors']:,} studies have their prior here",
        f"source    {_pairs(summary['sources'])}",
        f"licence   {_pairs(summary['licences'])}",
        f"labels    {summary['labels']['count']:,} names; present / absent / unsure:",
    ]
    lines += [f"          {_amounts(v)}  {name}" for name, v in summary["labels"]["most_frequent"].items()]
    return "\n".join([*lines, f"sha256    {summary['sha256']}"])


def write_sheet(manifest: Manifest, path: str | Path, count: int = 8) -> None:
    """Write a contact sheet of studies spread evenly over the manifest, two views each.

    Args:
        manifest: At least one study.
        path: The PNG.
        count: How many studies.
    """
    from radalign.images.sheet import Tile, contact_sheet

    step = max(1, len(manifest) // max(1, count))
    chosen = manifest.studies[::step][:count]
    tiles = [
        Tile(manifest.image_path(view), _caption(study, view, first=index == 0))
        for study in chosen
        for index, view in enumerate(_two_views(study))
    ]
    contact_sheet(tiles, path, title=f"{len(chosen)} of {len(manifest):,} studies")


def _two_views(study: Study) -> list[View]:
    best = [view for view in (study.frontal, study.lateral) if view is not None]
    return best or list(study.views[:2])


def _caption(study: Study, view: View, first: bool) -> str:
    lines = [f"{study.id}  {view.position or 'position unknown'}  {study.split}".rstrip()]
    if first:
        lines += [
            ", ".join(study.positives[:6]),
            shorten(study.report.body, _SNIPPET_CHARACTERS, placeholder=" …"),
        ]
    return "\n".join(line for line in lines if line)


def _views(studies: Iterable[Study]) -> dict[str, Any]:
    studies = list(studies)
    both = sum(s.frontal is not None and s.lateral is not None for s in studies)
    return {
        "count": sum(len(s.views) for s in studies),
        "positions": dict(Counter(v.position or "unknown" for s in studies for v in s.views).most_common()),
        "frontal_and_lateral": both,
        "only_lateral": sum(bool(s.views) and all(v.is_lateral for v in s.views) for s in studies),
    }


def _reports(studies: Iterable[Study]) -> dict[str, Any]:
    words = [len(s.report.body.split()) for s in studies]
    filled = [count for count in words if count]
    return {
        "with_text": len(filled),
        "median_words": int(median(filled)) if filled else 0,
        "most_words": max(filled, default=0),
    }


def _labels(studies: Iterable[Study], most: int) -> dict[str, Any]:
    counts: dict[str, Counter[int]] = {}
    for study in studies:
        for name, value in study.labels.items():
            counts.setdefault(name, Counter())[value] += 1
    ranked = sorted(counts.items(), key=lambda item: (-item[1][1], item[0]))[:most]
    frequent = {n: {"present": c[1], "absent": c[0], "unsure": c[-1]} for n, c in ranked}
    return {"count": len(counts), "most_frequent": frequent}


def splits_text(manifest: Manifest) -> str:
    """The studies and patients of each split in one line.

    >>> splits_text(Manifest([Study("a", "p", split="train")]))
    'train 1 (1 patients)'
    """
    return _split_line(_splits(manifest))


def _splits(manifest: Manifest) -> dict[str, dict[str, int]]:
    parts = {name or "none": manifest.where(split=name) for name in (*SPLITS, "")}
    return {
        name: {"studies": len(part), "patients": len({s.patient_id for s in part})}
        for name, part in parts.items()
        if len(part)
    }


def _pairs(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"


def _split_line(splits: dict[str, dict[str, int]]) -> str:
    return ", ".join(f"{n} {p['studies']:,} ({p['patients']:,} patients)" for n, p in splits.items())


def _amounts(values: dict[str, int]) -> str:
    return f"{values['present']:>7,} {values['absent']:>7,} {values['unsure']:>7,}"
