"""How a result was made: code, recipe, data, seeds, packages, device, time."""

from __future__ import annotations

import hashlib
import platform
import subprocess
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "numpy", "pillow", "pydicom", "tokenizers", "accelerate")


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
    return {
        "radalign": _version("radalign"),
        "commit": git_commit(Path(__file__).parent),
        "systems": {name: describe(system) for name, system in systems.items()},
        "manifest_sha256": manifest_sha256,
        "seeds": dict(seeds or {}),
        "packages": {name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": device,
        "wall_time_s": dict(times_s or {}),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
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


def sha256_of(text: str) -> str:
    """Hash of a text, for prompts and lists of paths.

    >>> sha256_of("")[:8]
    'e3b0c442'
    """
    return hashlib.sha256(text.encode()).hexdigest()


def git_commit(folder: Path) -> str:
    """The commit of a source checkout, with `+changes` when files differ from it; "" outside of one."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return commit + ("+changes" if _git(folder, "status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
