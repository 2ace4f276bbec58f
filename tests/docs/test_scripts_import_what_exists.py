"""Benchmarks and scripts import their needs inside functions; a renamed one would show only when they run."""

from __future__ import annotations

import ast
import importlib
import sys
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


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_imported_name_exists(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(file.parent), *sys.path])
    for module, name in imported(file):
        found = importlib.import_module(module)
        if not hasattr(found, name):
            importlib.import_module(f"{module}.{name}")  # a module of a package; raises if there is none


def test_a_name_that_is_gone_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "gone.py"
    file.write_text("def late():\n    from radalign.study import Study, Gone\n")
    assert imported(file) == [("radalign.study", "Study"), ("radalign.study", "Gone")]
