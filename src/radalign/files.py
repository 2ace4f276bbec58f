"""Files that appear whole or not at all, and a sentence when the disk refuses them."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_FULL = {errno.ENOSPC, errno.EDQUOT}
_CLOSED = {errno.EACCES, errno.EPERM, errno.EROFS}


class WriteRefused(OSError):
    """A file cannot be written; the message names it and says what to do."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Tell of a refused write by the file's name: the system's own words may lack it.

    Raises:
        WriteRefused: If the operating system refuses.
    """
    try:
        yield
    except OSError as error:
        raise WriteRefused(_sentence(path, error)) from error


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A temporary path beside a file's own to write to; it takes the file's place when all is written.

    Args:
        path: Where the file goes; its folder is made.

    Raises:
        WriteRefused: If the operating system refuses; an earlier file at `path` is as it was.
    """
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            with partial.open("rb") as written:
                os.fsync(written.fileno())  # a full disk may only say so here
            partial.replace(path)
    finally:
        # On a read-only disk there is nothing to remove, and that must not hide the reason.
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def open_as_umask_says(path: Path) -> None:
    """Give a file the mode of any new file; safetensors makes its own readable by the owner alone."""
    probe = path.with_name(path.name + ".mode")
    try:
        # The umask cannot be read without setting it, which other threads would notice.
        probe.touch()
        path.chmod(probe.stat().st_mode & 0o777)
    finally:
        probe.unlink(missing_ok=True)


def _sentence(path: Path, error: OSError) -> str:
    if error.errno in _FULL:
        return f"Could not write {path}: the disk is full. Free some space and run the same command again."
    reason = error.strerror or str(error)
    if error.errno in _CLOSED:
        return f"Could not write {path}: {reason}. Choose a folder that you may write to."
    return f"Could not write {path}: {reason}. Mend that, or choose another place."
