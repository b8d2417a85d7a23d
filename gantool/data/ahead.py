"""Threads that prepare what is needed next."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue

_Job = tuple["Future[None]", Callable[[], None]]


class Workers:
    """Threads that do jobs in the order in which they came.

    Unlike those of a ThreadPoolExecutor they are no reason for Python not to end: at the interpreter's exit, what is
    still waiting is dropped. They begin with the first job.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def submit(self, job: Callable[[], None]) -> Future[None]:
        """Queue `job`; what it raises is raised by the future's `result()`."""
        if not self._threads:
            # They know the queue only, not this object, so that it can go while they wait.
            self._threads = [
                threading.Thread(target=_work, args=(self._jobs,), name=f"loader-{k}", daemon=True)
                for k in range(self.count)
            ]
            for thread in self._threads:
                thread.start()
        future: Future[None] = Future()
        self._jobs.put((future, job))
        return future

    def close(self, *, wait: bool = True) -> None:
        """End the threads after the jobs that are queued; cancel their futures before where those are not wanted."""
        threads, self._threads = self._threads, []
        for _ in threads:
            self._jobs.put(None)
        for thread in threads if wait else ():
            thread.join()


def _work(jobs: SimpleQueue[_Job | None]) -> None:
    while (found := jobs.get()) is not None:
        future, job = found
        if future.set_running_or_notify_cancel():
            try:
                job()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(None)
        del found, future, job  # a waiting thread keeps nothing alive
