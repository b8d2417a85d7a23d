"""A set of pictures as an endless sequence of batches, the same for a seed however it is cut up or interrupted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from gantool.data.ahead import Ahead, Maker
from gantool.data.cache import free_memory
from gantool.data.decode import Pixels
from gantool.data.order import permutation
from gantool.data.pictures import cores
from gantool.data.set_options import SetOptions
from gantool.errors import UsageError
from gantool.family import DataShape

if TYPE_CHECKING:
    from gantool.data.labelled import LabelledPictures

_NAMED = 5  # unreadable pictures that are told of one by one
_MOST_THREADS = 16
_REFERENCES = ("builtin:", "hf:")  # of data that have no path


@dataclass(frozen=True, eq=False)
class Batch:
    """Pictures to train on.

    Attributes:
        images: (n, C, H, W) float32 in [-1, 1].
        labels: (n,) int64, below the number of classes; None without classes.
        given: (n, ...) what the generator is given beside noise and labels, such as a coarser picture; or None.
    """

    images: torch.Tensor
    labels: torch.Tensor | None
    given: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    def chunk(self, count: int) -> Iterator[Batch]:
        """`count` batches of equal size, of which `len` is a multiple."""
        size = len(self) // count
        for part in (slice(i * size, (i + 1) * size) for i in range(count)):
            labels, given = (None if rows is None else rows[part] for rows in (self.labels, self.given))
            yield Batch(self.images[part], labels, given)


class Batches(ABC):
    """Batches of a set of pictures, prepared in threads ahead of use.

    Number p of the sequence is picture p % N of the permutation of epoch p // N (`Order`): nothing is dropped, and a
    batch may reach into the next epoch. What chance does to a picture depends on the seed and on p alone. Each of
    `world` processes takes its consecutive part of every batch. A picture that cannot be read is replaced by the next
    one.

    Args:
        source: the pictures, and labels where there are any.
        options: size, batch (over all processes) and the rest. With `limit`, a fixed choice of the pictures is used
            that does not depend on the seed.
        seed: of order, flips and crops, at least 0.
        rank, world: which of how many processes this is, that share each batch.
        beside: how many processes share memory and cores; None: those.
        say: takes sentences for people, in the thread that calls `next`.

    Attributes:
        shape: size, channels and classes.
        classes: their names, by label; empty if labels are not there or not wanted.
        noun: what one of the set is called.

    Raises:
        UsageError: the batch cannot be shared equally.
        DataError: no picture can be read.
    """

    shape: DataShape
    classes: tuple[str, ...] = ()
    noun = "picture"

    def __init__(
        self,
        source: LabelledPictures,
        options: SetOptions,
        *,
        seed: int,
        rank: int = 0,
        world: int = 1,
        beside: int | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        if not 0 <= rank < world:
            raise ValueError(f"rank {rank} of {world}")
        beside = beside or world
        if options.batch % world:
            raise UsageError(
                f"A batch of {options.batch} cannot be shared equally by {world} devices.",
                f"Choose --batch as a multiple of {world}, or fewer --devices.",
            )
        self.source, self.seed, self.rank, self.world, self.say = source, seed, rank, world, say
        self.batch = options.batch
        self.chosen = _choose(len(source.pictures), options.limit)
        memory = (free_memory() / 4 if options.cache is None else options.cache * 2**30) / beside
        threads = options.workers or min(_MOST_THREADS, max(1, cores() // beside))
        self._ahead = Ahead(
            self.maker(memory), len(self.chosen), seed=seed, batch=options.batch, rank=rank, world=world,
            threads=threads,
        )  # fmt: skip
        self._position = self._told = 0

    @abstractmethod
    def maker(self, memory: float) -> Maker:
        """What makes the batches, with so many bytes for decoded pictures; `shape` is known from then on."""

    @property
    @abstractmethod
    def cached(self) -> bool:
        """Whether all decoded pictures fit into the memory allowed."""

    @property
    @abstractmethod
    def skipped(self) -> list[tuple[str, str]]:
        """Names and reasons of the pictures that could not be read so far, and that others stand for."""

    @abstractmethod
    def pictures(self, indices: NDArray[np.int64]) -> Pixels:
        """Pictures `indices` of the set as they are trained on, unmirrored, middle crops: (n, H, W, 3) uint8."""

    @property
    @abstractmethod
    def notes(self) -> list[str]:
        """What is done with the pictures, as short sentences."""

    def __len__(self) -> int:
        """How many pictures an epoch has, those included that cannot be read."""
        return len(self.chosen)

    @cached_property
    def name(self) -> str:
        """For a run: the name of the folder, or of the file without its extension."""
        if self._path.startswith(_REFERENCES):
            return self._path.split(":")[1].rpartition("/")[2]
        path = Path(self._path)
        return path.name if path.is_dir() else path.stem

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
        self._position = position

    def next(self, device: torch.device = torch.device("cpu")) -> Batch:
        """This process's part of the next batch, on `device`; the batches after it are being prepared meanwhile.

        Raises:
            DataError: not one picture can be read any more.
        """
        found = self._ahead.get(self._position, pin=device.type == "cuda")
        self._position += self.batch
        self._tell()
        arrays = {name: array.to(device, non_blocking=True) for name, array in found.arrays.items()}
        labels, given = arrays.get("labels"), arrays.get("given")
        return Batch(_unit(arrays["images"]), labels, None if given is None else _unit(given))

    def _tell(self) -> None:
        """Say which pictures could not be read, each once, and only the first few by name."""
        for name, why in self.skipped[self._told :]:
            self._told += 1
            if self._told <= _NAMED:
                self.say(f"{name} cannot be read ({why}); the next {self.noun} takes its place.")
            elif self._told == _NAMED + 1:
                self.say(f"More {self.noun}s cannot be read; they are replaced, too, and counted at the end.")

    def spread(self, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
        """Indices of at most `count` pictures spread evenly over the set, and their labels where there are any.

        Labels are given here even if they are not trained on.
        """
        indices = np.unique(np.linspace(0, len(self) - 1, min(count, len(self))).astype(np.int64))
        labels = self.source.labels
        return indices, None if labels is None else labels[self.chosen[indices]]

    def close(self) -> None:
        """End the threads; no batches come after it."""
        if not self._ahead.close():
            return
        self._tell()
        if (bad := len(self.skipped)) > _NAMED:
            self.say(f"{bad} of {len(self)} {self.noun}s could not be read, and others stood in for them.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @cached_property
    def _path(self) -> str:
        label = self.source.pictures.label
        return label if label.startswith(_REFERENCES) else str(Path(label).resolve())

    @property
    def counts(self) -> list[int]:
        """How many pictures each class has, where classes are trained on."""
        return []

    def digest(self) -> str:
        """Of what identifies the data; see `LabelledPictures.digest`."""
        return self.source.digest()

    def describe(self) -> dict[str, Any]:
        """What run.json keeps of the input."""
        return {
            "kind": "set",
            "path": self._path,
            "source": self.source.kind,
            "sha256": self.digest(),
            "pictures": len(self),
            "classes": list(self.classes),
            "counts": self.counts,
            "width": self.shape.width,
            "height": self.shape.height,
            "channels": self.shape.channels,
            "notes": self.notes,
        }

    def says(self) -> str:
        """For people: where the pictures come from, how many there are, and what is done with them."""
        classes = f", {len(self.classes)} classes" if self.classes else ""
        size = f"{self.shape.width} × {self.shape.height} px"
        count = f"{len(self)} {self.noun}{'' if len(self) == 1 else 's'}"
        return f"{self.source.pictures.label} ({count}{classes}, {size}; {'; '.join(self.notes)})"

    def used(self) -> list[str]:
        """What is remarked on of the source, and whether all of it is used, as short sentences."""
        total = len(self.source.pictures)
        return [*self.source.remarks, *([f"{len(self)} of {total} {self.noun}s are used"] if len(self) < total else [])]


def _choose(total: int, limit: int | None) -> NDArray[np.int64]:
    """Indices of the pictures that are used: all, or a fixed choice spread over the set, and so over its classes."""
    if limit is None or limit >= total:
        return np.arange(total, dtype=np.int64)
    return np.sort(permutation(0, 0, total)[:limit])


def _unit(pixels: torch.Tensor) -> torch.Tensor:
    """Whole samples as float32 in [-1, 1]: bytes travel to a device, a quarter of the floats."""
    return pixels.float().div_(torch.iinfo(pixels.dtype).max).sub_(0.5).mul_(2)
