"""Pictures through a network that translates: several at a time, and what is too large for that in tiles."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gantool.engine.devices import is_memory_error
from gantool.errors import MemoryShort
from gantool.family import TestMode, Translates
from gantool.nn.inference import exact
from gantool.tasks.picture_levels import Levels, Tick, to_levels, to_unit
from gantool.tasks.picture_memory import peak_per_pixel, room_on

FEW = 1 << 20  # pixels, together, for which no memory is measured: any machine has it
PROBE = 256  # pixels of the side of what a network's memory is tried out on
SHARED = 4  # a tile shares this part of its side, one of so many, with the next


class Passes:
    """Takes pictures of one size through a network.

    Args:
        model: in evaluation mode, on `device`.
        mode: how it is used.
        batch: pictures, or tiles, at a time; fewer where the memory does not suffice.
        tile: pixels of a tile's side; None takes pictures whole.
        overlap: pixels that a tile shares, at least, with the next, where one fades into the other.
        say: told, once, what was chosen.
    """

    def __init__(
        self,
        model: Translates,
        device: torch.device,
        *,
        mode: TestMode = "paper",
        batch: int = 1,
        tile: int | None = None,
        overlap: int | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.model, self.device, self.mode, self.batch, self.say = model, device, mode, batch, say
        self.tile = tile
        self.overlap = overlap if overlap is not None else (tile or 0) // SHARED
        self._cost = 0.0
        self._explained = False

    def translate(
        self, pictures: Sequence[Levels], seeds: Sequence[int], bits: int = 8, tick: Tick = lambda *_: None
    ) -> list[Levels]:
        """(H, W, C) each, uint8 or uint16, all of one shape, to (H, W, C') of `bits`, rounded to nearest.

        Args:
            pictures: C is what the model takes.
            seeds: of the noise of each.
            tick: told of tiles.

        Raises:
            MemoryShort: not even one picture, or tile, fits.
            RunError: the network gives NaN.
        """
        dtype: np.dtype[np.unsignedinteger] = np.dtype(np.uint16) if bits == 16 else np.dtype(np.uint8)
        height, width = pictures[0].shape[:2]
        if self.tile is not None and max(height, width) > self.tile:
            return [self._tiled(picture, seed, dtype, tick) for picture, seed in zip(pictures, seeds, strict=True)]
        found: list[Levels] = []
        for made in self._passed(lambda k: to_unit(pictures[k]), (height, width), seeds):
            found += [to_levels(one[None], dtype) for one in made]
        return found

    def _tiled(self, pixels: Levels, seed: int, dtype: np.dtype[np.unsignedinteger], tick: Tick) -> Levels:
        """One picture in tiles of one size, each fading into its neighbours."""
        assert self.tile is not None
        rows, columns = (cuts(length, self.tile, self.overlap) for length in pixels.shape[:2])
        down, across = (fades(places, self.overlap) for places in (rows, columns))
        places = [(i, j) for i in range(len(rows)) for j in range(len(columns))]
        self._explain()

        def piece(number: int) -> Tensor:
            i, j = places[number]
            return to_unit(pixels[slice(*rows[i]), slice(*columns[j])])

        size = rows[0][1] - rows[0][0], columns[0][1] - columns[0][0]
        out: NDArray[np.float32] | None = None
        done = 0
        tick(done, len(places))
        for made in self._passed(piece, size, [seed] * len(places)):
            for one in made.float().permute(0, 2, 3, 1).cpu().numpy():
                i, j = places[done]
                if out is None:
                    out = np.zeros((*pixels.shape[:2], one.shape[2]), np.float32)
                weight = down[i][:, None, None] * across[j][None, :, None]
                out[slice(*rows[i]), slice(*columns[j])] += weight * one
                done += 1
            tick(done, len(places))
        assert out is not None
        step = max(1, FEW // out.shape[1])
        strips = (torch.from_numpy(out[top : top + step]).permute(2, 0, 1)[None] for top in range(0, len(out), step))
        return np.concatenate([to_levels(strip, dtype) for strip in strips])

    def _passed(self, load: Callable[[int], Tensor], size: tuple[int, int], seeds: Sequence[int]) -> Iterator[Tensor]:
        """What the network makes of pictures in [0, 1], (1, C, *size), by their number: some at a time, in order."""
        start = 0
        while start < len(seeds):
            part = range(start, min(start + self._fitting(*size), len(seeds)))
            try:
                with exact():
                    images = torch.cat([load(number) for number in part]).to(self.device) * 2 - 1
                    made = self.model.translate(images, [seeds[number] for number in part], self.mode)
            except (MemoryError, RuntimeError) as error:
                if not is_memory_error(error):
                    raise
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()
                if len(part) == 1:
                    raise self._short(*size) from error
                self.batch = len(part) // 2
                self.say(f"The memory does not suffice for {len(part)} at a time: going on with {self.batch}.")
                continue
            start += len(part)
            yield made

    def _fitting(self, height: int, width: int) -> int:
        """How many pictures of that size are taken at a time. Raises MemoryShort where not even one fits."""
        if height * width * self.batch <= FEW:
            return self.batch
        if not self._cost:
            channels = 1 if self.model.translation.takes == "grey" else 3
            sample = torch.zeros(1, channels, PROBE, PROBE, device=self.device)
            self.model.translate(sample, [0], self.mode)  # else what it makes ready and keeps would count
            self._cost = peak_per_pixel(lambda x: self.model.translate(x, [0], self.mode), sample)
        need, room = self._cost * height * width, room_on(self.device)
        if need > room and height * width > FEW:
            raise self._short(height, width, f": about {need / 1e9:.1f} GB are needed, and {room / 1e9:.1f} can be had")
        return max(1, min(self.batch, int(room / need)))

    def _short(self, height: int, width: int, why: str = "") -> MemoryShort:
        if self.tile is None:
            what, hint = "a picture", "Add --tile 1024, or name a smaller --size."
        else:
            what, hint = "a tile", "Take a smaller --tile, or close other programs."
        return MemoryShort(f"The memory does not suffice for {what} of {width} × {height} pixels{why}.", hint)

    def _explain(self) -> None:
        if not self._explained:
            self._explained = True
            self.say(
                f"Tiles of {self.tile} pixels, which fade into each other over {self.overlap}: the network looks at a "
                "picture as a whole, so tiles differ a little from what it would make of that."
            )


def cuts(length: int, side: int, overlap: int) -> list[tuple[int, int]]:
    """Where tiles of `side` begin and end on `length`, evenly spread and sharing `overlap` or more with the next."""
    side = min(side, length)
    count = 1 if length == side else math.ceil((length - overlap) / (side - overlap))
    starts = [(length - side) * k // max(1, count - 1) for k in range(count)]
    return [(start, start + side) for start in starts]


def fades(places: Sequence[tuple[int, int]], overlap: int) -> list[NDArray[np.float32]]:
    """The weights of each tile's pixels along one side, 1 in all: they rise over `overlap` from an edge inside."""
    first, last = places[0][0], places[-1][1]
    total = np.zeros(last, np.float64)
    weights = []
    for start, end in places:
        place = np.arange(start, end) + 0.5
        rise = place - start if start > first else np.inf
        fall = end - place if end < last else np.inf
        weight = np.minimum(np.minimum(rise, fall), overlap + 0.5) + np.zeros(end - start)
        weights.append(weight)
        total[start:end] += weight
    return [
        (weight / total[start:end]).astype(np.float32) for weight, (start, end) in zip(weights, places, strict=True)
    ]
