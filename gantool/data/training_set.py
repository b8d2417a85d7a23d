"""A set of pictures brought to equal squares, with their labels: what generators of pictures train on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from gantool.data.ahead import Into, Maker
from gantool.data.batches import Batches
from gantool.data.cache import Squares, is_grey, reason
from gantool.data.decode import Pixels
from gantool.data.order import FLIP, LEFT, TOP, uniform
from gantool.data.set_options import SquareOptions
from gantool.data.squares import MARGIN
from gantool.errors import DataError
from gantool.family import DataShape

if TYPE_CHECKING:
    from gantool.data.labelled import LabelledPictures

_LOOKED_AT = 64  # pictures that tell grey from colour


class TrainingSet(Batches):
    """Batches of a set of pictures, each brought to a square. See `Batches`.

    Args:
        options: also how a picture becomes a square, of how many channels, and whether labels are used.
    """

    def __init__(self, source: LabelledPictures, options: SquareOptions, **how: Any) -> None:
        self.options = options
        super().__init__(source, options, **how)

    def maker(self, memory: float) -> Maker:
        """See `Batches`. Raises DataError where there are no pictures, or none can be read."""
        source, options = self.source, self.options
        channels = 1 if _trains_grey(source, self.chosen, options) else 3
        self._labels = source.labels if options.labels == "auto" else None
        self.classes = () if self._labels is None else tuple(source.classes)
        self.shape = DataShape(options.size, options.size, channels, len(self.classes))
        self.flips = (channels == 3 and not source.digits) if options.flip is None else options.flip
        random = options.crop == "random"
        self._squares = Squares(
            source,
            self.chosen,
            side=round(options.size * MARGIN) if random else options.size,
            channels=channels,
            crop="squash" if options.crop == "squash" else "centre",
            memory=memory,
        )
        return _SquareMaker(self._squares, self._labels, size=options.size, flip=self.flips, seed=self.seed)

    @property
    def cached(self) -> bool:
        """See `Batches`."""
        return self._squares.cached

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """See `Batches`."""
        return list(self._squares.skipped)

    def pictures(self, indices: NDArray[np.int64]) -> Pixels:
        """See `Batches`."""
        squares, size = self._squares, self.options.size
        found = np.empty((len(indices), self.shape.channels, squares.side, squares.side), np.uint8)
        squares.take(indices, found)
        edge = (squares.side - size) // 2
        middle = found[:, :, edge : edge + size, edge : edge + size].transpose(0, 2, 3, 1)
        return np.ascontiguousarray(np.broadcast_to(middle, (*middle.shape[:3], 3)))

    @property
    def notes(self) -> list[str]:
        """See `Batches`."""
        options, notes = self.options, self.used()
        if self._labels is None and self.source.labels is not None:
            notes.append("the labels are not used")
        height, width = self.source.size or (0, 1)
        if 0 < min(height, width) < options.size:
            notes.append(f"pictures of {width} × {height} px are enlarged")
        crops = {"centre": "the middle square of each", "random": "random crops", "squash": "squeezed to squares"}
        notes.append("grey" if self.shape.channels == 1 else "colour")
        if height != width or options.crop == "random":
            notes.append(crops[options.crop])
        return [*notes, f"flips: {'on' if self.flips else 'off'}"]

    @property
    def counts(self) -> list[int]:
        """See `Batches`."""
        if self._labels is None:
            return []
        found = np.bincount(self._labels[self.chosen], minlength=len(self.classes))
        return [int(count) for count in found]


class _SquareMaker:
    """Squares as (C, size, size) and their labels.

    Args:
        squares: the pictures.
        labels: of those in the source of `squares`, or None.
        size: side of the pictures trained on; where those of `squares` are larger, random parts are cut out.
        flip: mirror half of the pictures.
        seed: of flips and places.
    """

    def __init__(self, squares: Squares, labels: NDArray[np.int64] | None, *, size: int, flip: bool, seed: int) -> None:
        self._squares, self._labels, self._size, self._flip, self._seed = squares, labels, size, flip, seed

    @property
    def arrays(self) -> Mapping[str, tuple[tuple[int, ...], torch.dtype]]:
        """See `Maker`."""
        found = {"images": ((self._squares.channels, self._size, self._size), torch.uint8)}
        return found if self._labels is None else {**found, "labels": ((), torch.int64)}

    def ready(self, indices: NDArray[np.int64]) -> bool:
        """See `Maker`."""
        return self._squares.ready(indices)

    def make(self, start: int, indices: NDArray[np.int64], into: Into) -> None:
        """See `Maker`."""
        images, size, count = into["images"], self._size, len(indices)
        flip, top, left = (uniform(self._seed, stream, start, count) for stream in (FLIP, TOP, LEFT))
        if self._squares.side == size:
            stands = self._squares.take(indices, images)
        else:
            whole = np.empty((*images.shape[:2], self._squares.side, self._squares.side), np.uint8)
            stands = self._squares.take(indices, whole)
            corners = (np.stack([top, left], 1) * (self._squares.side - size + 1)).astype(np.int64)
            for image, larger, (y, x) in zip(images, whole, corners, strict=True):
                image[:] = larger[:, y : y + size, x : x + size]
        if self._flip:
            mirrored = flip < 0.5
            images[mirrored] = images[mirrored, :, :, ::-1]
        if self._labels is not None:
            into["labels"][:] = self._labels[self._squares.chosen[stands]]


def _trains_grey(source: LabelledPictures, chosen: NDArray[np.int64], options: SquareOptions) -> bool:
    """Whether to train on one channel; to find out, looks at a sample of the pictures.

    Raises:
        DataError: there are none, or none of the sample can be read.
    """
    pictures = source.pictures
    if not len(chosen):
        raise DataError(f"{pictures.label} has no pictures.", "Name a folder, a zip or an array that has some.")
    known = {"grey": True, "rgb": False, "auto": source.grey}[options.colour]
    sample = chosen[np.unique(np.linspace(0, len(chosen) - 1, _LOOKED_AT).astype(np.int64))]
    bad: list[DataError] = []
    seems = True
    for index in sample:
        try:
            seems = is_grey(pictures.read(int(index)).pixels)
        except DataError as error:
            bad.append(error)
            continue
        if known is not None or not seems:
            break
    if len(bad) == len(sample):
        name = pictures.names[int(sample[0])]
        what = f"None of {len(sample)} pictures tried in {pictures.label} can be read ({name}: {reason(name, bad[0])})."
        raise DataError(what, bad[0].hint)
    return seems if known is None else known
