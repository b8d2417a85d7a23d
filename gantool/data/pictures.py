"""Sets of pictures: a file, a folder, a zip or an array read alike, decoded ahead, in a fixed order.

Evaluation reads a set once from its first picture to its last; memory does not grow with their number.
"""

from __future__ import annotations

import os
import re
import stat
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Protocol

from gantool.data.archives import ZipPictures, printable
from gantool.data.arrays import ArrayPictures, is_statistics
from gantool.data.decode import MAX_PIXELS, Colour, Pixels, decode_picture, is_jpeg, parse_colour, silence_pillow
from gantool.data.image import read_bytes
from gantool.data.listing import file_mode, picture_names
from gantool.data.pairing import pair_by_name
from gantool.errors import DataError

__all__ = ["Item", "PictureFiles", "Pictures", "Source", "is_statistics", "open_pictures", "pair_by_name"]

_NAMED = 5  # bad files and names without a partner that an error shows
_AHEAD_BYTES = 1 << 28  # of decoded pictures that wait, unless one alone is larger
_MOST_THREADS = 8
_VARIED = [(r"^first of \d+ frames used$", "first frame used"), (r"values from \S+ to \S+ spread", "values spread")]


@dataclass(frozen=True, eq=False)
class Item:
    """One picture of a set: its name and its `pixels`, (H, W, 3) uint8 RGB."""

    name: str
    pixels: Pixels = field(repr=False)


Loaded = tuple[Pixels, list[str], bool]  # (H, W, 3) uint8, what was done to it, whether it comes from JPEG


class Source(Protocol):
    """Where pictures come from. `parallel`: several threads may load at once, and one bad picture is only that."""

    kind: str
    parallel: bool
    names: Sequence[str]
    remarks: list[str]

    def load(self, index: int, colour: Colour) -> Loaded:
        """Picture `index` of `names`, on `colour` where it is transparent. Raises DataError where it cannot be read."""
        ...


class Pictures:
    """A set of pictures. Iterating decodes them ahead in threads and yields them in the order of `names`.

    Attributes:
        label: what to call the set in an output: the path as it was given.
        kind: "file", "folder", "zip" or "array"; of data to train on also "idx", "csv", "builtin" or "hf".
        names: one name for each picture, in natural order: paths relative to the folder or in the zip, "0", "1", ...
            in an array.
        skipped: names and reasons of what the last iteration left out (with `skip_bad`).
        sizes: how many pictures of which (height, width) were read since the last iteration began.
        jpeg: how many of them came from JPEG files.
    """

    def __init__(self, source: Source, path: Path, *, background: str, skip_bad: bool, threads: int | None) -> None:
        self.label = printable(str(path))
        self.kind = source.kind
        self.names = source.names
        self.skip_bad = skip_bad
        self._source = source
        self._path = path
        self._colour = parse_colour(background)
        self._threads = min(_MOST_THREADS, cores()) if threads is None else max(1, threads)
        self._reset()

    def _reset(self) -> None:
        self.skipped: list[tuple[str, str]] = []
        self.sizes: Counter[tuple[int, int]] = Counter()
        self.jpeg = 0
        self._done: Counter[str] = Counter()
        self._counted = bytearray(len(self))  # 1 for each picture that the counts hold

    def _take(self, index: int, loaded: Loaded) -> Item:
        """The picture as an item, counted unless it is already."""
        pixels, notes, jpeg = loaded
        if not self._counted[index]:
            self._counted[index] = 1
            self.sizes[pixels.shape[0], pixels.shape[1]] += 1
            self.jpeg += jpeg
            self._done.update(map(_general, notes))
        return Item(self.names[index], pixels)

    def __len__(self) -> int:
        """How many there are, bad ones included."""
        return len(self.names)

    @property
    def notes(self) -> list[str]:
        """What was done to how many pictures to reach 8-bit RGB, the most frequent first."""
        total = self.sizes.total()
        notes = [
            note if self.kind == "file" else f"{count} of {total} pictures: {note}"
            for note, count in self._done.most_common()
        ]
        return [*self._source.remarks, *notes]

    @property
    def changes(self) -> dict[str, int]:
        """What was done to reach 8-bit RGB, and to how many pictures, the most frequent first."""
        return dict(self._done.most_common())

    def read(self, index: int) -> Item:
        """Picture `index` of `names`, decoded now, and counted like those of an iteration.

        Raises:
            DataError: it cannot be read.
            IndexError: there is no such picture.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"{self.label} has {len(self)} pictures, not one at {index}")
        return self._take(index, self._source.load(index, self._colour))

    def __iter__(self) -> Iterator[Item]:
        """Every picture in order; a new iteration counts anew.

        At the first picture that cannot be read nothing more is yielded, and the others are only checked, so that
        one error names them all; with `skip_bad` they are left out and listed in `skipped`.

        Raises:
            DataError: pictures cannot be read (with `skip_bad`: none can).
        """
        self._reset()
        bad: list[tuple[str, DataError]] = []
        with closing(self._loaded(range(len(self)))) as loaded:
            for index, outcome in loaded:
                name = self.names[index]
                if isinstance(outcome, DataError):
                    bad.append((name, outcome))
                    if self.skip_bad:
                        reason = self._sentence(outcome).removeprefix(f"{name} ").removeprefix("is ")
                        self.skipped.append((name, reason))
                elif self.skip_bad or not bad:
                    yield self._take(index, outcome)
        if bad and (not self.skip_bad or len(bad) == len(self)):
            raise self._unreadable([error for _, error in bad])

    def each(self, indices: Iterable[int]) -> Iterator[tuple[int, Item | DataError]]:
        """The pictures `indices` in that order, counted anew; in place of one that cannot be read comes its error.

        Raises:
            DataError: the set as a whole cannot be read (an array is one file).
        """
        self._reset()
        with closing(self._loaded(indices)) as loaded:
            for index, outcome in loaded:
                yield index, outcome if isinstance(outcome, DataError) else self._take(index, outcome)

    def _loaded(self, indices: Iterable[int]) -> Generator[tuple[int, Loaded | DataError], None, None]:
        """Each index with what was loaded, in order; a bounded number of later ones is being loaded meanwhile."""
        if not self._source.parallel:
            yield from ((index, self._source.load(index, self._colour)) for index in indices)
            return
        silence_pillow()
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="decode")
        waiting: deque[tuple[int, Future[Loaded | DataError]]] = deque()
        todo = iter(indices)
        ahead = largest = 1  # one picture at first, until it is known how large they are
        try:
            while True:
                for index in islice(todo, max(0, ahead - len(waiting))):
                    waiting.append((index, pool.submit(self._try, index)))
                if not waiting:
                    return
                index, future = waiting.popleft()
                outcome = future.result()
                if not isinstance(outcome, DataError):
                    largest = max(largest, outcome[0].nbytes)
                    ahead = max(1, min(2 * self._threads, _AHEAD_BYTES // largest))
                yield index, outcome
        finally:
            pool.shutdown(cancel_futures=True)

    def _try(self, index: int) -> Loaded | DataError:
        try:
            return self._source.load(index, self._colour)
        except DataError as error:
            return DataError(error.what, error.hint)  # without the traceback, which keeps the file's bytes

    def _sentence(self, error: DataError) -> str:
        """What is wrong with one picture, named within the set."""
        return printable(error.what.replace(f"{self._path}{os.sep}", "", 1)).removesuffix(".")

    def _unreadable(self, errors: list[DataError]) -> DataError:
        if self.kind == "file":
            return errors[0]
        bad, total = len(errors), len(self)
        sentences = [self._sentence(error) for error in errors[:_NAMED]]
        if bad > _NAMED:
            sentences.append(f"and {bad - _NAMED} more")
        count = f"{bad} of {total} pictures in {self.label} cannot"
        hint = "Remove or replace them, or leave them out with --skip-bad (in Python: skip_bad=True)."
        if bad == total:
            count = f"None of the {total} pictures in {self.label} can"
            hint = errors[0].hint
        return DataError(f"{count} be read: {'; '.join(sentences)}.", hint)


class PictureFiles:
    """A folder's picture files, or one file: `files`, in `folder`; "/" parts the names of sub-folders."""

    parallel = True

    def __init__(self, path: Path, *, recursive: bool) -> None:
        self.folder = path
        self.kind = "folder" if stat.S_ISDIR(file_mode(path)) else "file"
        if self.kind == "folder":
            self.files = picture_names(path, recursive=recursive)
        else:
            self.folder, self.files = path.parent, [path.name]
        self.names: Sequence[str] = [printable(name) for name in self.files]
        self.remarks: list[str] = []

    def data(self, index: int, most: int | None = None) -> tuple[Path, bytes]:
        """The path of picture `index` of `names` and its bytes, or the first `most` of them. See `read_bytes`."""
        path = self.folder / self.files[index]
        return path, read_bytes(path, most)

    def mark(self, index: int) -> bytes:
        """What tells picture `index` from others, for a digest: its name and its size in bytes."""
        name = self.files[index]
        try:
            size = os.stat(f"{self.folder}/{name}").st_size
        except OSError:  # a link that leads nowhere: one more picture that cannot be read
            size = -1
        return f"{name}\n{size}\n".encode(errors="surrogateescape")

    def load(self, index: int, colour: Colour) -> Loaded:
        """See `Source`."""
        path, data = self.data(index)
        pixels, notes = decode_picture(path, data, colour=colour, max_pixels=MAX_PIXELS, min_side=1)
        return pixels, notes, is_jpeg(data)


def open_pictures(
    path: str | Path,
    *,
    background: str = "white",
    skip_bad: bool = False,
    recursive: bool = True,
    threads: int | None = None,
) -> Pictures:
    """The pictures of a file, a folder, a zip (`.zip`) or an array of uint8 (`.npy`, `.npz`: see `ArrayPictures`).

    Args:
        path: what to read.
        background: the colour under transparent pixels: "white", "black" or "#rrggbb".
        skip_bad: leave out pictures that cannot be read.
        recursive: read the sub-folders of a folder, too.
        threads: that decode, at least 1; None takes the cores at hand, at most 8.

    Raises:
        ConfigError: `background` is not a colour.
        DataError: there is nothing of this name, it cannot be read, or has no pictures.
    """
    path = Path(path)
    source: Source
    if path.suffix.lower() in (".npy", ".npz") and not path.is_dir():
        source = ArrayPictures(path)
    elif path.suffix.lower() == ".zip" and not path.is_dir():
        source = ZipPictures(path)
    else:
        source = PictureFiles(path, recursive=recursive)
    return Pictures(source, path, background=background, skip_bad=skip_bad, threads=threads)


def _general(note: str) -> str:
    """A note without what differs from picture to picture, so that equal notes can be counted."""
    for pattern, words in _VARIED:
        note = re.sub(pattern, words, note)
    return note


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
