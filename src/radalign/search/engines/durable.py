"""Writes that are on the disk when they return, or have not happened; and one writer at a time.

write_file      new file ── chunks ── fsync
replace_file    temporary file ── fsync ── rename over the old one ── fsync of the folder
writer_lock     flock on a lock file; readers take none
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from radalign.search.errors import IndexBusy, StorageError

_FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True)
class FileStamp:
    """What a file must be: its size and SHA-256."""

    size_bytes: int
    sha256: str


def write_file(path: Path, chunks: Iterable[bytes | memoryview]) -> FileStamp:
    """Write a new file and fsync it.

    Returns:
        The size and hash of what was written.
    """
    digest, size_bytes = hashlib.sha256(), 0
    with path.open("wb") as file:
        for chunk in chunks:
            digest.update(chunk)
            size_bytes += file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return FileStamp(size_bytes, digest.hexdigest())


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file by new content: a reader, or a crash, finds the old one or the new one, whole."""
    partial = path.with_name(path.name + ".partial")
    try:
        write_file(partial, [content])
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    fsync_folder(path.parent)


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def writer_lock(path: Path) -> Iterator[None]:
    """Hold the only right to write; a crash releases it.

    Raises:
        IndexBusy: If another process, or another open index of this process, holds it.
    """
    with path.open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read(20).decode(errors="replace").strip() or "unknown"
            raise IndexBusy(
                f"Process {holder} is writing to the index {path.parent}; wait until it has finished, "
                "then run the same command again."
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()).encode())
        file.flush()
        yield


@contextmanager
def refusals_as_sentences(folder: Path) -> Iterator[None]:
    """Turn what the operating system says of a failed write into a sentence.

    Raises:
        StorageError: For every OSError inside.
    """
    try:
        yield
    except OSError as error:
        reason = "the disk is full" if error.errno in _FULL else error.strerror or str(error)
        advice = "Free some space" if error.errno in _FULL else "Mend that"
        raise StorageError(
            f"Could not write to the index {folder}: {reason}. Its last acknowledged state is intact. "
            f"{advice} and run the same command again."
        ) from error
