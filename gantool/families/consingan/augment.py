"""What ConSinGAN's harmonisation and editing train on: the coarsest picture, spoilt anew at every iteration.

Numbers are those of the official code, which draws the harmonisation's with the library albumentations 0.4.3;
where it names none, that library's defaults hold. Pictures are (1, 3, H, W) in [-1, 1] on any device; every
choice comes from a CPU generator, so no device is waited for.

One thing is as it was meant: the official code hands the library floats from 0 to 255, which it takes for floats
from 0 to 1, so that four of its effects (multiplied noise, noise per channel, sepia, the shift of hue) leave a black
picture. Here they keep to 0 to 255.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")
Effect = Callable[[Tensor, torch.Generator], Tensor]

PUBLISHED_SIDE = 120  # pixels of the coarsest stage's shorter side that the holes were chosen for
SEPIA = ((0.393, 0.769, 0.189), (0.349, 0.686, 0.168), (0.272, 0.534, 0.131))


def distort(image: Tensor, choices: torch.Generator) -> Tensor:
    """Harmonisation: strange colours in a quarter of the cases, then holes of one colour in nine of ten."""
    if chance(0.25, choices):
        image = recolour(image, choices)
    return cut_holes(image, choices) if chance(0.9, choices) else image


# --- colours: on levels from 0 to 255, not rounded ------------------------------------------------------------


def multiply(levels: Tensor, choices: torch.Generator) -> Tensor:
    """Every value of every channel by a factor of its own from U(0.5, 1.5)."""
    return levels * (torch.rand(levels.shape, generator=choices).to(levels) + 0.5)


def add_grey_noise(levels: Tensor, choices: torch.Generator) -> Tensor:
    """Gaussian noise, the same for the three channels; standard deviation from U(1 %, 5 %) of 255."""
    deviation = 255 * uniform(0.01, 0.05, choices)
    return levels + deviation * torch.randn(levels[:, :1].shape, generator=choices).to(levels)


def add_noise(levels: Tensor, choices: torch.Generator) -> Tensor:
    """Gaussian noise, another one for each channel; variance from U(10, 50)."""
    deviation = math.sqrt(uniform(10, 50, choices))
    return levels + deviation * torch.randn(levels.shape, generator=choices).to(levels)


def invert(levels: Tensor, choices: torch.Generator) -> Tensor:
    """The negative."""
    return 255 - levels


def to_sepia(levels: Tensor, choices: torch.Generator) -> Tensor:
    """The tone of old photographs: each channel a sum of the three."""
    toned: Tensor = torch.einsum("oi,nihw->nohw", levels.new_tensor(SEPIA), levels)
    return toned


def drop_channel(levels: Tensor, choices: torch.Generator) -> Tensor:
    """One channel becomes 0."""
    levels = levels.clone()
    levels[:, integer(0, 2, choices)] = 0
    return levels


def shuffle_channels(levels: Tensor, choices: torch.Generator) -> Tensor:
    """One of the six orders of the channels, that of the picture included."""
    return levels[:, torch.randperm(3, generator=choices).tolist()]


def shift_colour(levels: Tensor, choices: torch.Generator) -> Tensor:
    """Hue by U(-20, 20) of 180, saturation by U(-30, 30) and value by U(-20, 20) of 255."""
    return shift_hsv(levels, *(uniform(-limit, limit, choices) for limit in (20, 30, 20)))


def shift_hsv(levels: Tensor, hue: float, saturation: float, value: float) -> Tensor:
    """Shift hue (180 is the whole circle, as in 8-bit HSV), saturation and value (0 to 255, cut off there)."""
    red, green, blue = levels.unbind(1)
    high, low = levels.amax(1), levels.amin(1)
    spread = (high - low).clamp_min(1e-12)  # a grey has the hue of red
    sixths = torch.where(high == green, (blue - red) / spread + 2, (red - green) / spread + 4)
    sixths = torch.where(high == red, (green - blue) / spread, sixths) + hue / 30
    colour = ((high - low) / high.clamp_min(1e-12) + saturation / 255).clamp(0, 1)
    bright = (high + value).clamp(0, 255)
    channels = []
    for corner in (5, 3, 1):  # where red, green and blue are fully on
        distance = torch.remainder(sixths + corner, 6)
        off = torch.minimum(distance, 4 - distance).clamp(0, 1)
        channels.append(bright * (1 - colour * off))
    return torch.stack(channels, 1)


# Weights as in the library: an effect's own probability, relative to those it stands beside.
EFFECTS: Sequence[tuple[float, Sequence[tuple[float, Effect]]]] = (
    (0.5, ((0.2, multiply), (0.5, add_grey_noise), (0.5, add_noise))),
    (0.5, ((0.5, invert), (0.5, to_sepia))),
    (0.5, ((0.5, drop_channel), (0.5, shuffle_channels))),
    (0.1, ((0.1, shift_colour),)),
)


def recolour(image: Tensor, choices: torch.Generator) -> Tensor:
    """One of the effects above, on the whole picture."""
    effect = one_of(one_of(EFFECTS, choices), choices)
    levels = effect((image + 1) * 127.5, choices)
    return levels.clamp(0, 255) / 127.5 - 1


# --- holes and tiles ------------------------------------------------------------------------------------------


def cut_holes(image: Tensor, choices: torch.Generator) -> Tensor:
    """One hole of 30 to 60 pixels a side, or two alike of 15 to 30, filled with one random colour.

    The middle of a hole may lie anywhere; borders cut it off, those at the bottom and on the right alone. The
    sizes are meant for a coarsest stage of 120 pixels, as published: a smaller one has smaller holes in proportion.
    """
    height, width = image.shape[2:]
    shrink = min(1.0, min(height, width) / PUBLISHED_SIDE)
    number = integer(1, 2, choices)
    smallest, largest = (30, 60) if number == 1 else (15, 30)
    tall, wide = (max(1, round(shrink * integer(smallest, largest, choices))) for _ in range(2))
    colour = torch.randint(0, 256, (1, 3, 1, 1), generator=choices).to(image) / 127.5 - 1
    image = image.clone()
    for _ in range(number):
        top = max(integer(0, height, choices) - tall // 2, 0)
        left = max(integer(0, width, choices) - wide // 2, 0)
        image[:, :, top : top + tall, left : left + wide] = colour
    return image


def shuffle_tiles(image: Tensor, choices: torch.Generator) -> Tensor:
    """Editing: one to five tiles of the picture, copied to a place not far away.

    The more tiles, the smaller: see `TILES`. Both coordinates move in the same sense, as far as the picture goes.
    """
    height, width = image.shape[2:]
    number = integer(1, 5, choices)
    smallest, largest, farthest = TILES[min(number, 4)]

    def tile(length: int) -> tuple[int, int, int]:
        """Place, side and way along one axis."""
        start = integer(0, length, choices)
        side = integer(int(length * smallest), int(length * largest), choices)
        way = integer(int(length * 0.05), int(length * farthest), choices)
        return start, min(side, length - start), way

    result = image.clone()
    for _ in range(number):
        (y, tall, down), (x, wide, across) = tile(height), tile(width)
        if chance(0.5, choices):
            to_y, to_x = max(y - down, 0), max(x - across, 0)
        else:
            to_y, to_x = min(y + down, height - tall), min(x + across, width - wide)
        result[:, :, to_y : to_y + tall, to_x : to_x + wide] = image[:, :, y : y + tall, x : x + wide]
    return result


TILES = {1: (0.20, 0.50, 0.15), 2: (0.15, 0.30, 0.10), 3: (0.10, 0.20, 0.10), 4: (0.10, 0.15, 0.10)}
"""For 1, 2, 3 and more tiles: their least and greatest side, and the farthest way (the least is 0.05); all are
fractions of the picture's side."""


# --- choices --------------------------------------------------------------------------------------------------


def chance(probability: float, choices: torch.Generator) -> bool:
    """True with that probability."""
    return uniform(0, 1, choices) < probability


def uniform(low: float, high: float, choices: torch.Generator) -> float:
    """A number from U[low, high)."""
    return low + (high - low) * float(torch.rand((), generator=choices))


def integer(low: int, high: int, choices: torch.Generator) -> int:
    """A whole number from low to high, both included."""
    return int(torch.randint(low, high + 1, (), generator=choices))


def one_of(weighted: Sequence[tuple[float, T]], choices: torch.Generator) -> T:
    """One of the things, each as likely as its weight says."""
    left = uniform(0, sum(weight for weight, _ in weighted), choices)
    for weight, thing in weighted:
        left -= weight
        if left < 0:
            return thing
    return weighted[-1][1]
