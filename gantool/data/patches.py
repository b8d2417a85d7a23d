"""Patches of pictures and the same patches small: what super-resolution trains on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gantool.data.ahead import Into, Maker
from gantool.data.batches import Batches
from gantool.data.cache import Remembered
from gantool.data.decode import Pixels
from gantool.data.degrade import Degradation
from gantool.data.labelled import LabelledPictures, open_labelled
from gantool.data.order import FLIP, LEFT, TOP, TURN, uniform
from gantool.data.pictures import Pictures
from gantool.data.set_options import PatchOptions
from gantool.data.small import pair_small
from gantool.errors import DataError
from gantool.family import DataShape

Pair = tuple[Pixels, Pixels | None]
ENLARGE = "Take larger pictures, or a smaller --size."


class PatchSet(Batches):
    """Batches of patches (`images`) and the same patches small (`given`). See `Batches`.

    A patch lies anywhere in its picture, aligned to the scale, and its small pixels are those of the whole small
    picture. Sides that the scale does not divide lose their last pixels. Pictures that are smaller than a patch are
    left out, as those are that cannot be read.

    Args:
        options: also how a picture becomes small.
    """

    def __init__(self, source: LabelledPictures, options: PatchOptions, **how: Any) -> None:
        self.options = options
        super().__init__(source, options, **how)

    def maker(self, memory: float) -> Maker:
        """See `Batches`. Raises DataError where there are no pictures, or no small ones for them."""
        source, options = self.source, self.options
        if not len(self.chosen):
            raise DataError(f"{source.pictures.label} has no pictures.", "Name a folder or a zip that has some.")
        self.shape = DataShape(options.size, options.size, 3)
        self._small = open_labelled(options.small) if options.small else None
        small = numbers = None
        if self._small is not None:
            small = self._small.pictures
            names = [source.pictures.names[int(number)] for number in self.chosen]
            numbers = pair_small(names, small, options.scale, source.pictures.label)
        self._wholes = Wholes(source, self.chosen, options, small, numbers, memory)
        self._wholes.get(0)  # if nothing can be used, that is said now
        return _PatchMaker(self._wholes, options, self.seed)

    def digest(self) -> str:
        """See `Batches`; the small pictures that are given count as well."""
        if self._small is None:
            return super().digest()
        return hashlib.sha256(f"{super().digest()} {self._small.digest()}".encode()).hexdigest()

    @property
    def cached(self) -> bool:
        """Whether all pictures read so far are held in memory."""
        return self._wholes.cached

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """See `Batches`."""
        return list(self._wholes.skipped)

    def pictures(self, indices: NDArray[np.int64]) -> Pixels:
        """The middle patch of each of these pictures, (n, size, size, 3) uint8."""
        return self.examples(indices)[0]

    def examples(self, indices: NDArray[np.int64]) -> tuple[Pixels, Pixels]:
        """The middle patch of each of these pictures, (n, size, size, 3) uint8, and it small. Nothing is random."""
        size, scale = self.options.size, self.options.scale
        degradation = Degradation(scale, self.options.kernel)
        large = np.empty((len(indices), size, size, 3), np.uint8)
        small = np.empty((len(indices), size // scale, size // scale, 3), np.uint8)
        for row, index in enumerate(indices):
            whole, below = self._wholes.get(int(index))
            corner = [(length // scale - size // scale) // 2 for length in whole.shape[:2]]
            large[row], small[row] = cut(whole, below, (corner[0], corner[1]), size, degradation, None)
        return large, small

    @property
    def notes(self) -> list[str]:
        """See `Batches`."""
        options, notes = self.options, self.used()
        if options.small:
            return [*notes, f"small ones from {options.small}"]
        made = f"made small by {options.kernel}, by {options.scale}"
        for name, most in (("blur", options.blur), ("noise", options.noise)):
            made += f", {name} up to {most:g}" if most else ""
        return [*notes, made]


class Wholes(Remembered[Pair]):
    """Whole pictures as they are, and their small ones where those are given.

    Args:
        source, chosen, memory: see `Remembered`.
        options: the scale, and the size of a patch, below which a picture cannot be used.
        small: the small pictures, if there are any.
        numbers: which of them belongs to each of `chosen`.
    """

    def __init__(
        self,
        source: LabelledPictures,
        chosen: NDArray[np.int64],
        options: PatchOptions,
        small: Pictures | None,
        numbers: NDArray[np.int64] | None,
        memory: float,
    ) -> None:
        super().__init__(source, chosen, memory)
        self._options, self._small, self._numbers = options, small, numbers

    def make(self, index: int) -> tuple[Pair, int] | None:
        """The picture, (H, W, 3) uint8 of sides that the scale divides, and it small, or None; see `Remembered`."""
        pixels = self.pixels(index)
        if pixels is None:
            return None
        scale, size = self._options.scale, self._options.size
        height, width = (length // scale * scale for length in pixels.shape[:2])
        if min(height, width) < size:
            shape = f"{pixels.shape[1]}x{pixels.shape[0]}"
            self.leave_out(index, f"{shape} pixels, less than a patch of {size}x{size}; see --size", ENLARGE)
            return None
        below = self._below(index, (height // scale, width // scale)) if self._small is not None else None
        if self._small is not None and below is None:
            return None
        return (pixels[:height, :width], below), pixels.nbytes + (0 if below is None else below.nbytes)

    def _below(self, index: int, size: tuple[int, int]) -> Pixels | None:
        """The small picture that belongs to this one, of `size` (height, width), or None where it cannot be used."""
        assert self._small is not None
        assert self._numbers is not None
        try:
            pixels = self._small.read(int(self._numbers[index])).pixels
        except DataError as error:
            self.leave_out(index, f"its small picture: {error.what.removesuffix('.')}", error.hint)
            return None
        extra = [found - wanted for found, wanted in zip(pixels.shape[:2], size, strict=True)]
        if not all(0 <= more <= 1 for more in extra):  # MATLAB rounds sides up
            found, wanted = f"{pixels.shape[1]}x{pixels.shape[0]}", f"{size[1]}x{size[0]}"
            self.leave_out(index, f"its small picture is {found}, not {wanted}", "Give those that belong to them.")
            return None
        return pixels[: size[0], : size[1]]


class _PatchMaker:
    """Patches as (3, size, size), and small.

    Args:
        wholes: the pictures.
        options: how they become patches.
        seed: of places, flips, turns, and of what is random in making them small.
    """

    def __init__(self, wholes: Wholes, options: PatchOptions, seed: int) -> None:
        self._wholes, self._options, self._seed = wholes, options, seed
        self._degradation = Degradation(options.scale, options.kernel, options.blur, options.noise)

    @property
    def arrays(self) -> Mapping[str, tuple[tuple[int, ...], torch.dtype]]:
        """See `Maker`."""
        side = self._options.size // self._options.scale
        return {
            "images": ((3, self._options.size, self._options.size), torch.uint8),
            "given": ((3, side, side), torch.uint8),
        }

    def ready(self, indices: NDArray[np.int64]) -> bool:
        """Never: making a patch small takes time even where the picture is in memory."""
        return False

    def make(self, start: int, indices: NDArray[np.int64], into: Into) -> None:
        """See `Maker`."""
        options, count = self._options, len(indices)
        flip, top, left, turn = (uniform(self._seed, s, start, count) for s in (FLIP, TOP, LEFT, TURN))
        side = options.size // options.scale
        for row, index in enumerate(indices):
            whole, below = self._wholes.get(int(index))
            places = [length // options.scale - side + 1 for length in whole.shape[:2]]
            corner = int(top[row] * places[0]), int(left[row] * places[1])
            draw = None
            if self._degradation.random:
                draw = np.random.Generator(np.random.Philox(np.random.SeedSequence([self._seed, start + row])))
            pair = cut(whole, below, corner, options.size, self._degradation, draw)
            quarter = int(4 * turn[row]) if options.turn else 0
            for name, pixels in zip(("images", "given"), pair, strict=True):
                turned = np.rot90(pixels, quarter)
                into[name][row] = (turned[:, ::-1] if options.flip and flip[row] < 0.5 else turned).transpose(2, 0, 1)


def cut(
    whole: Pixels,
    below: Pixels | None,
    corner: tuple[int, int],
    size: int,
    degradation: Degradation,
    draw: np.random.Generator | None,
) -> tuple[Pixels, Pixels]:
    """A patch of a picture, (size, size, 3), and the same patch of the small picture.

    The latter is cut from `below` where that is given. Else only what the patch's small pixels depend on is made
    small, which gives what the whole picture would.

    Args:
        whole: (H, W, 3) uint8, of sides that the scale divides.
        below: (H / scale, W / scale, 3), or None.
        corner: top and left of the patch in the small picture.
        degradation, draw: see `Degradation`.
    """
    scale, side, (top, left) = degradation.scale, size // degradation.scale, corner
    large = whole[top * scale : top * scale + size, left * scale : left * scale + size]
    if below is not None:
        return large, below[top : top + side, left : left + side]
    margin = degradation.margin
    first = [max(0, place - margin) for place in corner]
    rows, columns = (
        slice(begin * scale, (place + side + margin) * scale) for begin, place in zip(first, corner, strict=True)
    )
    small = degradation(whole[rows, columns], draw)
    y, x = top - first[0], left - first[1]
    return large, small[y : y + side, x : x + side]
