"""Public data sets, one file each, from the distributor's own files to studies."""

from __future__ import annotations

from importlib import import_module

from radalign.data.sources.source import Source, SourceError

SOURCES = (
    "openi", "mimic", "chexpert", "chexpert_plus", "padchest", "nih", "rsna", "vindr", "siim", "mscxr",
    "mscxr_t", "covid", "hannover", "dicom_folder", "table", "alta", "coop_json",
)  # fmt: skip


def find_source(name: str) -> Source:
    """The source with this name.

    Raises:
        SourceError: If there is none.

    >>> find_source("openi").name
    'openi'
    """
    key = name.strip().lower().replace("-", "_")
    if key not in SOURCES:
        raise SourceError(f"There is no source {name!r}; choose one of {', '.join(SOURCES)}.")
    source: Source = import_module(f"radalign.data.sources.{key}").SOURCE
    return source
