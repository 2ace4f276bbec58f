"""How a result was made: code, recipe, data, seeds, packages, device, time."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from radalign.data.provenance import peak_memory_bytes
from radalign.data.provenance import provenance as made_by
from radalign.study import Manifest

TABLES = (".csv", ".txt", ".json", ".tsv")


class Stopwatch:
    """Wall time since it was made, by named step.

    >>> watch = Stopwatch()
    >>> watch.step("embed"); sorted(watch.times_s)
    ['embed']
    """

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self.times_s: dict[str, float] = {}

    def step(self, name: str) -> None:
        """Add the time since the last step to this name."""
        now = time.perf_counter()
        self.times_s[name] = round(self.times_s.get(name, 0.0) + now - self._last, 3)
        self._last = now


def provenance(
    systems: Mapping[str, Any], manifest_sha256: str = "", seeds: Mapping[str, int] | None = None,
    times_s: Mapping[str, float] | None = None, device: str = "cpu",
) -> dict[str, Any]:  # fmt: skip
    """What a result file says about how it was made.

    Args:
        systems: Name to a system; its recipe, identity and backbones are recorded where it has them.
        manifest_sha256: Hash of the evaluated studies.
        seeds: Name to seed.
        times_s: Name of a step to its wall time.
        device: Where the systems ran.
    """
    return made_by() | {
        "systems": {name: describe(system) for name, system in systems.items()},
        "manifest_sha256": manifest_sha256,
        "seeds": dict(seeds or {}),
        "device": device,
        "wall_time_s": dict(times_s or {}),
        "peak_memory_bytes": peak_memory_bytes(),
    }


def describe(system: Any) -> dict[str, Any]:
    """Recipe, identity and backbones of a system, as far as it has them."""
    recipe = getattr(system, "recipe", None)
    found: dict[str, Any] = {}
    if recipe is not None and hasattr(recipe, "model_dump"):
        found["recipe"] = recipe.model_dump(mode="json")
    for name in ("identity", "backbones"):
        if hasattr(system, name):
            found[name] = getattr(system, name)
    return found


def data_sha256(path: Path) -> str:
    """Hash of what decides an evaluation's data: a manifest's studies, or the tables and lists of a folder.

    Images are not read; a list that names them is.
    """
    if path.is_file():
        return Manifest.read(path).sha256()
    digest = hashlib.sha256()
    for table in sorted(f for glob in ("*", "*/*") for f in path.glob(glob) if f.suffix in TABLES):
        digest.update(str(table.relative_to(path)).encode())
        digest.update(hashlib.sha256(table.read_bytes()).digest())
    return digest.hexdigest()


def sha256_of(text: str) -> str:
    """Hash of a text, for prompts and lists of paths.

    >>> sha256_of("")[:8]
    'e3b0c442'
    """
    return hashlib.sha256(text.encode()).hexdigest()
