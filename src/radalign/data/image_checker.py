"""Images looked at in child processes, so that a decoder that crashes costs one image and is told of.

paths ── portions ── a thread per child ── path ──> `python -m radalign.data.image_checker` ──> ImageCheck
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from radalign.data.first_bytes import UNREADABLE
from radalign.data.image_check import ImageCheck, check_image
from radalign.images.child import CRASHED, Child, DecoderDiedError, answer_all

Checked = list[tuple[str, ImageCheck]]


class ImageChecker(Child):
    """A child that looks at images.

    >>> with ImageChecker() as checker:
    ...     checker.is_running
    False
    """

    def __init__(self) -> None:
        super().__init__("radalign.data.image_checker")

    def check(self, path: str, root: Path, quality: bool = False) -> ImageCheck:
        """What `check_image` gives, or that the decoder crashed; here, if no child can be started."""
        if not self.can_answer():
            return check_image(path, root, quality)
        try:
            answer: ImageCheck = self.ask((path, root, quality))
        except DecoderDiedError:
            return ImageCheck((UNREADABLE, f"{path}: {CRASHED}."))
        return answer


class ImageCheckers:
    """Some children that look at portions of images at the same time.

    Args:
        count: How many; each is started when it is first needed.
        root: The folder that paths start from.
        quality: Whether images are measured for the quality filter.
    """

    def __init__(self, count: int, root: Path, quality: bool) -> None:
        self._count, self._root, self._quality = count, root, quality
        self._stop = threading.Event()
        self._idle: queue.SimpleQueue[ImageChecker] = queue.SimpleQueue()

    @contextmanager
    def checking(self, portions: Sequence[Sequence[str]]) -> Iterator[Iterator[Checked]]:
        """The portions' results in their order; the children end with the block."""
        with ExitStack() as stack:
            for _ in range(self._count):
                self._idle.put(stack.enter_context(ImageChecker()))
            threads = ThreadPoolExecutor(self._count, thread_name_prefix="check")
            # Threads end before their children: otherwise they would start them again.
            stack.callback(threads.shutdown, cancel_futures=True)
            stack.callback(self._stop.set)
            yield threads.map(self._check, portions)

    def _check(self, paths: Sequence[str]) -> Checked:
        checker = self._idle.get()
        try:
            left = (path for path in paths if not self._stop.is_set())
            return [(path, checker.check(path, self._root, self._quality)) for path in left]
        finally:
            self._idle.put(checker)


def _answer(said: tuple[str, Path, bool]) -> ImageCheck:
    return check_image(*said)


if __name__ == "__main__":
    answer_all(_answer)
