"""Small images and tables that the tests write."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def image(tmp_path: Path) -> Callable[..., str]:
    """Write a small grey image below the test's folder; returns its relative path."""

    def write(name: str, grey: int = 99, size: tuple[int, int] = (4, 3)) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", size, grey).save(path)
        return name

    return write


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    """Write lines as a text file below the test's folder."""

    def write(
        lines: Iterable[str], name: str = "table.csv", encoding: str = "utf-8", end: str = "\n"
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((end.join(lines) + end).encode(encoding))
        return path

    return write
