"""A polite stop: Ctrl-C or a cluster's termination signal ends a run after the step under way."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

Around = Callable[[Iterable[Any], str], Iterable[Any]]


class Interrupt:
    """Whether someone asked the run to stop."""

    def __init__(self) -> None:
        self.asked = False


@contextmanager
def polite_interrupts() -> Iterator[Interrupt]:
    """Turn the first SIGINT or SIGTERM into a request; a second one stops at once as usual.

    Only the main thread may take signals; elsewhere the request simply never comes.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    earlier = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def take(number: int, frame: FrameType | None) -> None:
        interrupt.asked = True
        signal.signal(number, earlier[signal.Signals(number)])

    for number in earlier:
        signal.signal(number, take)
    try:
        yield interrupt
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def stoppable(around: Around, interrupt: Interrupt) -> Around:
    """Loops before the first step (decoding, frozen features) that a request ends between two items.

    There is no step under way that would have to come to its end, and what these loops have done is kept.

    Raises:
        KeyboardInterrupt: In the loop, once somebody has asked to stop.

    >>> asked = Interrupt()
    >>> loop = stoppable(lambda items, label: items, asked)
    >>> list(loop([1, 2], "Counting"))
    [1, 2]
    """

    def wrapped(items: Iterable[Any], label: str) -> Iterator[Any]:
        for item in around(items, label):
            if interrupt.asked:
                raise KeyboardInterrupt
            yield item

    return wrapped
