"""Batches of bytes, prepared by threads before they are needed."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from gantool.data.decode import silence_pillow
from gantool.data.order import Order

_AHEAD = 3  # batches being prepared while one is used
_JOB = 8  # pictures that a thread decodes in one go, at most
_LOOK = 0.3  # seconds after which an idle thread looks whether Python is ending

Indices = NDArray[np.int64]
Into = Mapping[str, NDArray[Any]]


class Maker(Protocol):
    """Makes the parts of batches; several threads may ask at once."""

    @property
    def arrays(self) -> Mapping[str, tuple[tuple[int, ...], torch.dtype]]:
        """What a picture becomes: the shape and type of each array, by its name."""
        ...

    def ready(self, indices: Indices) -> bool:
        """Whether all of these pictures are in memory, so that sharing out the work gains nothing."""
        ...

    def make(self, start: int, indices: Indices, into: Into) -> None:
        """Write pictures `indices`, the numbers `start` and on of the sequence, into the rows of `into`.

        Raises:
            DataError: not one picture can be read any more.
        """
        ...


@dataclass(frozen=True, eq=False)
class Prepared:
    """A process's part of a batch: `arrays`, with a row a picture, and the jobs that fill them."""

    position: int
    arrays: dict[str, torch.Tensor]
    jobs: list[Future[None]]


class Ahead:
    """The part of each batch that process `rank` of `world` trains on, by the batch's place in the sequence.

    Args:
        maker: of the pictures.
        length: how many there are.
        seed: of their order.
        batch: pictures over all processes; `world` divides it.
        rank, world: which of how many processes this is.
        threads: that prepare.
    """

    def __init__(
        self, maker: Maker, length: int, *, seed: int, batch: int, rank: int, world: int, threads: int
    ) -> None:
        self._maker, self._batch, self._count, self._rank = maker, batch, batch // world, rank
        silence_pillow()
        self._order = Order(seed, length)
        self._workers = Workers(threads)
        self._queue: deque[Prepared] = deque()
        self._end = weakref.finalize(self, _end, self._workers, self._queue)

    def get(self, position: int, *, pin: bool) -> Prepared:
        """The batch that begins at picture `position` of the sequence, ready; those that follow are begun.

        Args:
            position: at least 0.
            pin: in memory from which copies to a GPU need no waiting.

        Raises:
            DataError: not one picture can be read any more.
            ValueError: closed.
        """
        if not self._end.alive:
            raise ValueError("the training set is closed")
        if self._queue and self._queue[0].position != position:
            _cancel(self._queue)
        while len(self._queue) <= _AHEAD:
            self._queue.append(self._prepare(position + len(self._queue) * self._batch, pin))
        batch = self._queue[0]
        for job in batch.jobs:
            job.result()
        self._queue.popleft()  # only now: a wait that is interrupted loses nothing
        return batch

    def close(self) -> bool:
        """End the threads; whether they had not been ended before."""
        if not self._end.detach():
            return False
        _cancel(self._queue)
        self._workers.close()
        return True

    def _prepare(self, position: int, pin: bool) -> Prepared:
        """Begin a batch."""
        count = self._count
        start = position + self._rank * count
        indices = self._order.indices(start, count)
        arrays = {
            name: torch.empty(count, *shape, dtype=kind, pin_memory=pin)
            for name, (shape, kind) in self._maker.arrays.items()
        }
        batch = Prepared(position, arrays, [])
        at_once = count if self._maker.ready(indices) else min(_JOB, -(-count // self._workers.count))
        for low in range(0, count, at_once):
            part = slice(low, low + at_once)
            into = {name: array[part].numpy() for name, array in arrays.items()}
            batch.jobs.append(self._workers.submit(partial(self._maker.make, start + low, indices[part], into)))
        return batch


def _cancel(queue: deque[Prepared]) -> None:
    for batch in queue:
        for job in batch.jobs:
            job.cancel()
    queue.clear()


def _end(workers: Workers, queue: deque[Prepared]) -> None:
    """When nobody refers to the batches any more, or Python ends."""
    _cancel(queue)
    workers.close(wait=False)


_Queue = SimpleQueue[tuple["Future[None]", Callable[[], None]] | None]


class Workers:
    """Threads that do jobs in the order in which they came; they begin with the first.

    Unlike those of a ThreadPoolExecutor they drop what is waiting when Python ends. They are no daemons: where those
    are inside a library when the interpreter goes, it may abort the process.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._jobs: _Queue = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def submit(self, job: Callable[[], None]) -> Future[None]:
        """Queue `job`; what it raises is raised by the future's `result()`."""
        if not self._threads:
            # They know the queue only, not this object, so that it can go while they wait.
            self._threads = [
                threading.Thread(target=_work, args=(self._jobs,), name=f"loader-{k}", daemon=False)
                for k in range(self.count)
            ]
            for thread in self._threads:
                thread.start()
        future: Future[None] = Future()
        self._jobs.put((future, job))
        return future

    def close(self, *, wait: bool = True) -> None:
        """End the threads after what is queued and not cancelled."""
        threads, self._threads = self._threads, []
        for _ in threads:
            self._jobs.put(None)
        for thread in threads if wait else ():
            thread.join()


def _work(jobs: _Queue) -> None:
    main = threading.main_thread()
    while main.is_alive():  # when Python ends, that thread does, and the others are waited for
        try:
            found = jobs.get(timeout=_LOOK)
        except Empty:
            continue
        if found is None:
            return
        future, job = found
        if future.set_running_or_notify_cancel():
            try:
                job()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(None)
        del found, future, job  # a thread that waits keeps nothing alive
    with suppress(Empty):
        while (left := jobs.get_nowait()) is not None:
            left[0].cancel()
