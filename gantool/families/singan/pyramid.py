"""The sizes of SinGAN's scales (section 2 of the paper; the official code's arithmetic)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from gantool.errors import ConfigError, DataError

Size = tuple[int, int]


@dataclass(frozen=True)
class Pyramid:
    """Sizes (height, width) from coarsest to finest, and the factors that give them.

    Attributes:
        first_scale: factor that brings the picture to `max_size`, at most 1.
        factor: side of a scale over that of the next finer one, r in the paper, below 1.
        sizes: of every scale; the last is the picture after `first_scale`.
    """

    first_scale: float
    factor: float
    sizes: tuple[Size, ...]


def make_pyramid(size: Size, min_size: int, max_size: int, scale_factor: float, *, enlarging: bool = False) -> Pyramid:
    """The pyramid of a picture of `size` (height, width).

    `scale_factor` is what is asked for. The number of scales follows from it, and then the factor is adjusted
    so that the shorter side of the coarsest scale is `min_size`. All in float64, in the official order of
    operations, since a scale or a pixel can hang on it. `enlarging` counts the scales as the official
    super-resolution does, by rounding down.

    Raises:
        DataError: the picture is not larger than its coarsest scale would be.
    """
    longest, shortest = max(size), min(size)
    rounded = int if enlarging else math.ceil
    above_min = rounded(math.log(min_size / shortest, scale_factor)) + 1
    above_max = rounded(math.log(min(max_size, longest) / longest, scale_factor))
    steps = above_min - above_max
    first = min(max_size / longest, 1.0)
    full = (math.ceil(size[0] * first), math.ceil(size[1] * first))
    if steps < 1 or min(full) <= min_size:
        raise DataError(
            f"The picture, {full[1]}x{full[0]} pixels, is not larger than its coarsest scale of {min_size} pixels.",
            "Use a larger picture, raise --max-size or lower --min-size.",
        )
    factor = math.pow(min_size / min(full), 1 / steps)
    scales = [math.pow(factor, steps - n) for n in range(steps + 1)]
    return Pyramid(first, factor, tuple((math.ceil(full[0] * s), math.ceil(full[1] * s)) for s in scales))


def pyramid_of_sizes(sizes: tuple[Size, ...]) -> Pyramid:
    """The pyramid that has these sizes, coarsest first, for models that come with nothing else.

    The factor is one that gives them all, if there is one, else the ratio of the outermost.

    Raises:
        ConfigError: no sizes, or sizes that do not grow.
    """
    if not sizes or any(a[0] > b[0] or a[1] > b[1] for a, b in pairwise(sizes)):
        raise ConfigError("The sizes of the scales do not grow.", "List them from the coarsest to the finest.")
    last = len(sizes) - 1
    if not last:
        return Pyramid(1.0, 1.0, sizes)
    low, high = 0.0, 1.0  # ceil(full * r^e) = side means side - 1 < full * r^e <= side
    for n, sides in enumerate(sizes[:-1]):
        for side, full in zip(sides, sizes[-1], strict=True):
            low = max(low, ((side - 1) / full) ** (1 / (last - n)))
            high = min(high, (side / full) ** (1 / (last - n)))
    factor = (low + high) / 2 if low < high else (min(sizes[0]) / min(sizes[-1])) ** (1 / last)
    return Pyramid(1.0, factor, sizes)


def enlarging_steps(factor: float) -> tuple[int, float]:
    """How often the last generator is applied to enlarge by `factor`, and by how much each time.

    Steps of about the cube root of 2: x4 is six steps of 1.26. Source: the official super-resolution.
    """
    steps = max(1, round(math.log(1 / factor) / math.log(math.pow(1 / 2, 1 / 3))))
    return steps, math.pow(factor, 1 / steps)
