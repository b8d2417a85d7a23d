"""Masks of harmonising and editing: read, found by comparing, widened, feathered, blended in."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage  # type: ignore[import-untyped]
from torch import Tensor

from gantool.data.decode import Pixels
from gantool.errors import DataError

Mask = npt.NDArray[np.bool_]
Soft = npt.NDArray[np.float64]

HARMONIZE_RADIUS, EDIT_RADIUS = 7, 20  # pixels of the picture trained on, as published
FEATHER = 5.0  # the Gaussian's sigma, as published
LEAST_DIFFERENCE = 30.0  # levels: what JPEG does to a picture stays below
NOISES = 3.0  # times the median difference, for composites that were saved or resized along the way
GAP = 4  # pixels: narrower gaps within a pasted thing are closed
SPECK = 0.02  # of the largest region: smaller ones are noise


def disk(radius: int) -> Mask:
    """The pixels within `radius` of a centre, (2 radius + 1, 2 radius + 1)."""
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    inside: Mask = x * x + y * y <= radius * radius
    return inside


def binary_mask(pixels: Pixels, threshold: int = 0) -> Mask:
    """(H, W, 3) uint8 to (H, W): where the first channel is above `threshold`, as the official codes look at it.

    Any level that is not zero counts there, the noise of JPEG included. A mask that has nothing in its first
    channel is taken by its brightest one.
    """
    levels = pixels[..., 0] if pixels[..., 0].any() else pixels.max(-1)
    inside: Mask = levels > threshold
    return inside


def soft_mask(mask: Mask, radius: int) -> Soft:
    """(H, W) in [0, 1]: widened by a disk, feathered by a Gaussian, stretched to the whole range.

    Source: ConSinGAN's and SinGAN's codes; golden numbers in tests/golden/consingan_mask.npz. A mask that covers
    everything once it is widened is one everywhere (there it was not a number).

    Raises:
        DataError: the mask is empty.
    """
    if not mask.any():
        raise DataError(
            "The mask is empty: nothing in it is white.", "Paint white what was changed, or leave out --mask."
        )
    widened = ndimage.binary_dilation(mask, disk(radius))
    if widened.all():
        return np.ones(mask.shape)
    blurred = ndimage.gaussian_filter(widened.astype(np.float64), FEATHER, mode="nearest", truncate=4.0)
    low, high = blurred.min(), blurred.max()
    stretched: Soft = (blurred - low) / (high - low)
    return stretched


def difference_mask(composite: Pixels, background: Pixels) -> Mask:
    """Where a composite differs from its background, both (H, W, 3) uint8: solid regions, without specks and gaps.

    A pixel counts where the largest difference of a channel, lightly blurred, is above 30 levels and above three
    times the median of the picture, so that a composite which was saved as JPEG or resized does not count as a whole.

    Raises:
        DataError: nothing differs, or nearly everything.
        ValueError: sizes that differ.
    """
    if composite.shape != background.shape:
        raise ValueError(f"{composite.shape} and {background.shape}")
    difference = np.abs(composite.astype(np.float64) - background).max(-1)
    difference = ndimage.gaussian_filter(difference, 1.0)
    median = float(np.median(difference))
    if median > LEAST_DIFFERENCE:
        raise _nearly_everywhere(difference)
    changed = difference > max(LEAST_DIFFERENCE, NOISES * median)
    changed = ndimage.binary_opening(changed, disk(1))
    changed = ndimage.binary_closing(np.pad(changed, GAP), disk(GAP))[GAP:-GAP, GAP:-GAP]
    changed = ndimage.binary_fill_holes(changed)
    regions, count = ndimage.label(changed)
    sizes = ndimage.sum_labels(changed, regions, range(1, count + 1))
    if not count or max(sizes) < disk(1).sum():
        raise DataError(
            "It is the picture trained on: nothing was found that differs.",
            "Give the picture with something changed in it, or mark the place with --mask.",
        )
    kept = [label for label, size in enumerate(sizes, 1) if size >= SPECK * max(sizes)]
    mask: Mask = np.isin(regions, kept)
    if mask.mean() > 0.8:
        raise _nearly_everywhere(difference)
    return mask


def _nearly_everywhere(difference: npt.NDArray[np.float64]) -> DataError:
    share = 100 * float((difference > LEAST_DIFFERENCE).mean())
    return DataError(
        f"It differs from the picture trained on nearly everywhere ({share:.0f} % of the pixels).",
        "Is it made from that picture? If so, mark the changed place with --mask.",
    )


def fit_picture(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """(H, W, 3) uint8 at another (height, width)."""
    resized = Image.fromarray(pixels).resize(size[::-1], Image.Resampling.LANCZOS)
    return np.asarray(resized)


def fit_mask(mask: Mask, size: tuple[int, int]) -> Mask:
    """A mask at another (height, width): true where at least half of a pixel is covered; never lost altogether."""
    if mask.shape == size:
        return mask
    levels = Image.fromarray(mask.astype(np.uint8) * 255)
    coverage = np.asarray(levels.resize(size[::-1], Image.Resampling.BOX))
    fitted: Mask = coverage >= min(128, int(coverage.max()) or 256)
    return fitted


def blend(inside: Tensor, outside: Tensor, soft: Soft) -> Tensor:
    """(1 - m) outside + m inside, for pictures (N, C, H, W) and a mask (H, W)."""
    weight = inside.new_tensor(soft)
    mixed: Tensor = (1 - weight) * outside + weight * inside
    return mixed
