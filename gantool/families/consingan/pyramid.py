"""The sizes of ConSinGAN's stages (section 3.1 of the paper; the official code's arithmetic)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gantool.errors import ConfigError

Size = tuple[int, int]


@dataclass(frozen=True)
class Pyramid:
    """Sizes (height, width) from coarsest to finest, and the factors that give them.

    Attributes:
        first_scale: factor that brings the picture to `max_size`, at most 1.
        scales: factor of every stage, applied to the picture after `first_scale`; the last is 1.
        sizes: of every stage; the last is the picture after `first_scale`.
    """

    first_scale: float
    scales: tuple[float, ...]
    sizes: tuple[Size, ...]


def make_pyramid(size: Size, stages: int, min_size: int, max_size: int, *, geometric: bool = False) -> Pyramid:
    """The pyramid of a picture of `size` (height, width).

    With N = stages - 1 and r = (min_size / shorter side)^(1/N), stage n < N has the scale r^e with
    e = (N-1)/ln(N) * ln(N-n) + 1, which puts more stages at low resolution; `geometric` (harmonization) has
    e = N - n. Sizes are rounded up in float64, in the official order of operations, since a pixel can hang on it.

    Two stages (where the published rule divides by ln 1 = 0) use e = 1, its limit; one stage is the picture.

    Raises:
        ConfigError: stages < 1.
    """
    if stages < 1:
        raise ConfigError("A pyramid needs at least one stage.", "Set --stages to 1 or more.")
    first = min(max_size / max(size), 1.0)
    full = (math.ceil(size[0] * first), math.ceil(size[1] * first))
    last = stages - 1
    scales: list[float] = []
    if last:
        ratio = math.pow(min_size / min(full), 1 / last)
        for n in range(last):
            if geometric or last == 1:
                exponent = float(last - n)
            else:
                exponent = (last - 1) / math.log(last) * math.log(last - n) + 1
            scales.append(math.pow(ratio, exponent))
    sizes = [(math.ceil(full[0] * s), math.ceil(full[1] * s)) for s in scales]
    return Pyramid(first, (*scales, 1.0), (*sizes, full))


def scaled_sizes(sizes: Sequence[Size], last: Size | None) -> list[Size]:
    """The stages' sizes for a picture of another size: the last is `last`, the others scale along, rounded down."""
    if last is None or last == sizes[-1]:
        return list(sizes)
    down, across = last[0] / sizes[-1][0], last[1] / sizes[-1][1]
    return [*((max(1, int(h * down)), max(1, int(w * across))) for h, w in sizes[:-1]), last]
