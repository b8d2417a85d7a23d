"""Multi-scale SSIM, between two pictures and between the samples of a generator (mode collapse)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gantool.errors import DataError
from gantool.metrics.pairs import PairMean, adjacent_pairs, random_pairs
from gantool.metrics.psnr_ssim import SIGMA, WINDOW, FloatArray, ssim_maps

Pictures = npt.NDArray[np.uint8] | npt.NDArray[np.floating]
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, Sec. 3.2
SHRINKING_FROM = 64  # pixels: the smallest pictures with published figures, taken over five levels


def levels_for(height: int, width: int) -> int:
    """Levels at which pictures of a size are compared, unless told: five from 64 pixels on, else as many as fit.

    From 64 pixels on published figures (Karras 2018) have five levels, with a window that shrinks with the
    picture where that is smaller than 11 pixels. Of a smaller picture those levels count at which the whole
    window lies inside: three of 44 to 63 pixels, two of 22 to 43, one of 11 to 21.

    Raises:
        DataError: the shorter side is below 11 pixels.
    """
    side = min(height, width)
    if side < WINDOW:
        raise DataError(
            f"SSIM looks through windows of {WINDOW}x{WINDOW} pixels, the pictures have {width}x{height}.",
            "Compare larger pictures.",
        )
    if side >= SHRINKING_FROM:
        return len(WEIGHTS)
    return int(np.log2(side / WINDOW)) + 1


def ms_ssim(a: Pictures, b: Pictures, *, levels: int | None = None) -> FloatArray:
    """Multi-scale structural similarity of each pair of pictures, in [0, 1]; 1 for equal.

    The product over levels of contrast-structure, at the last level of SSIM, each the mean over positions and
    channels, negative means set to 0, raised to the published weight. From level to level sizes are halved by
    2x2 means, a last odd row or column left out. The window is 11x11 of σ 1.5, or the picture's shorter side with
    σ in proportion. Fewer than five levels take the first weights, scaled to sum to 1.

    Args:
        a, b: (N, H, W, C), levels 0 to 255, uint8 or floating.
        levels: 1 to 5; None: `levels_for` their size.

    Returns:
        (N,) float64.

    Raises:
        DataError: sizes differ, or the pictures are too small for the levels.
        ValueError: another shape, or `levels` out of range.

    Sources: Wang et al. 2003, "Multi-scale Structural Similarity for Image Quality Assessment"; with the window
    and the means of Karras et al. 2018, "Progressive Growing of GANs".
    """
    if a.ndim != 4 or b.ndim != 4 or len(a) != len(b) or a.shape[3] != b.shape[3]:
        raise ValueError(f"pictures are (N, H, W, C), as many of each, got {a.shape} and {b.shape}")
    height, width = a.shape[1:3]
    _same_size((height, width), b.shape[1:3])
    levels = levels_for(height, width) if levels is None else levels
    if not 1 <= levels <= len(WEIGHTS):
        raise ValueError(f"levels must be 1 to {len(WEIGHTS)}, got {levels}")
    if min(height, width) < 2 ** (levels - 1):
        raise DataError(
            f"Pictures of {width}x{height} pixels cannot be halved {levels - 1} times.",
            "Ask for fewer levels, or compare larger pictures.",
        )
    weights = np.array(WEIGHTS[:levels])
    if levels < len(WEIGHTS):  # all five, which sum to 1.0001, stay as published
        weights /= weights.sum()
    x1, x2 = a.astype(np.float64), b.astype(np.float64)
    product = np.ones(len(a))
    for level, weight in enumerate(weights):
        if level > 0:
            x1, x2 = _halved(x1), _halved(x2)
        window = min(WINDOW, *x1.shape[1:3])
        luminance, contrast = ssim_maps(x1, x2, window, SIGMA * window / WINDOW)
        factor = contrast if level < levels - 1 else luminance * contrast
        product *= factor.mean(axis=(1, 2, 3)).clip(0) ** weight
    return product


@dataclass(frozen=True)
class MsSsimDiversity(PairMean):
    """The mean MS-SSIM over pairs of samples, and over how many levels (see `levels_for`)."""

    levels: int


def diversity_ms_ssim(
    pictures: Sequence[Pictures] | Pictures,
    *,
    pairs: int | None = None,
    seed: int = 0,
    levels: int | None = None,
) -> MsSsimDiversity:
    """Mean MS-SSIM between samples of one generator: near 1, it makes the same picture again and again.

    AC-GAN takes 100 random pairs of a class, whose real pictures rarely exceed 0.25; ProGAN takes 10,000 pairs of
    neighbours.

    Args:
        pictures: N of (H, W, C) of one size, levels 0 to 255; an array (N, H, W, C) will do.
        pairs: so many different random pairs (all of them where there are no more); None: (0, 1), (2, 3), ...
        seed: of the random pairs.
        levels: as in `ms_ssim`.

    Raises:
        DataError: fewer than two pictures, or sizes that differ or are too small.
        ValueError: `pairs` below 1.

    Sources: Odena et al. 2017, "Conditional Image Synthesis with Auxiliary Classifier GANs", Sec. 4.2; Karras et
    al. 2018, "Progressive Growing of GANs", Sec. 5.
    """
    if len(pictures) < 2:
        raise DataError(f"Differences between samples take two or more, not {len(pictures)}.", "Give more pictures.")
    chosen = adjacent_pairs(len(pictures)) if pairs is None else random_pairs(len(pictures), pairs, seed)
    height, width = pictures[0].shape[:2]
    levels = levels_for(height, width) if levels is None else levels
    values = []
    for pair in chosen.tolist():
        first, second = (pictures[i] for i in pair)
        # Not only the two of a pair: figures of several sizes have no common mean.
        _same_size((height, width), first.shape[:2])
        values.append(ms_ssim(first[None], second[None], levels=levels)[0])
    return MsSsimDiversity(float(np.mean(values)), len(values), levels)


def _same_size(one: tuple[int, ...], other: tuple[int, ...]) -> None:
    if one != other:
        raise DataError(
            f"The pictures have different sizes: {one[1]}x{one[0]} and {other[1]}x{other[0]} pixels.",
            "MS-SSIM compares pixel by pixel: bring them to one size first.",
        )


def _halved(x: FloatArray) -> FloatArray:
    n, height, width, channels = x.shape
    even = x[:, : height // 2 * 2, : width // 2 * 2]
    halved: FloatArray = even.reshape(n, height // 2, 2, width // 2, 2, channels).mean(axis=(2, 4))
    return halved
