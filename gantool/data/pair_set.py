"""Pairs of pictures, brought to one size: what is translated, and what is to come of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gantool.data.ahead import Into, Maker
from gantool.data.batches import Batches
from gantool.data.cache import Remembered, reason
from gantool.data.decode import Pixels, parse_colour
from gantool.data.faithful import Samples
from gantool.data.order import FLIP, LEFT, TOP, uniform
from gantool.data.pair_files import PairedPictures, Side
from gantool.data.pair_kinds import Decided, decide
from gantool.data.pair_sizes import Size, loaded_size, look_at_sizes, size_remarks, trained_size
from gantool.data.set_options import PairOptions
from gantool.data.sides import Fit, eight_bits, fitted, read_side, resized
from gantool.errors import ConfigError, DataError
from gantool.family import DataShape, Translation

Pair = tuple[Samples, Samples]
"""What is given and what is to come of it."""


class PairSet(Batches):
    """Batches of pairs: `given` goes in, `images` are to come out; both are cut and mirrored alike. See `Batches`.

    Sizes are looked at in the headers of all files before anything else, and kinds in some of the pictures. Pairs of
    which one picture cannot be read, or is smaller than what is cut out, are left out.

    Args:
        options: also what is A and what B, and how they come to one size.
        background: the colour under transparent pixels.

    Attributes:
        given, truth: the two sides, by the direction.
        takes, gives: how they are read.
    """

    source: PairedPictures
    noun = "pair"

    def __init__(self, source: PairedPictures, options: PairOptions, *, background: str = "white", **how: Any) -> None:
        self.options, self._background = options, parse_colour(background)
        self.given, self.truth = (source.a, source.b) if options.direction == "AtoB" else (source.b, source.a)
        super().__init__(source, options, **how)

    def maker(self, memory: float) -> Maker:
        """See `Batches`.

        Raises:
            DataError: no pair can be used, or their sizes do not fit together.
            ConfigError: a palette is given, and nothing is labels.
        """
        options = self.options
        sizes = look_at_sizes(self.source, self.chosen, self.say)
        height, width = trained_size(sizes, options)
        self._remarks = size_remarks(sizes)
        usable = [int(self.chosen[index]) for index, _, _ in sizes.each()]
        self.takes, self.gives = (
            decide(side, usable, kind, options.palette, options.bits, self._background)
            for side, kind in ((self.given, options.input_kind), (self.truth, options.output_kind))
        )
        if options.palette and "labels" not in (self.takes.how.kind, self.gives.how.kind):
            raise ConfigError(
                f"--palette gives labels their colours, and nothing in {self.source.pictures.label} was taken for "
                f"labels ({self.takes.says} in, {self.gives.says} out).",
                "Say --input-kind labels or --output-kind labels, or drop it.",
            )
        self.shape = DataShape(height, width, self.gives.how.channels, given=self.takes.how.channels)
        self.shape = replace(self.shape, translation=self.translation)
        sides = (self.given, self.takes), (self.truth, self.gives)
        self._wholes = PairWholes(self.source, self.chosen, options, (height, width), *sides, memory)
        for index, why, hint in sizes.bad:
            self._wholes.leave_out(index, why, hint)
        self._wholes.get(0)  # if nothing can be used, that is said now
        return _PairMaker(self._wholes, self.shape, options, self.seed)

    @property
    def cached(self) -> bool:
        """Whether all pairs read so far are held in memory."""
        return self._wholes.cached

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """See `Batches`."""
        return list(self._wholes.skipped)

    @property
    def translation(self) -> Translation:
        """What a model that is trained on this takes and gives.

        Where a random part of the picture as it is was trained on (`crop`), whole pictures go in as they are; those
        brought to a width before go in at that width, and those squashed to `load_size` at `size`, as the authors'
        code does it.
        """
        options, shape = self.options, self.shape
        fits: dict[str, tuple[Size, Fit]] = {
            "resize_and_crop": ((shape.height, shape.width), "squash"),
            "scale_width": ((shape.height, shape.width), "width"),
            "scale_width_and_crop": ((options.size, options.loaded), "width"),
        }
        size, fit = fits.get(options.preprocess, ((shape.height, shape.width), "none"))
        kinds, palette = (self.takes.how.kind, self.gives.how.kind), self.takes.how.palette
        painted = () if palette is None or palette.name == "generic" else palette.plain
        return Translation(*kinds, size, fit, options.bits, self.gives.colours, painted)

    def pictures(self, indices: NDArray[np.int64]) -> Pixels:
        """The truth of each of these pairs, as `examples` has it, (n, H, W, 3) uint8."""
        truth = self.examples(indices)[0]
        return np.ascontiguousarray(np.broadcast_to(eight_bits(truth), (*truth.shape[:3], 3)))

    def examples(self, indices: NDArray[np.int64]) -> Pair:
        """The truth of each of these pairs and what is given, (n, H, W, C) each. Nothing is random.

        Pictures are whole where they are squashed, brought to the size trained on; else their middle parts.
        """
        whole = self.options.preprocess == "resize_and_crop"
        size = self.shape.height, self.shape.width
        pairs: list[Pair] = []
        for index in indices:
            pair = self._wholes.decoded(int(index)) if whole else self._wholes.get(int(index))
            sides = zip(pair, (self.takes, self.gives), strict=True)
            given, truth = (
                fitted(one, size, "squash", how.how.kind) if whole else middle(one, size) for one, how in sides
            )
            pairs.append((truth, given))
        truths, givens = zip(*pairs, strict=True)
        return np.stack(truths), np.stack(givens)

    @property
    def notes(self) -> list[str]:
        """See `Batches`."""
        options = self.options
        a, b = ("A", "B") if options.direction == "AtoB" else ("B", "A")
        notes = [*self.used(), *self._remarks, f"{a} ({self.takes.says}) becomes {b} ({self.gives.says})"]
        load, size = options.loaded, options.size
        first = {"r": f"all squashed to {load} × {load}", "s": f"all {load} wide"}.get(options.preprocess[0], "")
        random = options.crops and not (options.preprocess[0] == "r" and load == size)
        part = f"random parts of {size} × {size}" if random else ""
        notes.append(", ".join(one for one in (first, part) if one) or "sizes as they are")
        if options.bits == 16:
            notes.append("16 bits")
        return [*notes, f"flips: {'on' if options.flip else 'off'}"]

    def describe(self) -> dict[str, Any]:
        """See `Batches`; also what goes in."""
        return {
            **super().describe(),
            "direction": self.options.direction,
            "given": self.takes.how.kind,
            "truth": self.gives.how.kind,
            "given_channels": self.shape.given,
            "side_by_side": self.given.half is not None,
        }


def middle(pixels: Samples, size: Size) -> Samples:
    """The part of `size` (height, width) in the middle of (H, W, C)."""
    top, left = ((have - want) // 2 for have, want in zip(pixels.shape[:2], size, strict=True))
    return pixels[top : top + size[0], left : left + size[1]]


class PairWholes(Remembered[Pair]):
    """Whole pairs as they are before a part is cut out: (H, W, C) each, brought to one size.

    Args:
        source, chosen, memory: see `Remembered`.
        options: how a picture comes to its size.
        size: (height, width) of what is trained on.
        given, truth: the sides, and how they are read.
    """

    def __init__(
        self,
        source: PairedPictures,
        chosen: NDArray[np.int64],
        options: PairOptions,
        size: Size,
        given: tuple[Side, Decided],
        truth: tuple[Side, Decided],
        memory: float,
    ) -> None:
        super().__init__(source, chosen, memory)
        self._options, self._size, self._sides = options, size, (given, truth)

    def decoded(self, index: int) -> Pair:
        """The same pair in the sizes of its files."""
        return self.settle(index, self._decoded)

    def make(self, index: int) -> tuple[Pair, int] | None:
        """See `Remembered`."""
        pair = self._decoded(index)
        if pair is None:
            return None
        a = pair[0] if self._options.direction == "AtoB" else pair[1]  # whose header told the size of all
        size = loaded_size((a.shape[0], a.shape[1]), self._options)
        given, truth = (
            np.ascontiguousarray(resized(one, size, how.how.kind))
            for one, (_, how) in zip(pair, self._sides, strict=True)
        )
        if given.shape[:2] != truth.shape[:2] or not self._fits(given):
            self.leave_out(index, "its pixels are not as many as its header says", "Export the pictures again.")
            return None
        return (given, truth), given.nbytes + truth.nbytes

    def _fits(self, pixels: Samples) -> bool:
        """Whether the part that is trained on can be cut out; without random parts that is all of it."""
        spare = [have - want for have, want in zip(pixels.shape[:2], self._size, strict=True)]
        return min(spare) >= 0 if self._options.crops else not any(spare)

    def _decoded(self, index: int) -> Pair | None:
        """Decoded now, or None where one of them cannot be used."""
        if index in self._bad:
            return None
        number = int(self.chosen[index])
        (given, takes), (truth, gives) = self._sides
        name = given.names[number]
        try:
            if given.half is not None and takes.how == gives.how:
                whole = read_side(*given.data(number), takes.how)
                pair = given.cut(whole), truth.cut(whole)
            else:
                first = given.read(number, takes.how)
                name = truth.names[number]
                pair = first, truth.read(number, gives.how)
        except DataError as error:
            self.leave_out(index, reason(name, error), error.hint)
            return None
        return pair


class _PairMaker:
    """Parts of pairs as (C, H, W).

    Args:
        wholes: the pairs.
        shape: of the parts.
        options: whether they are mirrored.
        seed: of places and flips.
    """

    def __init__(self, wholes: PairWholes, shape: DataShape, options: PairOptions, seed: int) -> None:
        self._wholes, self._shape, self._options, self._seed = wholes, shape, options, seed

    @property
    def arrays(self) -> Mapping[str, tuple[tuple[int, ...], torch.dtype]]:
        """See `Maker`."""
        shape, kind = self._shape, torch.uint16 if self._options.bits == 16 else torch.uint8
        return {
            "images": ((shape.channels, shape.height, shape.width), kind),
            "given": ((shape.given, shape.height, shape.width), kind),
        }

    def ready(self, indices: NDArray[np.int64]) -> bool:
        """See `Maker`."""
        return self._wholes.holds(indices)

    def make(self, start: int, indices: NDArray[np.int64], into: Into) -> None:
        """See `Maker`."""
        count, size = len(indices), (self._shape.height, self._shape.width)
        flip, top, left = (uniform(self._seed, stream, start, count) for stream in (FLIP, TOP, LEFT))
        for row, index in enumerate(indices):
            given, truth = self._wholes.get(int(index))
            spare = [have - want + 1 for have, want in zip(given.shape[:2], size, strict=True)]
            y, x = int(top[row] * spare[0]), int(left[row] * spare[1])
            for name, pixels in (("given", given), ("images", truth)):
                part = pixels[y : y + size[0], x : x + size[1]]
                into[name][row] = (part[:, ::-1] if self._options.flip and flip[row] < 0.5 else part).transpose(2, 0, 1)
