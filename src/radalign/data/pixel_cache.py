"""The pixel cache: every view decoded once to a square uint8 image in one memory-mapped file.

    <folder>/<size>px-<geometry>-<window>/        (with margin, resampling, ..., where set)
        pixels.u8           row after row, size_px x size_px bytes each
        state.u8            one byte per row: 0 wanted, 1 decoded, 2 unreadable
        rows.jsonl          one line per row: what the image was (path, time, bytes) and its key
        unreadable.json     of the latest build: why views have no pixels

Rows are only ever added. A row counts when its state says so, and its state is written after its pixels are
on the disk, so a killed build goes on where it stopped. A changed image has a new key, hence a new row.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from radalign.data.decoding import DecodingPool, Job, job_for
from radalign.data.settings import DataSettings
from radalign.study import Manifest

Progress = Callable[[Iterable[Any], str], Iterable[Any]]
WANTED, DECODED, UNREADABLE = 0, 1, 2
_TOGETHER = 64
_WORTH_PROCESSES = 200


class PixelCacheError(ValueError):
    """The cache cannot be written or read; the message says what to do."""


class PixelCache:
    """Decoded views of a manifest.

    Args:
        folder: The cache's own folder (of one size, geometry and window).
        size_px: Side of the images.
        row_of: Image path to row, decoded ones only.
        unreadable: Image path to the reason, for views that have no pixels.
    """

    def __init__(
        self, folder: Path, size_px: int, row_of: dict[str, int], unreadable: dict[str, str]
    ) -> None:
        self.folder, self.size_px, self.unreadable = folder, size_px, unreadable
        self._row_of = row_of
        self._pixels = _map(folder / "pixels.u8", size_px)

    def __len__(self) -> int:
        return len(self._row_of)

    def __contains__(self, path: object) -> bool:
        return str(path) in self._row_of

    def read(self, paths: Sequence[str | Path]) -> np.ndarray:
        """The images of some paths, copied.

        Returns:
            uint8 [n, size_px, size_px].

        Raises:
            PixelCacheError: If one of them is not in the cache.
        """
        missing = [str(path) for path in paths if str(path) not in self._row_of]
        if missing:
            why = self.unreadable.get(missing[0], "it was not there when the cache was built")
            raise PixelCacheError(f"{missing[0]} has no cached pixels ({why}); build the cache again.")
        return np.asarray(self._pixels[[self._row_of[str(path)] for path in paths]])

    @classmethod
    def build(
        cls,
        folder: str | Path,
        manifest: Manifest,
        settings: DataSettings,
        processes: int = 0,
        progress: Progress | None = None,
    ) -> PixelCache:
        """Decode what is not decoded yet, and open the cache.

        Args:
            folder: Where caches live; each size, geometry and window gets its own folder in it.
            manifest: All its views are decoded.
            settings: Size, geometry and window.
            processes: Decoding processes; 0 = one per core when there is enough to do.
            progress: Wraps the list of portions still to do, with a label.

        Raises:
            PixelCacheError: If the disk is full or cannot be written; what was decoded is kept.
        """
        home = Path(folder) / cache_name(settings)
        try:
            home.mkdir(parents=True, exist_ok=True)
            with _locked(home):
                store = _Store(home, settings)
                wanted = store.add(manifest)
                todo = [(row, job) for row, job in wanted if store.state[row] != DECODED]
                store.decode(todo, processes or _processes(len(todo)), progress)
                _replace(home / "unreadable.json", store.reasons)
        except OSError as error:
            raise PixelCacheError(
                f"The pixel cache in {home} cannot be written ({error}); free some space or choose "
                "another folder. What was decoded before is kept."
            ) from error
        rows = {job.path: row for row, job in wanted if store.state[row] == DECODED}
        return cls(home, settings.cached_px, rows, store.reasons)


def cache_name(settings: DataSettings) -> str:
    """The folder of one size, geometry and window.

    >>> cache_name(DataSettings(size_px=224, cache_px=256))
    '256px-stretch-dicom'
    >>> cache_name(DataSettings(geometry="crop", resize_px=256, resample="bicubic"))
    '224px-crop256-dicom-bicubic'
    """
    window = settings.window if isinstance(settings.window, str) else "{:g}-{:g}".format(*settings.window)
    margin = settings.cached_resize_px or ""
    how = "" if settings.resample == "bilinear" else f"-{settings.resample}"
    how += ("-forced" if settings.force_window else "") + ("-collimated" if settings.crop_collimation else "")
    return f"{settings.cached_px}px-{settings.geometry}{margin}-{window}{how}"


class _Store:
    """The files of a cache while it is built, under the lock."""

    def __init__(self, folder: Path, settings: DataSettings) -> None:
        self.folder, self.settings = folder, settings
        self.keys = {row["key"]: number for number, row in enumerate(_lines(folder / "rows.jsonl"))}
        self.state = self._known_states()
        self.reasons: dict[str, str] = {}

    def _known_states(self) -> bytearray:
        """States as far as the pixels are really there: any file of the cache may have been removed."""
        pixels, states = self.folder / "pixels.u8", self.folder / "state.u8"
        rows = min(len(self.keys), _size(pixels) // self.settings.cached_px**2, _size(states))
        if _size(states) > rows:
            os.truncate(states, rows)
        known = states.read_bytes() if rows else b""
        return bytearray(known.ljust(len(self.keys), b"\0"))

    def add(self, manifest: Manifest) -> list[tuple[int, Job]]:
        """Give every view of the manifest a row; files that are not there are noted at once."""
        wanted, fresh = {}, []
        for view in (view for study in manifest for view in study.views):
            job = job_for(view, manifest, self.settings, cached=True)
            key = _key(job)
            if key is None:
                self.reasons[job.path] = (
                    f"There is no image at {job.path}; check the path and the manifest's root."
                )
                continue
            if key not in self.keys:
                self.keys[key] = len(self.keys)
                fresh.append({"key": key, "path": job.path})
            wanted[job.path] = (self.keys[key], job)
        _append(self.folder / "rows.jsonl", fresh)
        self.state.extend(bytes(len(fresh)))
        return list(wanted.values())

    def decode(self, todo: Sequence[tuple[int, Job]], processes: int, progress: Progress | None) -> None:
        """Decode portion by portion: pixels, to disk, then the states."""
        self._need_space(len(todo))
        portions = [todo[i : i + _TOGETHER] for i in range(0, len(todo), _TOGETHER)]
        # Not truncating: the file may hold earlier rows.
        mode = os.O_RDWR | os.O_CREAT
        with (
            os.fdopen(os.open(self.folder / "pixels.u8", mode, 0o666), "r+b") as pixels,
            os.fdopen(os.open(self.folder / "state.u8", mode, 0o666), "r+b") as states,
            DecodingPool(processes if todo else 1) as pool,
        ):
            for portion in progress(portions, "Decoding images") if progress and portions else portions:
                self._write(portion, pool.decode([job for _, job in portion]), pixels, states)
            pixels.truncate(len(self.state) * self.settings.cached_px**2)

    def _write(
        self, portion: Sequence[tuple[int, Job]], results: Sequence[Any], pixels: Any, states: Any
    ) -> None:
        for (row, job), result in zip(portion, results, strict=True):
            if isinstance(result, str):
                self.reasons[job.path] = result
            else:
                pixels.seek(row * result.nbytes)
                pixels.write(result.tobytes())
            self.state[row] = UNREADABLE if isinstance(result, str) else DECODED
        pixels.flush()
        os.fsync(pixels.fileno())
        for row, _ in portion:
            states.seek(row)
            states.write(self.state[row : row + 1])
        states.flush()

    def _need_space(self, images: int) -> None:
        needed, free = images * self.settings.cached_px**2, shutil.disk_usage(self.folder).free
        if needed > free:
            raise PixelCacheError(
                f"The pixel cache of {images} images needs {needed / 1e6:.0f} MB but {self.folder} has "
                f"{free / 1e6:.0f} MB left; free some space or choose another folder."
            )


def _key(job: Job) -> str | None:
    try:
        found = os.stat(job.path)
    except OSError:
        return None
    original = job.original if job.geometry != "stretch" else ()
    text = f"{job.path}|{found.st_mtime_ns}|{found.st_size}|{original}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _processes(images: int) -> int:
    return (os.cpu_count() or 1) if images >= _WORTH_PROCESSES else 1


def _map(path: Path, size_px: int) -> np.ndarray:
    rows = path.stat().st_size // size_px**2
    if not rows:
        return np.zeros((0, size_px, size_px), np.uint8)
    return np.memmap(path, np.uint8, "r", shape=(rows, size_px, size_px))


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _lines(path: Path) -> Iterator[dict[str, str]]:
    """The whole lines; what a kill left of the last one is cut off the file."""
    text = path.read_bytes() if path.is_file() else b""
    whole = text.rfind(b"\n") + 1
    if whole < len(text):
        os.truncate(path, whole)
    return (json.loads(line) for line in text[:whole].splitlines())


def _append(path: Path, rows: Sequence[dict[str, str]]) -> None:
    if rows:
        with path.open("ab") as file:
            file.write(b"".join(json.dumps(row).encode() + b"\n" for row in rows))


def _replace(path: Path, value: dict[str, str]) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(
        json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    partial.replace(path)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One builder at a time: a second one waits, then finds the work done."""
    with (folder / "lock").open("w") as lock:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
