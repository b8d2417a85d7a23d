"""The pixels of pictures that a network works on: whole levels of 8 or 16 bits, to and from what it takes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped]
from torch import Tensor

from gantool.data.sides import LUMA
from gantool.errors import RunError

ROWS = 1 << 22  # samples that are converted at a time

Levels = NDArray[np.unsignedinteger]
Tick = Callable[[int, int], None]  # pieces of a picture done, pieces in all


def to_unit(pixels: Levels) -> Tensor:
    """(H, W, C) uint8 or uint16 to (1, C, H, W) float32 in [0, 1]."""
    top = np.iinfo(pixels.dtype).max
    return torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32) / np.float32(top))[None]


def to_levels(images: Tensor, dtype: np.dtype[np.unsignedinteger]) -> Levels:
    """(1, C, H, W), about in [-1, 1], to (H, W, C) of uint8 or uint16 over its whole range, rounded to nearest.

    Raises:
        RunError: NaN among the values.
    """
    top = int(np.iinfo(dtype).max)
    levels = ((images[0].float().clamp(-1, 1) + 1) * (top / 2)).round()
    if bool(levels.isnan().any()):
        raise RunError("The network gives NaN: its weights are of no use.", "Take another file or checkpoint.")
    whole: Levels = levels.to(torch.int32).permute(1, 2, 0).cpu().numpy().astype(dtype)
    return whole


def without_hidden(pixels: Levels) -> Levels:
    """(H, W, C) with alpha to the colours alone, those of fully transparent pixels being the nearest visible ones."""
    hidden = pixels[..., -1] == 0
    if not hidden.any() or hidden.all():
        return pixels[..., :-1]
    rows, columns = ndimage.distance_transform_edt(hidden, return_distances=False, return_indices=True)
    found: Levels = pixels[rows, columns, :-1]
    return found


def luma(rgb: Levels, out: Levels) -> None:
    """The luma (ITU-R BT.601) of (H, W, 3), rounded, to `out`, (H, W)."""
    step = max(1, ROWS // max(1, rgb.shape[1] * 3))
    for start in range(0, len(rgb), step):
        out[start : start + step] = np.rint(rgb[start : start + step].astype(np.float32) @ LUMA)
