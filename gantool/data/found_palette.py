"""The palette of pictures of labels that nobody has said one of: the colours of their flat areas."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped]

from gantool.data.decode import Pixels
from gantool.data.palette import Palette
from gantool.errors import DataError

FLAT = 16  # levels of a channel that differ within 3x3 pixels, at most: JPEG's traces, and no edge
CLOSE, APART = 16.0, 40.0  # distance of two classes: in areas of one colour (Cityscapes has 20), and behind JPEG
RARE, FAINT = 1e-3, 2e-3  # least share of a class in areas of one colour, and in flat ones
NEAR, COVERED = 8.0, 0.6  # so close to a class is that share of the flat pixels, at least; of photographs a third
LEAST_FLAT = 0.1  # share of all pixels
FEW = 64  # colours in all: then each is a class, however rare
MOST, TRIED = 256, 32  # classes; colours in a row that are none, after which no more are looked for

_HINT = "Name their colours: --palette facades, cityscapes or a file of them, one #rrggbb a line."

Codes = NDArray[np.int64]  # 24 bits: red, green, blue
Counted = tuple[Codes, NDArray[np.int64]]  # colours, and how many pixels have each
_NOTHING: Counted = (np.empty(0, np.int64), np.empty(0, np.int64))


def find_palette(pictures: Iterable[Pixels], label: str) -> Palette:
    """The colours that label maps are painted with, the most frequent first.

    All colours, where there are few. Else colours are counted where neither resizing nor JPEG mixes classes: those of
    areas of exactly one colour, then of flat areas what is far from all of them. Classes that are thin lines everywhere
    are missed then.

    Args:
        pictures: (H, W, 3) uint8 RGB.
        label: what messages call them.

    Raises:
        DataError: they do not look like maps of labels.
    """
    every: Counted | None = _NOTHING  # None: too many
    even, flat, total = _NOTHING, _NOTHING, 0
    for pixels in pictures:
        codes, spread = _codes(pixels), _spread(pixels)
        total += codes.size
        even, flat = _add(even, codes[spread == 0]), _add(flat, codes[spread <= FLAT])
        if every is not None:
            every = _add(every, codes.ravel())
            every = every if len(every[0]) <= FEW else None
    if every is not None:
        chosen = every[0][np.argsort(-every[1], kind="stable")].tolist()
        if len(chosen) < 2:
            raise DataError(f"{label} has no two colours.", _HINT)
    else:
        chosen = _peaks(even, [], CLOSE, RARE)
        chosen += _peaks(flat, chosen, APART, FAINT)
        near = flat[1][_distance(flat[0], chosen) <= NEAR].sum() / max(1, flat[1].sum())
        share = flat[1].sum() / total
        if len(chosen) < 2 or near < COVERED or share < LEAST_FLAT:
            raise DataError(
                f"{label} does not look like maps of labels: {share:.0%} of it are flat areas, and {near:.0%} of those "
                f"have one of {len(chosen)} frequent colours.",
                _HINT,
            )
    return Palette("auto", _levels(np.array(chosen)).astype(np.uint8))


def _codes(pixels: Pixels) -> Codes:
    """(H, W)."""
    red, green, blue = (pixels[..., channel].astype(np.int64) for channel in range(3))
    return red << 16 | green << 8 | blue


def _add(counted: Counted, codes: Codes) -> Counted:
    """Colours and their counts, with those of more pixels."""
    found, inverse = np.unique(np.concatenate([counted[0], codes]), return_inverse=True)
    weights = np.concatenate([counted[1], np.ones(len(codes), np.int64)])
    return found, np.bincount(inverse, weights, len(found)).astype(np.int64)


def _spread(pixels: Pixels) -> Pixels:
    """The greatest difference in a channel within the 3x3 pixels around each, (H, W)."""
    size = (3, 3, 1)
    spread = ndimage.maximum_filter(pixels, size) - ndimage.minimum_filter(pixels, size)
    found: Pixels = spread.max(2)
    return found


def _peaks(counted: Counted, known: list[int], apart: float, least: float) -> list[int]:
    """The most frequent colours that are `apart` from one another and from the known ones, and hold, with those of the
    pixels that are close to them, that share of all."""
    codes, counts = counted
    left, needed = counts.copy(), max(1.0, least * counts.sum())
    left[_distance(codes, known) <= apart] = 0
    found: list[int] = []
    tried = 0
    while len(found) < MOST and tried < TRIED and left.sum() >= needed:
        peak = int(codes[left.argmax()])
        distance = _distance(codes, [peak])
        if left[distance <= CLOSE].sum() >= needed:
            found.append(peak)
            left[distance <= apart] = 0
            tried = 0
        else:
            left[distance == 0] = 0  # it may yet be near a class
            tried += 1
    return found


def _levels(codes: Codes) -> NDArray[np.float64]:
    """(..., 3), of 0 to 255."""
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], -1).astype(np.float64)


def _distance(codes: Codes, others: list[int]) -> NDArray[np.float64]:
    """Of each colour from the nearest of the others; infinite without any."""
    colours, found = _levels(codes), np.full(len(codes), np.inf)
    for other in others:
        found = np.minimum(found, np.linalg.norm(colours - _levels(np.array(other)), axis=1))
    return found
