"""Sliced Wasserstein distance between the Laplacian pyramids of two sets of pictures (Karras 2018)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sized
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from gantool.errors import DataError
from gantool.nn import laplacian

Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Size = tuple[int, ...]
Pictures = Iterable[npt.NDArray[np.uint8] | npt.NDArray[np.floating]]

COARSEST = 16  # pixels: the last level is the last not below
LEAST_DEVIATION = 1e-4  # of 255 levels: below it is rounding
_AT_ONCE = 16  # pictures whose pyramids are built together
_VALUES_AT_ONCE = 2**25  # projected values (128 MB of float32)


@dataclass(frozen=True)
class LaplacianSwd:
    """Sliced Wasserstein distances × 1000; 0 for equal sets.

    Attributes:
        levels: by the shorter side of the level in pixels, finest first: fine levels show texture, the coarsest
            one large shapes and colours.
        mean: over the levels.
        pictures: of each set that were compared.
    """

    levels: dict[int, float]
    mean: float
    pictures: int


def laplacian_swd(
    real: Pictures,
    fake: Pictures,
    *,
    seed: int = 0,
    patches: int = 128,
    patch: int = 7,
    repeats: int = 4,
    directions: int = 128,
) -> LaplacianSwd:
    """Distance between two sets of pictures, level by level of their Laplacian pyramids.

    At each level `patches` patches are taken at random of each picture, and each colour channel of a set's
    patches is brought to mean 0 and deviation 1. On a random direction the Wasserstein-1 distance of the two sets is
    the mean difference of the sorted projections; the result is the mean over repeats x directions, × 1000.

    Halving goes on down to 16 pixels of the shorter side, or the last size above. Pictures whose sides cannot be
    halved so often are cut to the nearest multiple around their centre (178x218 to 176x216, with levels of 176,
    88, 44 and 22 pixels). Sets of different sizes: the first pictures of each, as many as the smaller set has.

    Both sets are read once and picture by picture; what is kept is 75 kB of patches a picture and level. Picture
    number n of either set gives its patches at the same places, unlike in the original code: so that equal sets
    have the distance 0, and the seed alone decides, not the number of pictures.

    Args:
        real, fake: pictures (H, W, 3) of one size, levels 0 to 255, uint8 or floating; an array (N, H, W, 3) will
            do. The paper takes 16,384.
        seed: of places and directions.
        patches: of each picture at each level.
        patch: side of a patch in pixels, odd, at most 16.
        repeats, directions: random directions, in repeats of so many.

    Raises:
        DataError: an empty set, pictures of several sizes, or below 16 pixels, or of one colour throughout.
        ValueError: another shape, a count below 1 or an impossible `patch`.

    Source: Karras et al. 2018, "Progressive Growing of GANs", Sec. 5.
    """
    if min(patches, repeats, directions) < 1 or patch % 2 == 0 or not 1 <= patch <= COARSEST:
        raise ValueError("patches, repeats and directions are 1 or more, patch is odd and at most 16")
    lengths = [len(pictures) for pictures in (real, fake) if isinstance(pictures, Sized)]
    limit = min(lengths) if lengths else None

    def patches_of(pictures: Pictures, name: str, size: Size | None) -> tuple[list[Float32Array], Size]:
        # The same generator for both sets: the same places.
        return _read(itertools.islice(pictures, limit), name, size, np.random.default_rng([seed, 0]), patches, patch)

    ours, size = patches_of(real, "real", None)
    theirs, _ = patches_of(fake, "fake", size)
    count = min(len(ours[0]), len(theirs[0]))
    generator = np.random.default_rng([seed, 1])
    distances = {}
    for side in level_sides(*size[:2]):
        # Popped: what is done with is freed.
        a, b = (normalise(found.pop(0)[:count]) for found in (ours, theirs))
        drawn = (unit_columns(generator.standard_normal((a.shape[1], directions))) for _ in range(repeats))
        distances[side] = 1000 * float(np.mean([sliced_wasserstein(a, b, columns) for columns in drawn]))
    return LaplacianSwd(distances, float(np.mean(list(distances.values()))), count // patches)


def level_sides(height: int, width: int) -> list[int]:
    """The shorter sides of a picture's levels in pixels, finest first, after cutting to what can be halved."""
    levels = max(1, int(math.log2(min(height, width) / COARSEST)) + 1)
    coarsest = min(height, width) >> (levels - 1)
    return [coarsest << level for level in reversed(range(levels))]


def laplacian_pyramid(pictures: Float32Array, levels: int) -> list[Float32Array]:
    """Differences (N, H / 2^l, W / 2^l, C) of each level to the next, enlarged; last the smallest pictures themselves.

    Halved and doubled by a 5x5 binomial kernel: `gantool.nn.laplacian` for arrays.

    Args:
        pictures: (N, H, W, C) with sides that can be halved `levels` - 1 times.
        levels: 1 or more.
    """
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2)
    sizes = laplacian.halves(*laplacian.size_of(x), levels - 1)
    return [level.permute(0, 2, 3, 1).numpy() for level in laplacian.laplacian_pyramid(x, sizes, "binomial")]


def take_patches(maps: Float32Array, top: IntArray, left: IntArray, patch: int) -> Float32Array:
    """(N · P, patch, patch, C) patches of maps (N, H, W, C), whose first rows and columns are (N, P)."""
    step = np.arange(patch)
    rows, columns = top[:, :, None, None] + step[:, None], left[:, :, None, None] + step
    found: Float32Array = maps[np.arange(len(maps))[:, None, None, None], rows, columns]
    return found.reshape(-1, patch, patch, maps.shape[3])


def normalise(patches: Float32Array) -> Float32Array:
    """(P, h, w, C) patches of a set to descriptors (P, h · w · C): mean 0 and deviation 1 in each channel. In place.

    Raises:
        DataError: a channel has one value only.
    """
    values = patches.reshape(-1, patches.shape[3])
    values -= values.mean(axis=0, dtype=np.float64).astype(np.float32)
    deviation = np.sqrt(np.einsum("nc,nc->c", values, values, dtype=np.float64) / len(values))
    if not (deviation > LEAST_DEVIATION).all():
        raise DataError(
            "A set of pictures is of one colour throughout, or has an empty channel: there is nothing to compare.",
            "Look at the pictures.",
        )
    values /= deviation.astype(np.float32)
    return values.reshape(len(patches), -1)


def unit_columns(normal: npt.NDArray[np.float64]) -> Float32Array:
    """Directions (values, D), each of Euclidean length 1."""
    unit: Float32Array = (normal / np.linalg.norm(normal, axis=0)).astype(np.float32)
    return unit


def sliced_wasserstein(a: Float32Array, b: Float32Array, directions: Float32Array) -> float:
    """Mean over directions (values, D) of the Wasserstein-1 distance of the projections of a and b (P, values)."""
    at_once = max(1, _VALUES_AT_ONCE // len(a))
    total = 0.0
    for start in range(0, directions.shape[1], at_once):
        weight = directions[:, start : start + at_once].T
        # A direction a row: sorting along contiguous memory is several times faster.
        gap = np.sort(weight @ a.T, axis=1) - np.sort(weight @ b.T, axis=1)
        total += float(np.abs(gap).mean(axis=1, dtype=np.float64).sum())
    return float(total / directions.shape[1])


def _read(
    pictures: Pictures, name: str, size: Size | None, generator: np.random.Generator, patches: int, patch: int
) -> tuple[list[Float32Array], Size]:
    """The patches (N · P, patch, patch, C) of a set at each level, and the pictures' size (H, W, C)."""
    found: list[list[Float32Array]] = []
    remaining = enumerate(pictures, 1)
    while group := list(itertools.islice(remaining, _AT_ONCE)):
        size = group[0][1].shape if size is None else size
        for number, picture in group:
            _check(picture, f"Picture {number} of the {name} set", size)
        sides = level_sides(*size[:2])
        found = found or [[] for _ in sides]
        pyramid = laplacian_pyramid(_cut(np.stack([picture for _, picture in group]), len(sides)), len(sides))
        # (N, level, row or column, P) in [0, 1): drawn picture by picture, whatever the size of a group.
        where = generator.random((len(group), len(sides), 2, patches))
        for level, maps in enumerate(pyramid):
            top = (where[:, level, 0] * (maps.shape[1] - patch + 1)).astype(np.int64)
            left = (where[:, level, 1] * (maps.shape[2] - patch + 1)).astype(np.int64)
            found[level].append(take_patches(maps, top, left, patch))
    if size is None or not found:
        raise DataError(f"The set of {name} pictures is empty.", "Give pictures.")
    # Popped: the parts are freed level by level.
    return [np.concatenate(found.pop(0)) for _ in range(len(found))], size


def _check(picture: npt.NDArray[Any], name: str, size: Size) -> None:
    if picture.ndim != 3:
        raise ValueError(f"a picture is (H, W, C), got {picture.shape}")
    height, width = picture.shape[:2]
    if picture.shape != size:
        raise DataError(
            f"{name} has {width}x{height} pixels in {picture.shape[2]} channels,"
            f" the first real one {size[1]}x{size[0]} in {size[2]}.",
            "Bring all pictures to one size first.",
        )
    if min(height, width) < COARSEST:
        raise DataError(
            f"{name} has {width}x{height} pixels; the pyramid ends at {COARSEST}.", "Compare larger pictures."
        )
    if not np.isfinite(picture).all():
        raise DataError(f"{name} has values that are not finite numbers.", "Look at what wrote it.")


def _cut(pictures: npt.NDArray[Any], levels: int) -> Float32Array:
    """To sides that can be halved, around the centre; float32."""
    multiple = 1 << (levels - 1)
    spare = [side % multiple for side in pictures.shape[1:3]]
    rows, columns = (slice(n // 2, side - (n - n // 2)) for n, side in zip(spare, pictures.shape[1:3], strict=True))
    return pictures[:, rows, columns].astype(np.float32)
