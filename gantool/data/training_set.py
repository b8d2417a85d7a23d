"""A set of pictures as an endless sequence of batches, the same for a seed however it is cut up or interrupted."""

from __future__ import annotations

import os
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from gantool.data.ahead import Workers
from gantool.data.cache import Squares, free_memory, is_grey, reason
from gantool.data.decode import Pixels
from gantool.data.order import FLIP, LEFT, TOP, Order, permutation, uniform
from gantool.data.set_options import SetOptions
from gantool.data.squares import MARGIN
from gantool.errors import DataError, UsageError
from gantool.family import DataShape

if TYPE_CHECKING:
    from gantool.data.labelled import LabelledPictures

_AHEAD = 3  # batches being prepared while one is used
_JOB = 32  # pictures that a thread decodes in one go, at most
_LOOKED_AT = 64  # pictures that tell grey from colour
_NAMED = 5  # unreadable pictures that are told of one by one
_MOST_THREADS = 16


@dataclass(frozen=True, eq=False)
class Batch:
    """Pictures to train on.

    Attributes:
        images: (n, C, H, W) float32 in [-1, 1].
        labels: (n,) int64, below the number of classes; None without classes.
    """

    images: torch.Tensor
    labels: torch.Tensor | None


class TrainingSet:
    """Batches of a set of pictures, decoded in threads ahead of use.

    Number p of the sequence is picture p % N of the permutation of epoch p // N (`Order`): nothing is dropped, and a
    batch may reach into the next epoch. Flips and places of crops depend on the seed and on p alone. Each of `world`
    processes takes its consecutive part of every batch. A picture that cannot be read is replaced by the next one.

    Args:
        source: the pictures, and labels where there are any.
        options: size, batch (over all processes) and the rest. With `limit`, a fixed choice of the pictures is used
            that does not depend on the seed.
        seed: of order, flips and crops, at least 0.
        rank, world: which of how many processes this is.
        say: takes sentences for people, in the thread that calls `next`.

    Attributes:
        shape: size, channels and classes.
        classes: their names, by label; empty if labels are not there or not wanted.
        cached: whether all decoded pictures fit into the memory allowed.

    Raises:
        UsageError: the batch cannot be shared equally.
        DataError: no picture can be read.
    """

    def __init__(
        self,
        source: LabelledPictures,
        options: SetOptions,
        *,
        seed: int,
        rank: int = 0,
        world: int = 1,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        if not 0 <= rank < world:
            raise ValueError(f"rank {rank} of {world}")
        if options.batch % world:
            raise UsageError(
                f"A batch of {options.batch} cannot be shared equally by {world} devices.",
                f"Choose --batch as a multiple of {world}, or fewer --devices.",
            )
        self.source, self.options, self.seed, self.rank, self.world, self.say = source, options, seed, rank, world, say
        chosen = _choose(len(source.pictures), options.limit)
        channels = 1 if _trains_grey(source, chosen, options) else 3
        self._labels = source.labels if options.labels == "auto" else None
        self.classes: tuple[str, ...] = () if self._labels is None else tuple(source.classes)
        self.shape = DataShape(options.size, options.size, channels, len(self.classes))
        self.flips = (channels == 3 and not source.digits) if options.flip is None else options.flip
        budget = free_memory() / 4 if options.cache is None else options.cache * 2**30
        random = options.crop == "random"
        self._squares = Squares(
            source,
            chosen,
            side=round(options.size * MARGIN) if random else options.size,
            channels=channels,
            crop="squash" if options.crop == "squash" else "centre",
            memory=budget / world,
        )
        self._order = Order(seed, len(chosen))
        self._workers = Workers(options.workers or min(_MOST_THREADS, max(1, _cores() // world)))
        self._ahead: deque[_Prepared] = deque()
        self._position = self._said = 0
        self._pin = False
        self._end = weakref.finalize(self, _end, self._workers, self._ahead)

    def __len__(self) -> int:
        """How many pictures an epoch has, those included that cannot be read."""
        return len(self._squares.chosen)

    @cached_property
    def name(self) -> str:
        """For a run: the name of the folder, or of the file without its extension."""
        label = self.source.pictures.label
        if label == self._path:  # a reference such as builtin:digits
            return label.rpartition(":")[2]
        path = Path(self._path)
        return path.name if path.is_dir() else path.stem

    @property
    def cached(self) -> bool:
        """Whether all decoded pictures fit into the memory allowed."""
        return self._squares.cached

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """Names and reasons of the pictures that could not be read so far, and that others stand for."""
        return list(self._squares.skipped)

    @property
    def epoch(self) -> float:
        """How often the set has been gone through."""
        return self._position / len(self)

    @property
    def position(self) -> int:
        """Pictures drawn so far by all processes together. To set it is to go on from there."""
        return self._position

    @position.setter
    def position(self, position: int) -> None:
        if position < 0:
            raise ValueError(f"position {position}")
        if position != self._position:
            _cancel(self._ahead)
            self._position = position

    def next(self, device: torch.device = torch.device("cpu")) -> Batch:
        """This process's part of the next batch, on `device`; the batches after it are being prepared meanwhile.

        Raises:
            DataError: not one picture can be read any more.
        """
        if not self._end.alive:
            raise ValueError("the training set is closed")
        self._pin = device.type == "cuda"
        self._prepare(1)
        batch = self._ahead[0]
        self._prepare(_AHEAD)
        for job in batch.jobs:
            job.result()
        self._ahead.popleft()  # only now: an interrupted wait loses nothing
        self._position += self.options.batch
        self._prepare(_AHEAD)
        self._tell()
        images = batch.images.to(device, non_blocking=True).to(torch.float32)  # bytes travel, a quarter of the floats
        labels = None if batch.labels is None else batch.labels.to(device, non_blocking=True)
        return Batch(images.div_(255).sub_(0.5).mul_(2), labels)

    def _prepare(self, count: int) -> None:
        """Have at least `count` batches in the making."""
        while len(self._ahead) < count:
            place = self._ahead[-1].position + self.options.batch if self._ahead else self._position
            self._ahead.append(self._prepared(place))

    def _prepared(self, position: int) -> _Prepared:
        """A batch, whose tensors are filled by threads."""
        count, shape = self.options.batch // self.world, self.shape
        start = position + self.rank * count
        images = torch.empty(count, shape.channels, shape.height, shape.width, dtype=torch.uint8, pin_memory=self._pin)
        labels = None if self._labels is None else torch.empty(count, dtype=torch.int64, pin_memory=self._pin)
        indices = self._order.indices(start, count)
        margin = self._squares.side - self.options.size
        chance = {stream: uniform(self.seed, stream, start, count) for stream in (FLIP, TOP, LEFT)}
        tops, lefts = ((chance[stream] * (margin + 1)).astype(np.int64) for stream in (TOP, LEFT))
        mirrored = (chance[FLIP] < 0.5) & self.flips
        batch = _Prepared(position, images, labels, [])
        at_once = min(_JOB, -(-count // self._workers.count))
        for low in range(0, count, at_once):
            part = slice(low, low + at_once)
            job = partial(
                _fill, self._squares, indices[part], tops[part], lefts[part], mirrored[part], images[part].numpy(),
            )  # fmt: skip
            if labels is not None:
                job = partial(job, labels=labels[part].numpy(), labels_of=self._labels)
            batch.jobs.append(self._workers.submit(job))
        return batch

    def _tell(self) -> None:
        """Say which pictures could not be read, each once, and only the first few by name."""
        for name, why in self._squares.skipped[self._said :]:
            self._said += 1
            if self._said <= _NAMED:
                self.say(f"{name} cannot be read ({why}); the next picture takes its place.")
            elif self._said == _NAMED + 1:
                self.say("More pictures cannot be read; they are replaced, too, and counted at the end.")

    def pictures(self, indices: NDArray[np.int64]) -> Pixels:
        """Pictures `indices` of the set as they are trained on, unmirrored, middle crops: (n, H, W, 3) uint8."""
        squares, size = self._squares, self.options.size
        found = np.empty((len(indices), self.shape.channels, squares.side, squares.side), np.uint8)
        squares.take(indices, found)
        edge = (squares.side - size) // 2
        middle = found[:, :, edge : edge + size, edge : edge + size].transpose(0, 2, 3, 1)
        return np.ascontiguousarray(np.broadcast_to(middle, (*middle.shape[:3], 3)))

    def spread(self, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
        """Indices of at most `count` pictures spread evenly over the set, and their labels where there are any.

        Labels are given here even if they are not trained on.
        """
        indices = np.unique(np.linspace(0, len(self) - 1, min(count, len(self))).astype(np.int64))
        labels = self.source.labels
        return indices, None if labels is None else labels[self._squares.chosen[indices]]

    def close(self) -> None:
        """End the threads; no batches come after it."""
        if self._end.alive:
            self._end.detach()
            _cancel(self._ahead)
            self._workers.close()
            self._tell()
            if (bad := len(self._squares.skipped)) > _NAMED:
                self.say(f"{bad} of {len(self)} pictures could not be read, and others stood in for them.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @cached_property
    def _path(self) -> str:
        label = self.source.pictures.label
        return label if self.source.kind in ("builtin", "hf") else str(Path(label).resolve())

    @property
    def notes(self) -> list[str]:
        """What is done with the pictures, as short sentences."""
        options, total = self.options, len(self.source.pictures)
        notes = [*self.source.remarks]
        if len(self) < total:
            notes.append(f"{len(self)} of {total} pictures are used")
        if self._labels is None and self.source.labels is not None:
            notes.append("the labels are not used")
        if self.source.size is not None and min(self.source.size) < options.size:
            height, width = self.source.size
            notes.append(f"pictures of {width} × {height} px are enlarged")
        crops = {"centre": "the middle square of each", "random": "random crops", "squash": "squeezed to squares"}
        notes += ["grey" if self.shape.channels == 1 else "colour", crops[options.crop]]
        return [*notes, f"flips: {'on' if self.flips else 'off'}"]

    def describe(self) -> dict[str, Any]:
        """What run.json keeps of the input."""
        return {
            "kind": "set",
            "path": self._path,
            "source": self.source.kind,
            "sha256": self.source.digest(),
            "pictures": len(self),
            "classes": list(self.classes),
            "width": self.shape.width,
            "height": self.shape.height,
            "channels": self.shape.channels,
            "notes": self.notes,
        }

    def says(self) -> str:
        """For people: where the pictures come from, how many there are, and what is done with them."""
        classes = f", {len(self.classes)} classes" if self.classes else ""
        size = f"{self.shape.width} × {self.shape.height} px"
        return f"{self.source.pictures.label} ({len(self)} pictures{classes}, {size}; {'; '.join(self.notes)})"


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A batch in the making: bytes, and the jobs that fill them."""

    position: int
    images: torch.Tensor
    labels: torch.Tensor | None
    jobs: list[Future[None]]


def _fill(
    squares: Squares,
    indices: NDArray[np.int64],
    tops: NDArray[np.int64],
    lefts: NDArray[np.int64],
    mirrored: NDArray[np.bool_],
    images: Pixels,
    labels: NDArray[np.int64] | None = None,
    labels_of: NDArray[np.int64] | None = None,
) -> None:
    """Part of a batch: pictures to `images`, (n, C, H, W), and their labels to `labels`, (n,)."""
    size = images.shape[-1]
    if squares.side == size:
        stands = squares.take(indices, images)
    else:
        found = np.empty((*images.shape[:2], squares.side, squares.side), np.uint8)
        stands = squares.take(indices, found)
        for image, whole, top, left in zip(images, found, tops, lefts, strict=True):
            image[:] = whole[:, top : top + size, left : left + size]
    images[mirrored] = images[mirrored, :, :, ::-1]
    if labels is not None and labels_of is not None:
        labels[:] = labels_of[squares.chosen[stands]]


def _cancel(ahead: deque[_Prepared]) -> None:
    """Forget batches in the making."""
    for batch in ahead:
        for job in batch.jobs:
            job.cancel()
    ahead.clear()


def _end(workers: Workers, ahead: deque[_Prepared]) -> None:
    """When the set is no longer referred to, or Python ends."""
    _cancel(ahead)
    workers.close(wait=False)


def _choose(total: int, limit: int | None) -> NDArray[np.int64]:
    """Indices of the pictures that are used: all, or a fixed choice spread over the set, and so over its classes."""
    if limit is None or limit >= total:
        return np.arange(total, dtype=np.int64)
    return np.sort(permutation(0, 0, total)[:limit])


def _trains_grey(source: LabelledPictures, chosen: NDArray[np.int64], options: SetOptions) -> bool:
    """Whether to train on one channel; looks at a sample of the pictures.

    Raises:
        DataError: none of them can be read.
    """
    known = {"grey": True, "rgb": False, "auto": True if source.grey else None}[options.colour]
    sample = chosen[np.unique(np.linspace(0, len(chosen) - 1, _LOOKED_AT).astype(np.int64))]
    readable, first = False, None
    for index in sample:
        try:
            pixels = source.pictures.read(int(index)).pixels
        except DataError as error:
            first = first or error
            continue
        readable = True
        if known is not None or not is_grey(pixels):
            break
    else:
        known = True if known is None else known
    if not readable:
        label = source.pictures.label
        if first is None:
            raise DataError(f"{label} has no pictures.", "Name a folder, a zip or an array with some.")
        why = reason(source.pictures.names[int(sample[0])], first)
        raise DataError(f"None of {len(sample)} pictures tried in {label} can be read: the first is {why}.", first.hint)
    return bool(known)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
