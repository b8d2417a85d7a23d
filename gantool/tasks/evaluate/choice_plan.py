"""What a page for a forced choice shows in which order, and at which size: pure functions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from gantool.data.decode import Pixels
from gantool.data.order import permutation

_ORDER, _SIDES, _PICTURES = 0, 1, 2  # streams of random numbers; each source has one of its own from _PICTURES on
NEAR = 256  # CSS pixels that small pictures are enlarged to, about

Shown = tuple[int, int]  # source, and which of the pictures that were chosen from it


@dataclass(frozen=True)
class Trial:
    """One trial: what is shown, from left to right, and for how many ms (None: until the answer)."""

    shown: tuple[Shown, ...]
    time: int | None


def shares(total: int, parts: int) -> list[int]:
    """`total` in `parts` whole numbers that differ by one at most, the larger first."""
    return [total // parts + (i < total % parts) for i in range(parts)]


def showings(trials: int, sources: int, pairs: bool) -> list[int]:
    """How often each source is shown: the real one, which comes first, in every pair, else all alike."""
    return [trials, *shares(trials, sources - 1)] if pairs else shares(trials, sources)


def order_of(seed: int, source: int, pictures: int) -> list[int]:
    """The order in which the pictures of a source are taken."""
    return [int(i) for i in permutation(seed, _PICTURES + source, pictures)]


def plan(shown: Sequence[int], chosen: Sequence[int], times: Sequence[int], pairs: bool, seed: int) -> list[Trial]:
    """The trials in the order in which they are shown.

    Every source has each time equally often, and of pairs the real picture is on the left in half of each model's,
    as far as numbers allow. A picture comes again only after all others of its source.

    Args:
        shown: see `showings`.
        chosen: how many pictures of each source there are to show.
        times: ms; empty: until the answer.
    """
    found: list[Trial] = []
    trials = shown[0] if pairs else sum(shown)
    each: Sequence[int | None] = times or (None,)
    for source in range(1 if pairs else 0, len(shown)):
        sides = permutation(seed, _SIDES + _PICTURES + len(shown) + source, shown[source]) % 2
        for j in range(shown[source]):
            i = len(found)
            pictures: tuple[Shown, ...] = ((source, j % chosen[source]),)
            if pairs:
                pictures = ((0, i % chosen[0]), *pictures)
                pictures = pictures[::-1] if sides[j] else pictures
            found.append(Trial(pictures, each[i % len(each)]))
    return [found[i] for i in permutation(seed, _ORDER, trials)]


def common_size(sizes: Collection[tuple[int, int]]) -> tuple[int, int]:
    """The (height, width) that all pictures are brought to: the least of each, so that none is enlarged."""
    return min(height for height, _ in sizes), min(width for _, width in sizes)


def fitted(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """The middle of a picture, as large as its shape allows, reduced to `size` as training does it (Lanczos)."""
    (height, width), (tall, wide) = pixels.shape[:2], size
    if (height, width) == size:
        return pixels
    scale = max(tall / height, wide / width)
    part_h, part_w = min(height, round(tall / scale)), min(width, round(wide / scale))
    top, left = (height - part_h) // 2, (width - part_w) // 2
    box = (left, top, left + part_w, top + part_h)
    return np.array(Image.fromarray(pixels).resize((wide, tall), Image.Resampling.LANCZOS, box=box), order="C")


def display(size: tuple[int, int], longest: int | None) -> tuple[int, int]:
    """CSS (width, height) of pictures of `size`, (height, width), on the screen; None: a whole multiple near 256."""
    height, width = size
    scale = longest / max(size) if longest else max(1, round(NEAR / max(size)))
    return max(1, round(width * scale)), max(1, round(height * scale))


def names_of(paths: Sequence[Path]) -> list[str]:
    """The shortest names that tell `paths`, no two of which are equal, apart: samples, x (for x.zip), a/samples."""
    short = [path if path.is_dir() else path.with_suffix("") for path in paths]
    for depth in range(1, max(len(path.parts) for path in paths) + 1):
        for kind in (short, paths):
            names = ["/".join(path.parts[-depth:]) for path in kind]
            if len(set(names)) == len(names):
                return names
    raise ValueError("paths are equal")
