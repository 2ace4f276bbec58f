"""Benchmarks and scripts import their needs inside functions; a renamed one would show only when they run."""

from __future__ import annotations

import ast
import importlib
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted([*(ROOT / "benchmarks").glob("*.py"), *(ROOT / "scripts").glob("*.py")])
OURS = {"radalign", *(file.stem for file in FILES)}


def imported(file: Path) -> list[tuple[str, str]]:
    """(module, name) of every `from module import name` of this project's own modules, wherever it stands."""
    tree = ast.walk(ast.parse(file.read_text()))
    froms = [n for n in tree if isinstance(n, ast.ImportFrom) and n.module]
    return [(n.module, a.name) for n in froms if n.module.split(".")[0] in OURS for a in n.names]


def missing(file: Path) -> list[tuple[str, str]]:
    """Those of them that are neither in the module nor a module of it."""
    names = [(m, n) for m, n in imported(file) if not hasattr(importlib.import_module(m), n)]
    return [(m, n) for m, n in names if not find_spec(f"{m}.{n}")]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_imported_name_exists(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(file.parent), *sys.path])
    assert missing(file) == []


def test_a_name_that_is_gone_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "gone.py"
    file.write_text("def late():\n    from radalign import Study, gone\n")
    assert missing(file) == [("radalign", "gone")]
