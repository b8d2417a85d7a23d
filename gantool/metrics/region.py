"""Whether a pasted region has taken on a picture's colours and strokes, in numbers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage  # type: ignore[import-untyped]

from gantool.data.image import Pixels, to_tensor
from gantool.errors import DataError
from gantool.metrics.single_image import mean_gap, quantile_functions, unit_directions

Region = npt.NDArray[np.bool_]
LEAST = 30  # pixels, or patches, below which a region has no statistics


def to_lab(pixels: Pixels) -> npt.NDArray[np.float64]:
    """(H, W, 3) sRGB uint8 to CIELAB under D65: L in [0, 100]. IEC 61966-2-1 and CIE 15."""
    rgb = pixels / 255.0
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
    xyz = linear @ to_xyz.T / np.array([0.95047, 1.0, 1.08883])
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


def surroundings(region: Region, width: int) -> Region:
    """The ring of `width` pixels around a region (H, W); empty around an empty one."""
    if not region.any():
        return np.zeros_like(region)
    near = ndimage.distance_transform_edt(~region) <= width
    ring: Region = near & ~region
    return ring


def colour_gap(image: Pixels, region: Region, around: Region) -> float:
    """Distance of a region's colours from others': means and deviations of L, a, b in CIELAB, Euclidean.

    Raises:
        DataError: fewer than 30 pixels in one of the two.
    """
    lab = to_lab(image)
    _enough(int(region.sum()))
    _enough(int(around.sum()))
    inside, outside = lab[region], lab[around]
    means, deviations = inside.mean(0) - outside.mean(0), inside.std(0) - outside.std(0)
    return float(np.sqrt(np.square(means).sum() + np.square(deviations).sum()))


class PatchDistance:
    """Sliced Wasserstein distance × 1000 of the patches centred in a region to all patches of a picture.

    `gantool.metrics.single_image.patch_swd` for a part: with a region that covers everything it is that figure.
    The figure of a small region does not go to 0, even for patches of the picture itself: few patches are not all.

    Args:
        picture: (H, W, 3) uint8, what regions are compared with.
        patch: side of a patch in pixels, odd.
        directions, quantiles, seed: as in `patch_swd`.

    Raises:
        ValueError: an even `patch`, a count below 1, or a picture smaller than a patch.
    """

    def __init__(
        self, picture: Pixels, *, patch: int = 7, directions: int = 256, quantiles: int = 2000, seed: int = 0
    ) -> None:
        if patch % 2 == 0:
            raise ValueError(f"patch must be odd, or no pixel is its centre, got {patch}")
        self.margin = patch // 2
        self.weight = unit_directions(directions, patch, torch.Generator().manual_seed(seed))
        self.theirs = quantile_functions(to_tensor(picture), self.weight, quantiles)

    def __call__(self, image: Pixels, region: Region) -> float:
        """The distance of the patches of `image` (H, W, 3) in `region` (H, W).

        Raises:
            DataError: fewer than 30 patches.
            ValueError: sizes that differ.
        """
        if region.shape != image.shape[:2]:
            raise ValueError(f"the region is {region.shape}, the image {image.shape}")
        height, width = region.shape
        centres = region[self.margin : height - self.margin, self.margin : width - self.margin]
        _enough(int(centres.sum()))
        ours = quantile_functions(to_tensor(image), self.weight, self.theirs.shape[1], centres)
        return mean_gap(ours, self.theirs)


def _enough(count: int) -> None:
    if count < LEAST:
        raise DataError(f"A region of {count} pixels is too small to measure.", f"It takes {LEAST} or more.")
