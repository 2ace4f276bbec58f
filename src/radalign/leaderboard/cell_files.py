"""Read what lies in a cell's folder; a damaged file is named, with its cell and what to do.

A kill or a full disk leaves no half-written file here, but a copy that was cut short or a failing disk does.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from radalign.evaluate.results import Result, ResultError
from radalign.leaderboard.plan import LeaderboardError

RESULT, JOB, PICTURES = "result.json", "cell.json", "pictures.json"
GALLERY = ("by_text", "by_image", "heat")


class DamagedFile(LeaderboardError):
    """A file of a cell cannot be read; the message names it and says what to do."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Whatever goes wrong while a cell's file is read becomes a sentence.

    Raises:
        DamagedFile: With the file, its cell, the reason and what to do.
    """
    try:
        yield
    except DamagedFile:
        raise
    except (OSError, ValueError, LookupError, TypeError, AttributeError, EOFError) as error:
        raise _damaged(path, error) from error
    except (zipfile.BadZipFile, zlib.error) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> DamagedFile:
    return DamagedFile(
        f"{path.name} of the cell {path.parent.name} cannot be read ({path}: {error}); run the plan without "
        "--page-only to judge the cell again, or remove the cell's folder."
    )


def read_table(path: Path) -> dict[str, Any]:
    """The JSON object in a cell's file.

    Raises:
        DamagedFile: If there is none that can be read.
    """
    with reading(path):
        table = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(table, dict):
            raise TypeError("it holds no table")
        return table


def read_result(folder: Path) -> Result:
    """A cell's `result.json`.

    Raises:
        DamagedFile: If it cannot be read, or says less than a result says.
    """
    path = folder / RESULT
    read_table(path)
    with reading(path):
        try:
            return Result.read(path)
        except ResultError as error:
            raise TypeError("it is not a complete result") from error


def read_pictures(folder: Path) -> dict[str, Any]:
    """A cell's `pictures.json`, {} while there is none.

    Raises:
        DamagedFile: If it cannot be read, or lacks a part of a gallery.
    """
    path = folder / PICTURES
    if not path.is_file():
        return {}
    held = read_table(path)
    with reading(path):
        return {name: list(held[name]) for name in GALLERY}
