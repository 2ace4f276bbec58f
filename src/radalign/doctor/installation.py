"""Packages: whether every one that radalign needs is there, and new enough, and what each extra lacks."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from importlib import metadata

from packaging.requirements import Requirement

from radalign.data.provenance import provenance
from radalign.doctor.check import Check

PACKAGE = "radalign"
EXTRAS = {
    "codecs": "compressed DICOM",
    "ocr": "reading what is burned into images",
    "track": "curves in TensorBoard",
}
NO_PACKAGE = Check(PACKAGE, "broken", "it runs from source and is not installed", "pip install -e .")


def check_packages() -> Iterator[Check]:
    """This package, those it needs, and those of its extras."""
    made = provenance()
    try:
        wanted = [Requirement(text) for text in metadata.requires(PACKAGE) or []]
    except metadata.PackageNotFoundError:
        yield NO_PACKAGE
        return
    commit = f", commit {made['commit'][:12]}" if made["commit"] else ""
    yield Check(PACKAGE, "fine", f"{made['radalign']}{commit}, Python {platform.python_version()}")
    needed = [r for r in wanted if r.marker is None or r.marker.evaluate({"extra": ""})]
    wrong = faults(needed)
    found = "; ".join(wrong) or f"all {len(needed)} are there and new enough"
    mend = f"pip install {' '.join(repr(str(r)) for r in needed if faults([r]))}" if wrong else ""
    yield Check("packages", "broken" if wrong else "fine", found, mend)
    for extra, purpose in EXTRAS.items():
        own = [r for r in wanted if r.marker and r.marker.evaluate({"extra": extra}) and r not in needed]
        wrong = faults(own)
        mend = f'for {purpose}: pip install -e ".[{extra}]"' if wrong else ""
        yield Check(extra, "note" if wrong else "fine", "; ".join(wrong) or f"{purpose}: all there", mend)


def faults(requirements: Sequence[Requirement]) -> list[str]:
    """What is wrong with the installed versions, in words.

    >>> faults([Requirement("numpy>=1"), Requirement("no-such-package")])
    ['no-such-package is missing']
    >>> faults([Requirement("numpy>=999")])[0].endswith("is installed, >=999 is needed")
    True
    """
    found = []
    for requirement in requirements:
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            found.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            found.append(f"{requirement.name} {version} is installed, {requirement.specifier} is needed")
    return found
