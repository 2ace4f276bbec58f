"""radalign aligns radiographs with radiology reports: adapters on frozen encoders, then search.

    Study, View, Report, Manifest    the nouns
    load(folder)                     a trained System: embed_studies, embed_texts
    Index                            search by words, by image, by study

Names load on first use, so that `import radalign` costs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from radalign.search.index import Index
    from radalign.study import Manifest, Report, Study, View
    from radalign.systems.base import System, load

__all__ = ["Index", "Manifest", "Report", "Study", "System", "View", "__version__", "load"]

_HOME = {
    "Study": "radalign.study",
    "View": "radalign.study",
    "Report": "radalign.study",
    "Manifest": "radalign.study",
    "System": "radalign.systems.base",
    "load": "radalign.systems.base",
    "Index": "radalign.search.index",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # not needed by a verb's help, and slow to import

        return version("radalign")
    if name not in _HOME:
        raise AttributeError(f"radalign has no {name!r}; the public names are {', '.join(__all__)}.")
    return getattr(import_module(_HOME[name]), name)
