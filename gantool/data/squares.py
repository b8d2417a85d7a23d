"""From a picture of any size to a square of a given side: the one place that says how, for training and for packing."""

from __future__ import annotations

from typing import Literal

import numpy as np
from PIL import Image

from gantool.data.decode import Pixels

Crop = Literal["centre", "random", "squash"]

MARGIN = 1.125
"""How much larger than the square a picture becomes before a random part of it is cut out."""


def square(pixels: Pixels, size: int, crop: Crop = "centre", place: tuple[float, float] = (0.5, 0.5)) -> Pixels:
    """A picture as a square.

    "centre" brings the shorter side to `size` and cuts out the middle, "random" brings it to round(1.125 `size`) and
    cuts out the part at `place`, "squash" brings both sides to `size`. Resizing is Pillow's: Lanczos with a = 3 where
    pictures shrink, bicubic with a = -0.5 where they grow, both antialiased; a picture of that very
    size stays as it is.

    Args:
        pixels: (H, W, 3) uint8.
        size: side of the square in pixels.
        crop: what becomes of pictures that are not square.
        place: where a random part lies, (down, across), each from 0 (top, left) to 1 (bottom, right).

    Returns:
        (size, size, 3) uint8, contiguous, never a view of `pixels`.
    """
    height, width = pixels.shape[:2]
    if crop == "squash":
        return _resized(pixels, (0, 0, width, height), size, shrinking=width * height > size * size)
    short = min(height, width)
    target = round(MARGIN * size) if crop == "random" else size
    side = short * size / target  # of what is cut out, before resizing
    step = min(1.0, short / target)  # whole pixels of the larger of the two pictures
    corner = []
    for length, where in ((height, place[0]), (width, place[1])):
        last = (length * target - short * size) // min(short, target)  # the place of the last window, in steps
        corner.append(step * (min(int(where * (last + 1)), last) if crop == "random" else last // 2))
    top, left = corner
    box = (left, top, min(left + side, width), min(top + side, height))
    return _resized(pixels, box, size, shrinking=target < short)


def _resized(pixels: Pixels, box: tuple[float, float, float, float], size: int, *, shrinking: bool) -> Pixels:
    """What is inside `box`, as the same part of the whole picture resized; only that part is computed."""
    left, top, right, bottom = box
    if right - left == bottom - top == size:  # `box` then lies on whole pixels
        return np.array(pixels[int(top) : int(bottom), int(left) : int(right)], order="C")
    how = Image.Resampling.LANCZOS if shrinking else Image.Resampling.BICUBIC
    return np.array(Image.fromarray(pixels).resize((size, size), how, box=box), order="C")
