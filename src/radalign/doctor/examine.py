"""Everything, in the order in which a person would mend it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from radalign.doctor.check import Check
from radalign.doctor.decoders import check_decoders
from radalign.doctor.encoders import check_encoders
from radalign.doctor.installation import check_packages
from radalign.doctor.language import check_reading
from radalign.doctor.machine import check_machine
from radalign.doctor.own_files import check_own_files


def examine(paths: Sequence[Path] = ()) -> Iterator[Check]:
    """Look at the installation, then at what is named.

    Args:
        paths: Manifests, trained systems and indexes.

    Yields:
        A check as soon as it is known.
    """
    parts: list[Callable[[], Iterator[Check]]] = [
        check_packages, lambda: check_machine(Path()), check_decoders, check_encoders, check_reading,
        lambda: check_own_files(paths),
    ]  # fmt: skip
    for part in parts:
        yield from part()
