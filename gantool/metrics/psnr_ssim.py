"""PSNR and SSIM in the convention of super-resolution papers (MATLAB's Y, border cut off) and plain; and L1."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import ndimage  # type: ignore[import-untyped]

from gantool.errors import DataError

FloatArray = npt.NDArray[np.float64]
Levels = npt.NDArray[np.uint8] | npt.NDArray[np.floating]
"""A picture (H, W, 3) RGB or (H, W) grey of levels 0 to 255, uint8 or floating."""

PEAK = 255.0
WINDOW, SIGMA = 11, 1.5  # Wang et al. 2004
K1, K2 = 0.01, 0.03


def to_y(image: Levels) -> FloatArray:
    """MATLAB's luma (H, W) in 16..235 of an RGB picture (H, W, 3) in 0..255; not rounded. ITU-R BT.601."""
    y: FloatArray = 16 + image.astype(np.float64) @ np.array([65.481, 128.553, 24.966]) / 255
    return y


def l1(a: Levels, b: Levels) -> float:
    """Mean absolute difference over pixels and channels, in units of the peak: 0 for equal pictures, at most 1.

    Args:
        a, b: as in `psnr`.

    Raises:
        DataError, ValueError: as in `psnr`.
    """
    x1, x2 = _prepare(a, b, 0, y=False)
    return float(np.abs(x1 - x2).mean() / PEAK)


def psnr(a: Levels, b: Levels, *, crop: int = 0, y: bool = False) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(255² / MSE), over pixels and channels; infinite for equal pictures.

    Super-resolution papers report `y=True` with `crop` equal to the scale, and round results to uint8 before.

    Args:
        a, b: (H, W, 3) RGB or (H, W), levels 0 to 255, uint8 or floating, of one size.
        crop: pixels to leave out on each side.
        y: compare MATLAB's luma instead of RGB (only of RGB pictures). The peak stays 255, as in the papers, though
            luma spans 219 levels: that alone is worth 1.32 dB against a luma of full range.

    Raises:
        DataError: sizes differ, nothing is left after the crop, or values are not finite.
        ValueError: another shape, or a negative crop.
    """
    x1, x2 = _prepare(a, b, crop, y)
    mse = np.square(x1 - x2).mean()
    return 10 * math.log10(PEAK**2 / mse) if mse > 0 else math.inf


def ssim(a: Levels, b: Levels, *, crop: int = 0, y: bool = False) -> float:
    """Structural similarity: mean over the positions at which the window lies inside, and over channels; 1 for equal.

    11x11 Gaussian window of σ 1.5, K1 0.01, K2 0.03, peak 255, moments of the population.

    Args:
        a, b, crop, y: as in `psnr`; at least 11x11 pixels must be left after the crop.

    Raises:
        DataError, ValueError: as in `psnr`, and a picture smaller than the window.

    Source: Wang et al. 2004, "Image Quality Assessment: From Error Visibility to Structural Similarity", Sec. III.
    """
    x1, x2 = _prepare(a, b, crop, y)
    height, width = x1.shape[:2]
    if min(height, width) < WINDOW:
        after = f" after a crop of {crop}" if crop else ""
        raise DataError(
            f"SSIM looks through windows of {WINDOW}x{WINDOW} pixels, the pictures have {width}x{height}{after}.",
            "Compare larger pictures, or crop less.",
        )
    luminance, contrast = ssim_maps(x1[None], x2[None])
    return float((luminance * contrast).mean())


def ssim_maps(
    x1: FloatArray, x2: FloatArray, window: int = WINDOW, sigma: float = SIGMA
) -> tuple[FloatArray, FloatArray]:
    """SSIM's two factors, luminance and contrast-structure, at every position of the window inside the picture.

    Args:
        x1, x2: (N, H, W, ...) in 0..255.
        window, sigma: side and standard deviation of the Gaussian window, in pixels; an even side is centred
            between pixels.

    Returns:
        two arrays (N, H - window + 1, W - window + 1, ...).

    Source: Wang et al. 2004, eqs. 6 and 13; Wang et al. 2003 takes the factors apart.
    """
    c1, c2 = (K1 * PEAK) ** 2, (K2 * PEAK) ** 2
    mu1, mu2 = _blur(x1, window, sigma), _blur(x2, window, sigma)
    var1 = _blur(x1 * x1, window, sigma) - mu1 * mu1
    var2 = _blur(x2 * x2, window, sigma) - mu2 * mu2
    covariance = _blur(x1 * x2, window, sigma) - mu1 * mu2
    luminance = (2 * mu1 * mu2 + c1) / (mu1 * mu1 + mu2 * mu2 + c1)
    contrast = (2 * covariance + c2) / (var1 + var2 + c2)
    return luminance, contrast


def _blur(x: FloatArray, window: int, sigma: float) -> FloatArray:
    """Gaussian means over axes 1 and 2, where the window lies inside."""
    distance = np.arange(window) - (window - 1) / 2
    weights = np.exp(-0.5 * np.square(distance / sigma))
    weights /= weights.sum()
    for axis in (1, 2):
        first = window // 2
        inside = slice(first, first + x.shape[axis] - window + 1)
        x = ndimage.correlate1d(x, weights, axis)[(slice(None),) * axis + (inside,)]
    return x


def _prepare(a: Levels, b: Levels, crop: int, y: bool) -> tuple[FloatArray, FloatArray]:
    """Two pictures (H, W) or (H, W, 3) in float64, cropped, and reduced to luma if asked."""
    for image in (a, b):
        if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
            raise ValueError(f"a picture is (H, W, 3) or (H, W), got {image.shape}")
    if crop < 0:
        raise ValueError(f"crop must not be negative, got {crop}")
    if a.shape[:2] != b.shape[:2]:
        raise DataError(
            f"The pictures have different sizes: {a.shape[1]}x{a.shape[0]} and {b.shape[1]}x{b.shape[0]} pixels.",
            "PSNR and SSIM compare pixel by pixel: bring them to one size first.",
        )
    if a.ndim != b.ndim or (y and a.ndim == 2):
        raise ValueError(f"two RGB pictures, or two grey ones without y, are compared; got {a.shape} and {b.shape}")
    height, width = a.shape[:2]
    if min(height, width) <= 2 * crop:
        raise DataError(
            f"A crop of {crop} on each side leaves nothing of a picture of {width}x{height} pixels.", "Crop less."
        )
    prepared = []
    for image in (a, b):
        inner = image[crop : height - crop, crop : width - crop]
        x = to_y(inner) if y else inner.astype(np.float64)
        if not np.isfinite(x).all():
            raise DataError("A picture has values that are not finite numbers.", "Look at what wrote it.")
        prepared.append(x)
    return prepared[0], prepared[1]
