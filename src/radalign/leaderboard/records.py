"""A cell's results as one small file, to keep and to hand on: numbers and curves, no weights, no studies.

cells/<arm>-<seed>/ ── keep ──> <folder>/<arm>-<seed>.zip ── take_in ──> cells/<arm>-<seed>/ of another board

A record holds what the page needs: the job, every number, the run's facts and log, and the resamples of the
numbers over all cases, to 15 bits, so that differences stay paired. It says nothing of where files lay.
"""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radalign.files import whole_file
from radalign.leaderboard.cells import FAILURE, PRETRAINED, Cell
from radalign.leaderboard.plan import LeaderboardError
from radalign.leaderboard.scores import Drawn, write_draws
from radalign.leaderboard.standing import data_of, need_readable, standing
from radalign.train.folder import held_run
from radalign.train.record import read_log

RUN, LOG, RESULT, DRAWS = "run/run.json", "run/log.jsonl", "result.json", "draws.npz"
FIRST_RUN = f"{PRETRAINED}/run.json"
NEEDED = ("cell.json", RUN, RESULT)
KNOWN = (*NEEDED, LOG, FIRST_RUN, DRAWS)
_KEPT_BITS = np.uint32(0xFFFFFF00)  # sign, exponent and 15 bits of the fraction
_SAME_DATE = (1980, 1, 1, 0, 0, 0)  # equal content makes an equal file


def record_of(cell: Cell, folder: Path) -> Path:
    """Where a cell's record lies."""
    return folder / f"{cell.folder.name}.zip"


def keep(cells: Sequence[Cell], folder: Path) -> list[Path]:
    """Write the record of every cell that a page may show; an equal one, or one judged later, stays.

    Args:
        cells: Of a board.
        folder: For the records.

    Returns:
        The records that were written.

    Raises:
        WriteRefused: If the disk refuses.
    """
    written = []
    for cell in standing(cells)[0]:
        path, made = record_of(cell, folder), _packed(cell)
        if path.is_file() and (path.read_bytes() == made or _is_later(path, cell)):
            continue
        _write(path, made)
        written.append(path)
    return written


def take_in(cells: Sequence[Cell], folder: Path) -> dict[Path, str]:
    """Give every cell that has nothing yet, or has it from an earlier record, the results of its record.

    Args:
        cells: Of a board.
        folder: With records; one that is not there holds none.

    Returns:
        Every record that was read, with "" or why its results are not those of the plan and data.

    Raises:
        LeaderboardError: If a record cannot be read.
        WriteRefused: If the disk refuses.
    """
    found = {}
    for cell in cells:
        path = record_of(cell, folder)
        if path.is_file() and (_is_empty(cell) or (_came_from_record(cell) and _is_later(path, cell))):
            found[path] = _take(cell, path)
    return found


def _is_empty(cell: Cell) -> bool:
    return not (cell.folder / RESULT).is_file() and not held_run(cell.run)


def _came_from_record(cell: Cell) -> bool:
    """Whether a cell has results and no system that they could be of."""
    return (cell.folder / RESULT).is_file() and not any(
        (cell.run / name).is_dir() for name in ("best", "last")
    )


def _is_later(path: Path, cell: Cell) -> bool:
    """Whether a record was judged after the results in a cell's folder; one that cannot be read was not."""
    try:
        results = unpacked(path)[RESULT], (cell.folder / RESULT).read_bytes()
    except LeaderboardError:
        return False
    record, own = map(_date, results)
    return record > own


def _date(result: bytes) -> str:
    """When a result was judged; "" of one that is damaged, so that any other is later."""
    try:
        return str(json.loads(result).get("made_by", {}).get("date", ""))
    except (ValueError, AttributeError):
        return ""


def _take(cell: Cell, path: Path) -> str:
    files = unpacked(path)
    with tempfile.TemporaryDirectory() as place:
        tried = replace(cell, folder=Path(place) / cell.folder.name)
        write_files(tried.folder, files)
        try:
            need_readable(tried)
        except ValueError as error:
            return f"it is damaged ({error}); remove it".replace(f"{place}/", "")
        if data_of(tried) != cell.job.data_sha256:
            return "it was made on other studies"
        if why := standing([tried])[1].get(tried.label):
            return why
    write_files(cell.folder, files)
    (cell.folder / FAILURE).unlink(missing_ok=True)  # an earlier try here no longer matters
    return ""


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a record's files as a cell's."""
    for name in sorted(files, key=lambda name: name == RESULT):  # last: until then the cell is not judged
        _write(folder / name, files[name])


def _packed(cell: Cell) -> bytes:
    files = {name: (cell.folder / name) for name in ("cell.json", RUN, FIRST_RUN, RESULT)}
    held = {
        name: json.dumps(_placeless(json.loads(path.read_text(encoding="utf-8")), cell), indent=1).encode()
        for name, path in files.items()
        if path.is_file()
    }
    if (cell.folder / LOG).is_file():
        held[LOG] = b"".join(_short_line(line) for line in read_log(cell.folder / LOG))
    held[DRAWS] = _short_draws(Drawn.read(cell.folder))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in held.items():
            archive.writestr(zipfile.ZipInfo(name, _SAME_DATE), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _placeless(value: Any, cell: Cell) -> Any:
    """The same without places of this machine: data by name, a cell's own files by where they lie in it."""
    if isinstance(value, Mapping):
        return {k: _placeless(v, cell) for k, v in value.items()}
    if isinstance(value, list):
        return [_placeless(v, cell) for v in value]
    if not isinstance(value, str):
        return value
    for place in (cell.job.data, cell.job.cache):
        if value == place:
            return Path(place).name
    return value.replace(f"{cell.folder.absolute()}/", "")


def _short_line(line: Mapping[str, Any]) -> bytes:
    """A line of the log as far as curves need it."""
    if line["kind"] == "step":
        line = {name: line[name] for name in ("kind", "step", "total") if name in line}
    elif line["kind"] != "validation":
        return b""
    return json.dumps(line).encode() + b"\n"


def _short_draws(drawn: Drawn) -> bytes:
    """The resamples of numbers over all cases, those of single findings left out."""
    keys = [key for key in drawn.samples if not key[2]]
    buffer = io.BytesIO()
    samples = {key: _to_15_bits(drawn.samples[key]) for key in keys}
    write_draws(buffer, Drawn(samples, {key: drawn.patients[key] for key in keys}))
    return buffer.getvalue()


def _to_15_bits(samples: NDArray[Any]) -> NDArray[Any]:
    """The nearest float32 whose last 8 bits are 0, which packs well: a share changes by less than 0.00001.

    >>> _to_15_bits(np.array([0.5, 1.0, np.nan])).tolist(), round(float(_to_15_bits(np.array([0.779]))[0]), 7)
    ([0.5, 1.0, nan], 0.779007)
    """
    bits = np.ascontiguousarray(samples, np.float32).view(np.uint32)
    return ((bits + np.uint32(0x80)) & _KEPT_BITS).view(np.float32)


def unpacked(path: Path) -> dict[str, bytes]:
    """The files of a record.

    Raises:
        LeaderboardError: If it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            files = {name: archive.read(name) for name in archive.namelist() if name in KNOWN}
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError) as error:
        raise LeaderboardError(f"{path} is no record that can be read ({error}); remove it.") from error
    missing = [name for name in NEEDED if name not in files]
    if missing:
        raise LeaderboardError(f"{path} is no record of a cell: it has no {', '.join(missing)}; remove it.")
    return files


def _write(path: Path, content: bytes) -> None:
    with whole_file(path) as partial:
        partial.write_bytes(content)
