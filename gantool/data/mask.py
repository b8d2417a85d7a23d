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
LEAST_DIFFERENCE = 30.0  # levels: nearly all that JPEG does to a picture stays below
LEAST_SHIFT = 12.0  # levels of the mean over some pixels: JPEG at quality 50 and more stays below on photographs
LEAST_OF_FAINT = 10.0  # levels, where nothing differs strongly but the mean has shifted
NOISES = 3.0  # times the median difference, for composites that were saved or resized along the way
PLAIN = 4.0  # levels: errors of JPEG away from edges are smaller, most differences of an edit larger
BLOCK = 16  # pixels: an edit that is then saved as JPEG reaches no further, the side of its largest blocks
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


def widen(mask: Mask, radius: int) -> Mask:
    """A mask (H, W) dilated by the disk of `radius` pixels: true within that distance of a pixel that is."""
    if not mask.any():
        return mask.copy()
    # By distances: the same pixels as dilation by the disk, in a time that does not grow with the radius.
    near: Mask = ndimage.distance_transform_edt(~mask) <= radius
    return near


def empty_mask() -> DataError:
    """The error for a mask without a place."""
    return DataError("The mask is empty: nothing in it is white.", "Paint white what was changed, or leave out --mask.")


def soft_mask(mask: Mask, radius: int) -> Soft:
    """(H, W) in [0, 1]: widened by a disk, feathered by a Gaussian, stretched to the whole range.

    Source: ConSinGAN's and SinGAN's codes; golden numbers in tests/golden/consingan_mask.npz. A mask that covers
    everything once it is widened is one everywhere (there it was not a number).

    Raises:
        DataError: the mask is empty.
    """
    if not mask.any():
        raise empty_mask()
    widened = widen(mask, radius)
    if widened.all():
        return np.ones(mask.shape)
    blurred = ndimage.gaussian_filter(widened.astype(np.float64), FEATHER, mode="nearest", truncate=4.0)
    low, high = blurred.min(), blurred.max()
    stretched: Soft = (blurred - low) / (high - low)
    return stretched


def difference_mask(composite: Pixels, background: Pixels) -> Mask:
    """Where a composite differs from its background, both (H, W, 3) uint8: solid regions, without specks and gaps.

    Where the composite is the background's own bytes but for what was changed, every pixel that differs counts.
    Otherwise it was saved as JPEG or resized along the way, and a pixel counts where the largest difference of a
    channel, lightly blurred, is above 30 levels and above three times the median of the picture. A region counts
    where the mean of some channel has shifted too, by 12 levels and three medians: the errors of saving and resizing
    have both signs and average out. Where nothing differs that much, such a shift is enough, with a difference of
    10 levels: a faint edit of a flat area.

    Raises:
        DataError: nothing differs, or nearly everything.
        ValueError: sizes that differ.
    """
    if composite.shape != background.shape:
        raise ValueError(f"{composite.shape} and {background.shape}")
    signed = composite.astype(np.float64) - background
    exact = np.abs(signed).max(-1)
    difference = ndimage.gaussian_filter(exact, 1.0)
    mask = _closed(exact > 0)
    if not _is_lossless(exact, mask):
        median = float(np.median(difference))
        if median > LEAST_DIFFERENCE:
            raise _nearly_everywhere(difference)
        shift = np.abs(ndimage.gaussian_filter(signed, (3.0, 3.0, 0.0))).max(-1)
        shifted = shift > max(LEAST_SHIFT, NOISES * float(np.median(shift)))
        mask = _regions(difference > max(LEAST_DIFFERENCE, NOISES * median), shifted)
        if not mask.any():
            mask = _regions(shifted & (difference > max(LEAST_OF_FAINT, NOISES * median)), shifted)
    if not mask.any():
        raise DataError(
            "It is the picture trained on: nothing was found that differs.",
            "Give the picture with something changed in it, or mark the place with --mask.",
        )
    if mask.mean() > 0.8:
        raise _nearly_everywhere(difference)
    return mask


def _is_lossless(exact: npt.NDArray[np.float64], changed: Mask) -> bool:
    """Whether largest differences `exact` are those of an edit that was never saved as JPEG or resized.

    Then nothing differs away from what plainly does, and most of the rim of `changed` differs plainly: the errors of
    JPEG end at the edges of its blocks, where they are small.
    """
    away = ~widen(exact > PLAIN, BLOCK)
    if not away.any() or exact[away].any():
        return False
    rim = changed & ~ndimage.binary_erosion(changed, border_value=1)
    return not rim.any() or bool((exact[rim] > PLAIN).mean() > 0.5)


def _regions(changed: Mask, shifted: Mask) -> Mask:
    """The regions of `changed` that `shifted` touches, closed and without specks."""
    changed = _closed(ndimage.binary_opening(changed, disk(1)))
    regions, count = ndimage.label(changed)
    sizes = ndimage.sum_labels(changed, regions, np.arange(1, count + 1))
    sizes = sizes * (ndimage.sum_labels(shifted, regions, np.arange(1, count + 1)) > 0)
    least = max(disk(1).sum(), SPECK * max(sizes, default=0.0))
    kept: Mask = np.isin(regions, 1 + np.flatnonzero(sizes >= least))
    return kept


def _closed(changed: Mask) -> Mask:
    """With narrow gaps closed and holes filled."""
    changed = ndimage.binary_closing(np.pad(changed, GAP), disk(GAP))[GAP:-GAP, GAP:-GAP]
    filled: Mask = ndimage.binary_fill_holes(changed)
    return filled


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
    """A mask at another (height, width): true where any of its pixels falls, so that nothing thin in it is lost.

    It is what any level that is not zero means in the published masks, which are resized before they are looked at.
    """
    if mask.shape == size:
        return mask
    coverage = np.asarray(Image.fromarray(mask.astype(np.float32)).resize(size[::-1], Image.Resampling.BOX))
    fitted: Mask = coverage > 0
    return fitted


def blend(inside: Tensor, outside: Tensor, soft: Soft) -> Tensor:
    """(1 - m) outside + m inside, for pictures (N, C, H, W) and a mask (H, W)."""
    weight = inside.new_tensor(soft)
    mixed: Tensor = (1 - weight) * outside + weight * inside
    return mixed
