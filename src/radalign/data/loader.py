"""Batches in time: the order of an epoch, this process's share, and threads that load ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from radalign.data.batches import StudyBatch
from radalign.data.dataset import Chance, StudyDataset
from radalign.data.order import epoch_batches, share_of

Item = TypeVar("Item")
Result = TypeVar("Result")


class StudyLoader:
    """Gives a data set as batches; what a batch holds depends on seed, epoch and place alone.

    Args:
        dataset: The usable studies.
        batch_size: Studies per batch and process.
        seed: The run's seed.
        rank: This process's number.
        world: Number of processes.
        workers: Threads that load ahead; 0 = load when asked.
        group_by_length: Batches of reports of similar length.
    """

    def __init__(
        self,
        dataset: StudyDataset,
        batch_size: int,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        workers: int = 0,
        group_by_length: bool = False,
    ) -> None:
        self.dataset, self.batch_size, self.seed = dataset, batch_size, seed
        self.rank, self.world, self.workers = rank, world, workers
        self._lengths = dataset.lengths() if group_by_length else None

    def __len__(self) -> int:
        """Batches per epoch; the studies that do not fill one come in another epoch."""
        return max(1, len(self.dataset) // (self.batch_size * self.world))

    def epoch(self, epoch: int, start: int = 0) -> Iterator[StudyBatch]:
        """The training batches of an epoch, shuffled and varied.

        Args:
            epoch: Counted from 0.
            start: First batch wanted; a resumed run goes on in the middle.
        """
        batches = epoch_batches(
            len(self.dataset), self.batch_size * self.world, self.seed, epoch, self._lengths
        )
        chance = Chance(self.seed, epoch)

        def load(whole: list[int]) -> StudyBatch:
            own = share_of(whole, self.rank, self.world)
            return self.dataset.batch(own, chance, whole[: len(own) * self.world])

        return ahead(load, batches[start:], self.workers)

    def in_order(self) -> Iterator[StudyBatch]:
        """Every study once, unchanged, in the data set's order; the last batch may be smaller."""
        size = self.batch_size
        parts = [range(i, min(i + size, len(self.dataset))) for i in range(0, len(self.dataset), size)]
        return ahead(self.dataset.batch, parts, self.workers)


def ahead(load: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """Results of `load` in order, computed by threads up to two per worker ahead of who asks.

    Args:
        load: What makes a result of an item.
        items: The items.
        workers: Threads; 0 = none, each result is computed when asked for.

    >>> list(ahead(lambda x: x * x, [1, 2, 3], workers=2))
    [1, 4, 9]
    """
    if not workers:
        yield from map(load, items)
        return
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="load")
    try:
        for item in items:
            waiting.append(pool.submit(load, item))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
