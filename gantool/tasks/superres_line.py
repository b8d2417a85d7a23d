"""From pictures to results: threads read ahead and write, while one runs the network."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from gantool.data.cache import free_memory
from gantool.data.decode import silence_pillow
from gantool.data.faithful import Extras, Faithful, load_faithful
from gantool.data.faithful_write import Form, encode
from gantool.engine.devices import enough_memory
from gantool.errors import DataError, GantoolError, MemoryShort, RunError
from gantool.family import Enlarges
from gantool.files import atomic_write, write_error
from gantool.tasks.superres_journal import Journal, Made
from gantool.tasks.superres_names import Item, Plan
from gantool.tasks.superres_picture import check_picture, enlarge_picture
from gantool.tasks.superres_tiles import Levels, Tiler

AHEAD_BYTES = 1 << 28  # of decoded pictures that wait, unless one alone is larger
SMALLER = "Use a smaller --scale, or close other programs."
LASTING = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # where writing other files will fail, too


class Watch(Protocol):
    """Told how far it is."""

    def begin(self, item: Item, number: int, total: int) -> None:
        """Picture `number` (from 1) of `total` is begun."""

    def tile(self, done: int, total: int) -> None:
        """Of the picture under way, so many tiles are done."""

    def end(self, item: Item, number: int, total: int) -> None:
        """The network is done with it, or it has failed."""


class Unwatched:
    """Nobody wants to know."""

    def begin(self, item: Item, number: int, total: int) -> None:
        """Nothing."""

    def tile(self, done: int, total: int) -> None:
        """Nothing."""

    def end(self, item: Item, number: int, total: int) -> None:
        """Nothing."""


@dataclass
class Enlarged:
    """What became of the pictures.

    Attributes:
        plan: the pictures and their results.
        model: what enlarged them.
        scale: how many times.
        made: those that were enlarged now.
        skipped: those whose results were there already, from the same picture and the same model.
        failed: those that could not be enlarged, and why.
        left: those that were not begun because a stop was asked for.
        page: the page that compares, if one was asked for.
    """

    plan: Plan
    model: Enlarges = field(repr=False)
    scale: float
    made: list[Item] = field(default_factory=list)
    skipped: list[Item] = field(default_factory=list)
    failed: list[tuple[Item, GantoolError]] = field(default_factory=list)
    left: list[Item] = field(default_factory=list)
    page: Path | None = None

    @property
    def files(self) -> list[Path]:
        """The results that are there, in the order of the pictures."""
        there = {id(item) for item in (*self.made, *self.skipped)}
        return [item.result for item in self.plan.items if id(item) in there]


@dataclass(frozen=True)
class Job:
    """What is done to each picture, and how it is written."""

    tiler: Tiler
    scale: float
    quality: int | None
    overwrite: bool
    workers: int
    model: str
    journal: Journal | None

    def made_of(self, item: Item, root: Path) -> Made:
        """What will be written down of its result, but for the result's size."""
        found = item.source.stat()
        name = os.path.relpath(item.result, root).replace(os.sep, "/")
        return Made(name, self.model, self.scale, self.quality, found.st_size, found.st_mtime_ns)


@dataclass
class Loaded:
    """A picture that was read, or why it cannot be; and what it is made from, where that can be seen."""

    item: Item
    made: Made | None
    picture: Faithful | GantoolError


Writing = deque[tuple[Item, int, Future[list[str]]]]  # of results that wait: what, its bytes, what was lost


@dataclass
class Line:
    """Threads read pictures ahead, this one runs the network, and threads write the results."""

    job: Job
    enlarged: Enlarged
    say: Callable[[str], None]
    watch: Watch
    stop: Callable[[], bool]
    notes: Counter[str] = field(default_factory=Counter)

    def run(self, todo: Sequence[Item]) -> None:
        """Enlarge the pictures `todo`, in order."""
        total = len(self.enlarged.plan.items)
        number = total - len(todo)
        writing: Writing = deque()
        silence_pillow()
        pool = ThreadPoolExecutor(self.job.workers, thread_name_prefix="picture")
        try:
            with contextlib.closing(self._read(pool, todo)) as pictures:
                for loaded in pictures:
                    if self.stop():
                        break
                    number += 1
                    self.watch.begin(loaded.item, number, total)
                    try:
                        self._one(pool, loaded, writing)
                    except (DataError, MemoryShort) as error:
                        self._fail(loaded.item, error)
                    self.watch.end(loaded.item, number, total)
                    del loaded
                    self._collect(writing)
                self._collect(writing, everything=True)
        finally:
            pool.shutdown(cancel_futures=True)
        done = {id(item) for item in (*self.enlarged.made, *self.enlarged.skipped)}
        done |= {id(item) for item, _ in self.enlarged.failed}
        self.enlarged.left = [item for item in self.enlarged.plan.items if id(item) not in done]
        for note, count in self.notes.most_common():
            self.say(f"{count} of {len(self.enlarged.made)} pictures: {note}.")

    def _one(self, pool: ThreadPoolExecutor, loaded: Loaded, writing: Writing) -> None:
        """Enlarge one picture, and have it written."""
        item, picture = loaded.item, loaded.picture
        if isinstance(picture, GantoolError):
            raise picture
        form = Form(item.kind, self.job.quality)
        check_picture(picture, self.job.scale, int(self.job.tiler.model.factor), form, item.name)
        with enough_memory(SMALLER):
            large = enlarge_picture(picture, self.job.tiler, self.job.scale, self.watch.tile)
        self._note(picture.notes)
        task = pool.submit(self._write, loaded.made, item, large, picture.extras, form)
        writing.append((item, large.nbytes, task))

    def _read(self, pool: ThreadPoolExecutor, todo: Sequence[Item]) -> Generator[Loaded]:
        """Each picture, or why it cannot be read, in order; a few later ones are being read meanwhile."""
        waiting: deque[Future[Loaded]] = deque()
        rest, ahead, largest = iter(todo), 1, 1
        while True:
            while len(waiting) < ahead and (item := next(rest, None)) is not None:
                waiting.append(pool.submit(self._load, item))
            if not waiting:
                return
            loaded = waiting.popleft().result()
            if isinstance(loaded.picture, Faithful):
                largest = max(largest, loaded.picture.pixels.nbytes)
                ahead = max(1, min(self.job.workers, AHEAD_BYTES // largest))
            yield loaded

    def _load(self, item: Item) -> Loaded:
        """In a thread: read one picture; what it was made of is looked at before."""
        made = None
        with contextlib.suppress(OSError):  # reading says more
            made = self.job.made_of(item, self.enlarged.plan.root)
        try:
            return Loaded(item, made, load_faithful(item.source))
        except DataError as error:
            return Loaded(item, made, DataError(error.what, error.hint))  # a traceback would keep the file's bytes

    def _write(self, made: Made | None, item: Item, pixels: Levels, extras: Extras, form: Form) -> list[str]:
        """In a thread: encode and write one result; what could not be kept."""
        job = self.job
        with enough_memory(SMALLER):
            data, notes = encode(pixels, extras, form, item.name)
        try:
            item.result.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(item.result, error) from error
        if job.journal is not None and made is not None:
            # Before the result: were it after, a result that a kill left without its line would be nobody's.
            sha256 = hashlib.sha256(data).hexdigest()
            job.journal.add(replace(made, result_bytes=len(data), result_sha256=sha256))
        atomic_write(item.result, data, overwrite=job.overwrite, sync=False)
        return notes

    def _collect(self, writing: Writing, everything: bool = False) -> None:
        """Take what is written; wait where too much waits for it."""
        room = free_memory() / 4
        while writing:
            item, _, future = writing[0]
            many = len(writing) > self.job.workers or sum(size for _, size, _ in writing) > room
            if not (future.done() or many or everything):
                return
            writing.popleft()
            try:
                self._note(future.result())
            except (DataError, RunError, MemoryShort) as error:
                if isinstance(error.__cause__, OSError) and error.__cause__.errno in LASTING:
                    raise  # nor can the others be written
                self._fail(item, error)
                continue
            self.enlarged.made.append(item)

    def _fail(self, item: Item, error: GantoolError) -> None:
        if self.enlarged.plan.folder is None:
            raise error
        self.enlarged.failed.append((item, error))
        self.say(f"{item.name} is left out: {error}")

    def _note(self, notes: Sequence[str]) -> None:
        for note in notes:
            if self.enlarged.plan.folder is None:
                self.say(f"{note[0].upper()}{note[1:]}.")
            else:
                self.notes["first frame used" if note.startswith("first of ") else note] += 1
