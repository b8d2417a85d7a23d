"""From a picture of any size to a square of a given side: the one place that says how, for training and for packing."""

from __future__ import annotations

from typing import Literal

import numpy as np
from PIL import Image

from gantool.data.decode import Pixels

MARGIN = 1.125
"""How much larger than what is trained on a square is from which random parts are cut out."""


def square(pixels: Pixels, size: int, crop: Literal["centre", "squash"] = "centre") -> Pixels:
    """A picture as a square.

    "centre" brings the shorter side to `size` and cuts out the middle, "squash" brings both sides to `size`. Resizing
    is Pillow's: Lanczos with a = 3 where pictures shrink, bicubic with a = -0.5 where they grow, both antialiased; a
    picture of that very size stays as it is.

    Args:
        pixels: (H, W, 3) uint8.
        size: side of the square in pixels.
        crop: what becomes of pictures that are not square.

    Returns:
        (size, size, 3) uint8, contiguous, never a view of `pixels`.
    """
    height, width = pixels.shape[:2]
    if crop == "squash":
        return _resized(pixels, (0, 0, width, height), size, shrinking=width * height > size * size)
    short = min(height, width)
    step = min(1.0, short / size)  # a whole pixel of the larger of the two pictures
    left, top = ((length - short) * size // min(short, size) // 2 * step for length in (width, height))
    return _resized(pixels, (left, top, left + short, top + short), size, shrinking=size < short)


def _resized(pixels: Pixels, box: tuple[float, float, float, float], size: int, *, shrinking: bool) -> Pixels:
    """What is inside `box`, as the same part of the whole picture resized; only that part is computed."""
    left, top, right, bottom = box
    if right - left == bottom - top == size:  # `box` then lies on whole pixels
        return np.array(pixels[int(top) : int(bottom), int(left) : int(right)], order="C")
    height, width = pixels.shape[:2]
    box = (left, top, min(right, width), min(bottom, height))  # sums of fractions may be a hair too large
    how = Image.Resampling.LANCZOS if shrinking else Image.Resampling.BICUBIC
    return np.array(Image.fromarray(pixels).resize((size, size), how, box=box), order="C")
