"""A child process that answers over its pipes: what ends it ends no run, and the next question gets another.

    in the parent                              Child("some.module").ask(21) -> 42
    in some.module, which runs as the child    answer_all(lambda n: 2 * n)

Plain pipes instead of `multiprocessing`: nothing is forked beside running threads, and any script can use it.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import IO, Any, Self

CRASHED = "its decoder crashed; convert the image, or remove it"
_SIZE_BYTES = 8
_READY = "ready"


class DecoderDiedError(RuntimeError):
    """A decoder ended the process in which it ran."""


class Child:
    """A child, started with the first question and again after each death. A context manager.

    Args:
        module: Run as the child; it calls `answer_all`.
        is_quiet: Whether what it writes to its error output goes nowhere.
        environment: Variables that the child has beside the parent's.

    >>> with Child("radalign.images.apart") as child:
    ...     child.is_running
    False
    """

    def __init__(
        self, module: str, is_quiet: bool = False, environment: Mapping[str, str] | None = None
    ) -> None:
        self._module, self._is_quiet, self._environment = module, is_quiet, dict(environment or {})
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child, if there is one."""
        self._end()

    @property
    def is_running(self) -> bool:
        """Whether there is a child now."""
        return self._child is not None

    def can_answer(self) -> bool:
        """Whether there is a child, starting one if need be."""
        return self._child is not None or self._begin()

    def ask(self, said: Any) -> Any:
        """What the child answers to something that can be pickled.

        Raises:
            DecoderDiedError: If the child died of it.
        """
        try:
            return self._ask(said)
        except (OSError, EOFError) as error:
            raise DecoderDiedError(f"The decoder died (exit code {self._end()}).") from error
        except BaseException:
            self._end()  # stopped half way, its answer would be taken for that to the next question
            raise

    def _begin(self) -> bool:
        if not sys.executable:
            return False
        path = os.pathsep.join(p for p in sys.path if p)
        self._child = subprocess.Popen(
            [sys.executable, "-m", self._module],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if self._is_quiet else None,
            env={**os.environ, **self._environment, "PYTHONPATH": path}, start_new_session=True,
        )  # fmt: skip
        try:
            return bool(_receive(self._child.stdout) == _READY)
        except (OSError, EOFError):
            self._end()
            return False

    def _ask(self, said: Any) -> Any:
        if self._child is None or self._child.stdin is None:
            raise EOFError
        _send(self._child.stdin, said)
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


def answer_all(answer: Callable[[Any], Any]) -> None:
    """As the child: answer what comes, until nothing comes any more. What decoders print is no answer."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _send(answers, _READY)
    while True:
        try:
            said = _receive(sys.stdin.buffer)
        except EOFError:
            return
        _send(answers, answer(said))


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
