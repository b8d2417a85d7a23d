"""Whether a pasted region has taken on a picture's colours and strokes, in numbers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage  # type: ignore[import-untyped]

from gantool.data.decode import Pixels
from gantool.errors import DataError

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
    """The ring of `width` pixels around a region (H, W)."""
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
    """Sliced Wasserstein distance x 1000 of the patches centred in a region to all patches of a picture.

    Patches (patch x patch x 3) of values in [-1, 1] are projected on random unit directions; in each the mean absolute
    difference of `quantiles` quantiles is taken. The measure of `gantool.metrics.single_image.patch_swd`, for a part.

    Args:
        picture: (H, W, 3) uint8, what regions are compared with.
    """

    def __init__(
        self, picture: Pixels, *, patch: int = 7, directions: int = 256, quantiles: int = 500, seed: int = 0
    ) -> None:
        self.patch = patch
        random = np.random.default_rng(seed).standard_normal((3 * patch * patch, directions))
        self.weights = random / np.linalg.norm(random, axis=0)
        self.levels = (np.arange(quantiles) + 0.5) / quantiles
        self.theirs = self._quantiles(_patches(picture, patch).reshape(-1, 3 * patch * patch))

    def __call__(self, image: Pixels, region: Region) -> float:
        """The distance of the patches of `image` (H, W, 3) in `region` (H, W).

        Raises:
            DataError: fewer than 30 patches.
        """
        margin = self.patch // 2
        inner = region[margin:-margin, margin:-margin]
        _enough(int(inner.sum()))
        ours = self._quantiles(_patches(image, self.patch)[inner])
        return float(np.abs(ours - self.theirs).mean() * 1000)

    def _quantiles(self, patches: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        quantiles: npt.NDArray[np.float64] = np.quantile(patches @ self.weights, self.levels, axis=0)
        return quantiles


def _patches(pixels: Pixels, patch: int) -> npt.NDArray[np.float64]:
    """(H, W, 3) to (H - patch + 1, W - patch + 1, 3 patch patch), in [-1, 1]."""
    views = np.lib.stride_tricks.sliding_window_view(pixels / 127.5 - 1, (patch, patch), (0, 1))
    return views.reshape(*views.shape[:2], -1)


def _enough(count: int) -> None:
    if count < LEAST:
        raise DataError(f"A region of {count} pixels is too small to measure.", f"It takes {LEAST} or more.")
