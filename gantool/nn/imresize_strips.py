"""`imresize` for large pictures of whole levels: strip by strip, so that no copy in floating point is held."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from gantool.nn.imresize import axis_matrix

Levels = npt.NDArray[np.unsignedinteger]
STRIP = 1 << 22  # samples of a strip, before or after


def scaled_side(side: int, scale: float) -> int:
    """ceil(side * scale), as MATLAB has it, but for what floating point adds to a product that is whole."""
    return math.ceil(round(side * scale, 6))


def imresize_levels(
    image: Levels,
    scale: float,
    *,
    size: tuple[int, int] | None = None,
    dtype: npt.DTypeLike | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Levels:
    """Bicubic resize by a factor as `gantool.nn.imresize.imresize` does it in floating point, rounded once at the end.

    Args:
        image: (H, W, C), uint8 or uint16 over its whole range.
        scale: factor of both sides.
        size: (height, width) of the result; None takes `scaled_side` of each.
        dtype: of the result, uint8 or uint16; None takes that of `image`.
        tick: called after each strip.

    Returns:
        (h, w, C), clipped to the range of its type.
    """
    height, width, channels = image.shape
    out_height, out_width = size or (scaled_side(height, scale), scaled_side(width, scale))
    out: Levels = np.empty((out_height, out_width, channels), image.dtype if dtype is None else dtype)
    top = np.iinfo(out.dtype).max
    gain = top / np.iinfo(image.dtype).max
    down = axis_matrix(height, out_height, scale, scale < 1, "replicate")
    across = axis_matrix(width, out_width, scale, scale < 1, "replicate")
    per_row = max(out_width, width * math.ceil(max(1.0, height / out_height))) * channels
    step = max(1, STRIP // per_row)
    for start in range(0, out_height, step):
        rows = down[start : start + step]
        first, last = int(rows.indices.min()), int(rows.indices.max()) + 1
        source = image[first:last].astype(np.float64).reshape(last - first, -1)
        tall = (rows[:, first:last] @ source).reshape(-1, width, channels)
        flat = across @ np.moveaxis(tall, 1, 0).reshape(width, -1)
        strip = np.moveaxis(flat.reshape(out_width, -1, channels), 0, 1)
        out[start : start + step] = np.floor(strip * gain + 0.5).clip(0, top)
        tick()
    return out
