"""A network that enlarges, applied to pictures of any size: tile by tile, so that memory is bounded, without seams.

A tile is computed together with what surrounds it, as far as the network looks (`Enlarges.reach`), and cut out of the
result: so it is what it would be in the whole picture, up to the last bits of floating point.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from gantool.engine.devices import is_memory_error
from gantool.errors import MemoryShort
from gantool.family import Enlarges
from gantool.nn.inference import exact
from gantool.tasks.enlarger import made_ready
from gantool.tasks.picture_levels import Levels, Tick, to_levels, to_unit
from gantool.tasks.picture_memory import peak_per_pixel, room_on

SMALLEST = 16  # pixels of a tile's side at which shrinking ends
LARGEST = 1024  # pixels of a tile's side with its surroundings: more gains nothing
LONG_REACH = 128  # pixels that are always taken in; from here on it may cost more than it gives
PROBE = 32  # pixels of the side of what a network's memory is tried out on
GRID = 8  # of networks that do not say theirs: a multiple of what any is known to have


@dataclass(frozen=True)
class Box:
    """Rows [top, bottom) and columns [left, right) of the small picture."""

    top: int
    bottom: int
    left: int
    right: int

    def around(self, overlap: int, grid: int, height: int, width: int) -> Box:
        """With `overlap` pixels on all sides where the picture has them, beginning at multiples of `grid`."""
        return Box(
            max(0, self.top - overlap) // grid * grid,
            min(height, self.bottom + overlap),
            max(0, self.left - overlap) // grid * grid,
            min(width, self.right + overlap),
        )


def boxes(height: int, width: int, side: int, corner: tuple[int, int] = (0, 0)) -> Iterator[Box]:
    """Boxes of sides up to `side` that cover (height, width) once, of nearly equal sizes, row by row."""
    rows, columns = _cuts(height, side), _cuts(width, side)
    for top, bottom in itertools.pairwise(rows):
        for left, right in itertools.pairwise(columns):
            yield Box(top + corner[0], bottom + corner[0], left + corner[1], right + corner[1])


def _cuts(length: int, side: int) -> list[int]:
    parts = math.ceil(length / side)
    return [length * part // parts for part in range(parts + 1)]


class Tiler:
    """Enlarges pictures by a network's own factor.

    Args:
        model: in evaluation mode, on `device`.
        tile: pixels of a tile's side in the small picture; None takes what the free memory holds.
        overlap: pixels around a tile that are computed with it; None takes the network's reach, so that no seam is
            left, or less where the reach is so long that most work would be done several times.
        say: told of what was chosen for the user, once.
    """

    def __init__(
        self,
        model: Enlarges,
        device: torch.device,
        *,
        tile: int | None = None,
        overlap: int | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.model, self.device, self.say = made_ready(model), device, say
        self.tile, self.overlap = tile, overlap
        self.grid = int(getattr(model, "grid", GRID))
        self._most: int | None = None  # of a tile's side, since memory was short
        self._cost = 0.0
        self._said: set[str] = set()

    def layout(self, height: int, width: int, held: int = 0) -> tuple[int, int]:
        """(side, overlap) of the tiles of a picture; `held` bytes of the free memory have another use."""
        room = self._room(held)
        if self.tile is None:
            if height * width <= room * room:
                side = max(height, width)
                return (side if self._most is None else min(side, self._most)), self._overlap(side)
            overlap = self._overlap(room)
            side = max(SMALLEST, room - 2 * overlap)
        else:
            side = self.tile
            overlap = self._overlap(max(room, side))
        return (side if self._most is None else min(side, self._most)), overlap

    def _overlap(self, room: int) -> int:
        """For tiles that are up to `room` pixels a side with it."""
        reach = int(self.model.reach)
        if self.overlap is not None:
            return self.overlap
        return reach if reach <= max(LONG_REACH, room // 4) else max(LONG_REACH // 2, room // 8)

    def _room(self, held: int) -> int:
        """Side of the largest square that fits into the free memory, up to `LARGEST`."""
        if not self._cost:
            self._cost = bytes_per_pixel(self.model, self.device)
        return int(min(LARGEST, max(2 * SMALLEST, math.sqrt(room_on(self.device, held) / self._cost))))

    def enlarge(self, pixels: Levels, out: Levels, tick: Tick = lambda *_: None) -> None:
        """(H, W, 3), uint8 or uint16 over its whole range, to `out`, (factor H, factor W, 3), clipped and rounded.

        `out` is of either type, too; nothing of its size is held beside it.

        Raises:
            MemoryShort: not even small tiles fit.
            RunError: the network gives NaN.
        """
        height, width, _ = pixels.shape
        side, overlap = self.layout(height, width, out.nbytes)
        todo = deque(boxes(height, width, side))
        self._explain(side, overlap, len(todo))
        done = 0
        tick(done, len(todo))
        while todo:
            box = todo.popleft()
            try:
                self._one(pixels, box, overlap, out)
            except (MemoryError, RuntimeError) as error:
                if not is_memory_error(error):
                    raise
                side = self._smaller(box, error)
                pieces = [piece for old in (box, *todo) for piece in _pieces(old, side)]
                todo = deque(pieces)
                continue
            done += 1
            tick(done, done + len(todo))

    def _one(self, pixels: Levels, box: Box, overlap: int, out: Levels) -> None:
        """Compute one tile and write it to its place in `out`."""
        height, width, _ = pixels.shape
        seen, factor = box.around(overlap, self.grid, height, width), int(self.model.factor)
        small = to_unit(pixels[seen.top : seen.bottom, seen.left : seen.right]).to(self.device)
        with exact():
            large = self.model.enlarge(small * 2 - 1)
            top, left = (box.top - seen.top) * factor, (box.left - seen.left) * factor
            rows, columns = (box.bottom - box.top) * factor, (box.right - box.left) * factor
            place = out[box.top * factor : box.bottom * factor, box.left * factor : box.right * factor]
            place[:] = to_levels(large[:, :, top : top + rows, left : left + columns], out.dtype)

    def _smaller(self, box: Box, error: BaseException) -> int:
        """A smaller side for the tiles to come, said. Raises MemoryShort when there is none."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        side = max(box.bottom - box.top, box.right - box.left)
        if side <= SMALLEST:
            hint = "Close other programs, or give a smaller --overlap."
            hint = hint if self.device.type == "cpu" else f"{hint[:-1]}, or --device cpu."
            raise MemoryShort(f"The memory does not suffice for tiles of {side} pixels.", hint) from error
        self._most = max(SMALLEST, side // 2)
        self.say(f"The memory does not suffice for tiles of {side} pixels: going on with {self._most}.")
        return self._most

    def _explain(self, side: int, overlap: int, count: int) -> None:
        """Say, once, that tiles do not see all that the network could."""
        reach = int(self.model.reach)
        if count > 1 and self.overlap is None and overlap < reach and "overlap" not in self._said:
            self._said.add("overlap")
            times = ((side + 2 * reach) / (side + 2 * overlap)) ** 2
            self.say(
                f"Tiles of {side} pixels are computed with {overlap} around them; the network could see {reach}. "
                f"--overlap {reach} makes tiles what they are in the whole picture, in {times:.1f} times the time."
            )


def _pieces(box: Box, side: int) -> Iterator[Box]:
    return boxes(box.bottom - box.top, box.right - box.left, side, (box.top, box.left))


def bytes_per_pixel(model: Enlarges, device: torch.device) -> float:
    """Bytes that enlarging takes for each pixel of the small picture, tried out on a small one."""
    return peak_per_pixel(model.enlarge, torch.zeros(1, 3, PROBE, PROBE, device=device))
