"""From pictures to results: threads read ahead and write, while one runs the network."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections import Counter, deque
from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from gantool.data.cache import free_memory
from gantool.data.decode import silence_pillow
from gantool.data.faithful import Extras, Faithful
from gantool.data.faithful_write import Form, encode
from gantool.engine.devices import enough_memory
from gantool.errors import DataError, GantoolError, MemoryShort, RunError
from gantool.files import atomic_write, write_error
from gantool.tasks.picture_journal import Journal, Made
from gantool.tasks.picture_levels import Levels, Tick
from gantool.tasks.picture_names import Item, Plan

AHEAD_BYTES = 1 << 28  # of decoded pictures that wait, unless one alone is larger
LASTING = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # where writing other files will fail, too


class Watch(Protocol):
    """Told how far it is.

    Attributes:
        piece: what pictures are done by: "tile", "frame".
    """

    piece: str

    def begin(self, item: Item, number: int, total: int) -> None:
        """Picture `number` (from 1) of `total` is begun."""

    def tile(self, done: int, total: int) -> None:
        """Of the picture under way, so many pieces are done."""

    def end(self, item: Item, number: int, total: int) -> None:
        """The network is done with it, or it has failed."""


class Unwatched:
    """Nobody wants to know."""

    piece = "tile"

    def begin(self, item: Item, number: int, total: int) -> None:
        """Nothing."""

    def tile(self, done: int, total: int) -> None:
        """Nothing."""

    def end(self, item: Item, number: int, total: int) -> None:
        """Nothing."""


@dataclass
class Outcome:
    """What became of the pictures.

    Attributes:
        plan: the pictures and their results.
        made: those that were made now.
        skipped: those whose results were there already, from the same picture and the same model.
        failed: those that could not be made, and why.
        left: those that were not begun because a stop was asked for.
        page: the page that compares, if one was asked for.
    """

    plan: Plan
    made: list[Item] = field(default_factory=list)
    skipped: list[Item] = field(default_factory=list)
    failed: list[tuple[Item, GantoolError]] = field(default_factory=list)
    left: list[Item] = field(default_factory=list)
    page: Path | None = None

    @property
    def there(self) -> list[Item]:
        """Those whose results are there, in the order of the plan."""
        there = {id(item) for item in (*self.made, *self.skipped)}
        return [item for item in self.plan.items if id(item) in there]

    @property
    def files(self) -> list[Path]:
        """The results that are there, in the order of the pictures."""
        return [item.result for item in self.there]


class Work(Protocol):
    """What is done to pictures."""

    @property
    def at_once(self) -> int:
        """How many, at most, are made together, if their `kind` is the same."""
        ...

    @property
    def smaller(self) -> str:
        """What to do where the memory does not suffice, one sentence."""
        ...

    def told(self, item: Item) -> Mapping[str, Any]:
        """What the journal says was done to it."""
        ...

    def read(self, item: Item) -> Faithful:
        """In a thread: the picture, if a result can be made of it. Raises DataError where not."""
        ...

    def kind(self, picture: Faithful) -> Hashable:
        """What must be the same of pictures that are made together."""
        ...

    def make(self, items: Sequence[Item], pictures: Sequence[Faithful], tick: Tick) -> Sequence[Levels]:
        """What the network makes of each picture. Raises MemoryShort, RunError."""
        ...

    def finish(self, picture: Faithful, result: Levels) -> tuple[Levels, Extras]:
        """In a thread: the pixels of a result and what else its file says, of what `make` gave."""
        ...

    def form(self, item: Item) -> Form:
        """How its result is stored."""
        ...


@dataclass(frozen=True)
class Job:
    """What is done to each picture, and how it is written."""

    work: Work
    overwrite: bool
    workers: int
    journal: Journal | None

    def made_of(self, item: Item, root: Path) -> Made:
        """What will be written down of its result, but for the result's size."""
        found = item.source.stat()
        name = os.path.relpath(item.result, root).replace(os.sep, "/")
        return Made(name, self.work.told(item), found.st_size, found.st_mtime_ns)


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
    outcome: Outcome
    say: Callable[[str], None]
    watch: Watch
    stop: Callable[[], bool]
    notes: Counter[str] = field(default_factory=Counter)

    def run(self, todo: Sequence[Item]) -> None:
        """Make the results of the pictures `todo`, in order."""
        total = len(self.outcome.plan.items)
        number = total - len(todo)
        writing: Writing = deque()
        silence_pillow()
        pool = ThreadPoolExecutor(self.job.workers, thread_name_prefix="picture")
        try:
            with contextlib.closing(self._groups(self._read(pool, todo))) as groups:
                for group in groups:
                    if self.stop():
                        break
                    self.watch.begin(group[0].item, number + 1, total)
                    try:
                        self._make(pool, group, writing)
                    except (DataError, MemoryShort) as error:
                        for loaded in group:
                            self._fail(loaded.item, error)
                    number += len(group)
                    self.watch.end(group[-1].item, number, total)
                    group.clear()
                    self._collect(writing)
                self._collect(writing, everything=True)
        finally:
            pool.shutdown(cancel_futures=True)
        done = {id(item) for item in (*self.outcome.made, *self.outcome.skipped)}
        done |= {id(item) for item, _ in self.outcome.failed}
        self.outcome.left = [item for item in self.outcome.plan.items if id(item) not in done]
        for note, count in self.notes.most_common() if self.outcome.plan.folder is not None else ():
            self.say(f"{count} of {len(self.outcome.made)} pictures: {note}.")

    def _groups(self, pictures: Generator[Loaded]) -> Generator[list[Loaded]]:
        """Neighbours that are made together; one that cannot be read stands alone."""
        group: list[Loaded] = []
        with contextlib.closing(pictures):
            for loaded in pictures:
                if group and not self._alike(group[0], loaded):
                    yield group
                    group = []
                group.append(loaded)
                if len(group) >= self.job.work.at_once or isinstance(loaded.picture, GantoolError):
                    yield group
                    group = []
                del loaded
        if group:
            yield group

    def _alike(self, one: Loaded, other: Loaded) -> bool:
        if not (isinstance(one.picture, Faithful) and isinstance(other.picture, Faithful)):
            return False
        return self.job.work.kind(one.picture) == self.job.work.kind(other.picture)

    def _make(self, pool: ThreadPoolExecutor, group: list[Loaded], writing: Writing) -> None:
        """Make the results of pictures of one kind, and have them written."""
        pictures = []
        for loaded in group:
            if isinstance(loaded.picture, GantoolError):
                raise loaded.picture
            pictures.append(loaded.picture)
        work = self.job.work
        with enough_memory(work.smaller):
            results = work.make([loaded.item for loaded in group], pictures, self.watch.tile)
        for loaded, picture, pixels in zip(group, pictures, results, strict=True):
            self._note(picture.notes)
            task = pool.submit(self._write, loaded.made, loaded.item, picture, pixels)
            writing.append((loaded.item, pixels.nbytes, task))

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
                ahead = max(1, min(max(self.job.workers, self.job.work.at_once), AHEAD_BYTES // largest))
            yield loaded

    def _load(self, item: Item) -> Loaded:
        """In a thread: read one picture; what it was made of is looked at before."""
        made = None
        with contextlib.suppress(OSError):  # reading says more
            made = self.job.made_of(item, self.outcome.plan.root)
        try:
            return Loaded(item, made, self.job.work.read(item))
        except DataError as error:
            return Loaded(item, made, DataError(error.what, error.hint))  # a traceback would keep the file's bytes

    def _write(self, made: Made | None, item: Item, picture: Faithful, result: Levels) -> list[str]:
        """In a thread: encode and write one result; what could not be kept."""
        job = self.job
        with enough_memory(job.work.smaller):
            pixels, extras = job.work.finish(picture, result)
            data, notes = encode(pixels, extras, job.work.form(item), item.name)
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
            many = len(writing) > max(self.job.workers, self.job.work.at_once)
            many = many or sum(size for _, size, _ in writing) > room
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
            self.outcome.made.append(item)

    def _fail(self, item: Item, error: GantoolError) -> None:
        if self.outcome.plan.folder is None:
            raise error
        self.outcome.failed.append((item, error))
        self.say(f"{item.name} is left out: {error}")

    def _note(self, notes: Sequence[str]) -> None:
        alone = self.outcome.plan.folder is None
        for note in notes:
            if alone and not self.notes[note]:
                self.say(f"{note[0].upper()}{note[1:]}.")
            self.notes["first frame used" if not alone and note.startswith("first of ") else note] += 1
