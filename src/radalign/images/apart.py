"""Decoders in a child process: one that ends its process ends no run, and the next image gets a new child.

    with Apart() as apart:
        pixels = apart.decode(dataset, decoders(syntax))

The child gets the compressed pixels and what describes them (groups 0028 and 7FE0), never who they are of.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import warnings
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

import numpy as np

from radalign.images.codecs import decoded

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_GROUPS = frozenset({0x0028, 0x7FE0})
_SIZE_BYTES = 8
_READY = "ready"


class DecoderDiedError(RuntimeError):
    """A decoder ended the process in which it ran."""


class Apart:
    """A child that decodes, started with the first image and again after each death. A context manager.

    >>> with Apart() as apart:
    ...     apart.is_running
    False
    """

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def is_running(self) -> bool:
        """Whether there is a child now."""
        return self._child is not None

    def decode(self, dataset: Dataset, names: tuple[str, ...]) -> np.ndarray:
        """What `codecs.decoded` gives for all frames; here, if no child can be started.

        Args:
            dataset: With encapsulated pixel data.
            names: Pydicom's names of the decoders, in the order in which they are asked.

        Raises:
            DecoderDiedError: If the child died of it.
            RuntimeError: With the decoder's complaint.
        """
        if self._child is None and not self._begin():
            return decoded(dataset, names)
        try:
            answer = self._ask(_pixels_of(dataset), names)
        except (OSError, EOFError) as error:
            raise DecoderDiedError(f"The decoder died (exit code {self._end()}).") from error
        except BaseException:
            self._end()  # stopped half way, its answer would be taken for the next image's
            raise
        if isinstance(answer, str):
            raise RuntimeError(answer)
        return np.asarray(answer)

    def _begin(self) -> bool:
        if not sys.executable:
            return False
        path = os.pathsep.join(p for p in sys.path if p)
        self._child = subprocess.Popen(
            [sys.executable, "-m", "radalign.images.apart"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path}, start_new_session=True,
        )  # fmt: skip
        try:
            return bool(_receive(self._child.stdout) == _READY)
        except (OSError, EOFError):
            self._end()
            return False

    def _ask(self, pixels: Dataset, names: tuple[str, ...]) -> Any:
        if self._child is None or self._child.stdin is None:
            raise EOFError
        _send(self._child.stdin, (pixels, names))
        return _receive(self._child.stdout)

    def _end(self) -> int | None:
        """Close the pipes, which ends a child that lives, and give its exit code."""
        child, self._child = self._child, None
        if child is None:
            return None
        for pipe in (child.stdin, child.stdout):
            try:
                if pipe:
                    pipe.close()
            except BrokenPipeError:
                continue  # what was not sent yet is for nobody now
        try:
            return child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            child.kill()
            return child.wait()


def _pixels_of(dataset: Dataset) -> Dataset:
    from pydicom.dataset import Dataset, FileMetaDataset

    pixels = Dataset()
    for group in _GROUPS:
        pixels.update(dataset.group_dataset(group))
    pixels.file_meta = FileMetaDataset()
    pixels.file_meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    return pixels


def _send(pipe: IO[bytes], said: Any) -> None:
    data = pickle.dumps(said, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.write(len(data).to_bytes(_SIZE_BYTES, "little") + data)
    pipe.flush()


def _receive(pipe: IO[bytes] | None) -> Any:
    """What the other side said; only ever our own parent or child.

    Raises:
        EOFError: If it is gone.
    """
    size = pipe.read(_SIZE_BYTES) if pipe else b""
    if len(size) < _SIZE_BYTES or pipe is None:
        raise EOFError
    length = int.from_bytes(size, "little")
    data = pipe.read(length)
    if len(data) < length:
        raise EOFError
    return pickle.loads(data)


def _serve() -> None:
    """Decode what comes, until nothing comes any more. What decoders print goes nowhere."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    _send(answers, _READY)
    while True:
        try:
            pixels, names = _receive(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer: Any = np.ascontiguousarray(decoded(pixels, names))
        except BaseException as error:  # a Rust decoder panics with an exception that is no `Exception`
            answer = f"{type(error).__name__}: {error}"
        _send(answers, answer)


if __name__ == "__main__":
    _serve()
