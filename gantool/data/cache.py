"""A set's pictures as small squares of bytes, decoded once where they fit into memory."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gantool.data.decode import Pixels
from gantool.data.squares import square
from gantool.errors import DataError

if TYPE_CHECKING:
    from gantool.data.labelled import LabelledPictures

T = TypeVar("T")

_FILES = ("file", "folder", "zip")  # what several threads may read at once
_UNKNOWN = -1


class Readable:
    """The pictures of a set, one by one; several threads may ask.

    A picture that cannot be read is replaced, for good, by the next one of the set that can, label and all.

    Args:
        source: where the pictures are.
        chosen: their indices in `source`, (N,) int64; the indices below count these.

    Attributes:
        skipped: names and reasons of the pictures that could not be read so far, in the order they were met.
    """

    def __init__(self, source: LabelledPictures, chosen: NDArray[np.int64]) -> None:
        self.source, self.chosen = source, chosen
        self.skipped: list[tuple[str, str]] = []
        self._bad: set[int] = set()
        self._hint = ""  # what helps against the first of them
        self._stands = np.full(len(chosen), _UNKNOWN, np.int64)  # the index whose pixels stand for each
        self._turn: AbstractContextManager[object] = nullcontext() if source.kind in _FILES else threading.Lock()
        self._changed = threading.Condition()

    def settle(self, index: int, read: Callable[[int], T | None]) -> T:
        """What `read` makes of picture `index`, or of the next of which it makes something.

        Raises:
            DataError: of none of the set.
        """
        first = index if self._stands[index] == _UNKNOWN else int(self._stands[index])
        for step in range(len(self.chosen)):
            other = (first + step) % len(self.chosen)
            found = read(other)
            if found is not None:
                self._stands[index] = other
                return found
        count, label = len(self.chosen), self.source.pictures.label
        (name, why), hint = self.skipped[0], self._hint
        if count == 1:
            raise DataError(f"The only picture in {label} cannot be used ({name}: {why}).", hint)
        raise DataError(f"None of the {count} pictures in {label} can be used ({name}: {why}).", hint)

    def pixels(self, index: int) -> Pixels | None:
        """(H, W, 3) uint8, decoded now, or None where the picture cannot be read."""
        if index in self._bad:
            return None
        number = int(self.chosen[index])
        try:
            with self._turn:
                return self.source.pictures.read(number).pixels
        except DataError as error:
            self.leave_out(index, reason(self.source.pictures.names[number], error), error.hint)
            return None

    def leave_out(self, index: int, why: str, hint: str) -> None:
        """From now on others stand for this picture."""
        with self._changed:
            if index not in self._bad:
                self._hint = self._hint or hint
                self._bad.add(index)
                self.skipped.append((self.source.pictures.names[int(self.chosen[index])], why))


class Remembered(Readable, Generic[T]):
    """What `make` gives for each picture, of which as much stays in memory as fits.

    Args:
        source, chosen: see `Readable`.
        memory: bytes that may hold it.

    Attributes:
        cached: whether all that was made is held.
    """

    def __init__(self, source: LabelledPictures, chosen: NDArray[np.int64], memory: float) -> None:
        super().__init__(source, chosen)
        self._kept: dict[int, T] = {}
        self._free = memory
        self.cached = True

    def make(self, index: int) -> tuple[T, int] | None:
        """What is made of picture `index` now, and the bytes that it takes; None where it cannot be used."""
        raise TypeError(f"{type(self).__name__} does not say what it makes")

    def holds(self, indices: NDArray[np.int64]) -> bool:
        """Whether all of these are in memory."""
        return all(int(index) in self._kept for index in indices)

    def get(self, index: int) -> T:
        """What stands for picture `index`. Raises DataError where no picture of the set can be used."""
        return self.settle(index, self._recalled)

    def _recalled(self, index: int) -> T | None:
        if index in self._kept:
            return self._kept[index]
        made = self.make(index)
        if made is None:
            return None
        found, size = made
        with self._changed:  # two threads may have read the same one: then it is kept once
            if index not in self._kept and size <= self._free:
                self._kept[index] = found
                self._free -= size
            self.cached = self.cached and index in self._kept
        return found


class Squares(Readable):
    """Pictures of equal size, read when they are first asked for.

    Args:
        source, chosen: see `Readable`.
        side: pixels.
        channels: 1 (luma of ITU-R 601) or 3.
        crop: how a picture becomes a square.
        memory: bytes that may hold decoded pictures. If not all fit, each is decoded whenever it is needed.

    Attributes:
        cached: whether all fit.
    """

    def __init__(
        self,
        source: LabelledPictures,
        chosen: NDArray[np.int64],
        *,
        side: int,
        channels: int,
        crop: Literal["centre", "squash"],
        memory: float,
    ) -> None:
        super().__init__(source, chosen)
        self.side, self.channels, self.crop = side, channels, crop
        self._busy = set[int]()
        self._kept: Pixels | None = None
        shape = (len(chosen), channels, side, side)
        if np.prod(shape, dtype=float) <= memory:
            with suppress(MemoryError):  # of a system that does not promise what it has not got
                self._kept = np.empty(shape, np.uint8)  # taken page by page, as it is written to

    @property
    def cached(self) -> bool:
        """Whether all pictures fit into memory."""
        return self._kept is not None

    def ready(self, indices: NDArray[np.int64]) -> bool:
        """Whether all of these are in memory."""
        return self.cached and bool((self._stands[indices] != _UNKNOWN).all())

    def take(self, indices: NDArray[np.int64], out: Pixels) -> NDArray[np.int64]:
        """Write the pictures `indices`, (n,), to `out`, (n, C, side, side); returns the indices that stand for them.

        Raises:
            DataError: not one picture of the set can be read.
        """
        if self._kept is None:
            for row, index in enumerate(indices):
                out[row] = self._settle(int(index))
            return self._stands[indices]
        for index in indices[self._stands[indices] == _UNKNOWN]:
            self._settle(int(index))
        stands = self._stands[indices]
        np.take(self._kept, stands, axis=0, out=out, mode="clip")  # "raise" would write to a copy first
        return stands

    def _settle(self, index: int) -> Pixels:
        """The pixels that stand for picture `index`: its own, or those of the next that can be read."""
        kept = self._kept
        return self.settle(index, self._read if kept is None else lambda other: self._keep(kept, other))

    def _keep(self, kept: Pixels, index: int) -> Pixels | None:
        """Read a picture into memory unless it is there; threads that want the same one wait for the first."""
        place: Pixels = kept[index]
        if self._stands[index] == index:
            return place
        with self._changed:
            self._changed.wait_for(lambda: index not in self._busy)
            if self._stands[index] == index:
                return place
            self._busy.add(index)
        try:
            pixels = self._read(index)
            if pixels is None:
                return None
            place[:] = pixels
            self._stands[index] = index
            return place
        finally:
            with self._changed:
                self._busy.discard(index)
                self._changed.notify_all()

    def _read(self, index: int) -> Pixels | None:
        """(C, side, side) uint8, decoded now, or None where the picture cannot be read."""
        found = self.pixels(index)
        if found is None:
            return None
        pixels = square(found, self.side, self.crop)
        return grey(pixels)[None] if self.channels == 1 else pixels.transpose(2, 0, 1)


def grey(pixels: Pixels) -> Pixels:
    """The luma of (H, W, 3) uint8 as (H, W) uint8: .299 R + .587 G + .114 B, rounded (ITU-R BT.601)."""
    return np.asarray(Image.fromarray(pixels).convert("L"))


def is_grey(pixels: Pixels) -> bool:
    """Whether the three channels of (H, W, 3) are equal."""
    return bool((pixels[..., :1] == pixels[..., 1:]).all())


def reason(name: str, error: DataError) -> str:
    """Why the picture `name` cannot be read, without its name and without a full stop."""
    _, named, rest = error.what.partition(f"{name} ")
    return (rest if named else error.what).removeprefix("is ").removesuffix(".")


def free_memory(group: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes that programs may still take, by /proc and by the limit of the control group where there is one."""
    free = 4 << 30
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        lines = Path("/proc/meminfo").read_text().splitlines()  # counts what the cache of files would give back
        free = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        pass
    try:
        limit, used = ((group / f"memory.{name}").read_text() for name in ("max", "current"))
        free = min(free, int(limit) - int(used))
    except (OSError, ValueError):
        pass
    return max(0, free)
