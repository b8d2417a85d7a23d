"""MATLAB's bicubic `imresize`, which makes the small pictures of super-resolution benchmarks."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import sparse  # type: ignore[import-untyped]

from gantool.nn.resize import FloatArray, cubic_taps

Border = Literal["replicate", "symmetric"]
T = TypeVar("T", bound=np.generic)


def imresize(
    image: npt.NDArray[T],
    scale: float | None = None,
    size: tuple[int, int] | None = None,
    antialias: bool = True,
    border: Border = "replicate",
) -> npt.NDArray[T]:
    """Bicubic resize of a picture as MATLAB does it, by a factor or to a size.

    Keys' kernel with a = -0.5, stretched on an axis that shrinks; one axis after the other, first the one that
    shrinks most, of equal ones the vertical. 8-bit pictures are rounded (half up) and clipped to 0..255 after
    each axis. Floats are computed in float64 and neither rounded nor clipped: they overshoot at edges.

    Args:
        image: (H, W) or (H, W, C), uint8 or floating, of any range.
        scale: factor; a side becomes ceil(side * scale).
        size: (height, width) instead of `scale`.
        antialias: stretch the kernel when shrinking; False takes four samples whatever the factor.
        border: what lies outside: "replicate" repeats the outermost sample, as older MATLABs do, and gives the
            published x4 pictures of Set5 bit for bit; "symmetric" mirrors (the outermost sample comes twice), as
            newer ones and BasicSR do. They differ in the outermost pixels only.

    Returns:
        the resized picture in the type of `image`.

    Raises:
        ValueError: another shape or type, both or neither of `scale` and `size`, or a side that would be below 1.

    Source: MATLAB's documentation of `imresize`; Keys 1981, "Cubic Convolution Interpolation".
    """
    if image.ndim not in (2, 3) or image.size == 0:
        raise ValueError(f"a picture is (H, W) or (H, W, C), got {image.shape}")
    rounded = image.dtype == np.uint8
    if not rounded and not np.issubdtype(image.dtype, np.floating):
        raise ValueError(f"a picture is uint8 or floating, got {image.dtype}")
    targets, factors = _targets(image.shape[:2], scale, size)
    result: npt.NDArray[np.generic] = image
    for k in sorted((0, 1), key=lambda k: factors[k]):
        if factors[k] == 1.0:
            continue
        matrix = axis_matrix(image.shape[k], targets[k], factors[k], antialias and factors[k] < 1, border)
        resized = _along(matrix, result.astype(np.float64), k)
        # To bytes at once: the next axis starts from whole levels, and a byte is an eighth of a float64.
        result = np.floor(resized + 0.5).clip(0, 255).astype(np.uint8) if rounded else resized
    return result.astype(image.dtype)


def _targets(
    lengths: tuple[int, ...], scale: float | None, size: tuple[int, int] | None
) -> tuple[tuple[int, int], tuple[float, float]]:
    """Sides after, and factors. With `scale` the factor is `scale` itself, though the side is rounded up."""
    height, width = lengths
    if scale is not None and size is None:
        if not (scale > 0 and math.isfinite(scale)):
            raise ValueError(f"scale must be a positive number, got {scale}")
        return (math.ceil(height * scale), math.ceil(width * scale)), (scale, scale)
    if size is not None and scale is None:
        if min(size) < 1:
            raise ValueError(f"size must be at least 1x1, got {size}")
        return size, (size[0] / height, size[1] / width)
    raise ValueError("give either scale or size")


@lru_cache(maxsize=64)  # training makes patches of one size, again and again
def axis_matrix(length: int, target: int, factor: float, antialias: bool, border: Border) -> sparse.csr_array:
    """(target, length), rows sum to 1."""
    weights, index = cubic_taps(target, factor, antialias)
    weights /= weights.sum(axis=1, keepdims=True)
    if border == "replicate":
        index = index.clip(0, length - 1)
    elif border == "symmetric":
        index = index % (2 * length)
        index = np.minimum(index, 2 * length - 1 - index)
    else:
        raise ValueError(f"border is 'replicate' or 'symmetric', got {border!r}")
    rows = np.broadcast_to(np.arange(target)[:, None], index.shape)
    matrix = sparse.coo_array((weights.ravel(), (rows.ravel(), index.ravel())), shape=(target, length)).tocsr()
    matrix.eliminate_zeros()
    return matrix


def _along(matrix: sparse.csr_array, image: FloatArray, axis: int) -> FloatArray:
    """A matrix (target, length) applied to one axis of (H, W, ...)."""
    turned = np.moveaxis(image, axis, 0)
    flat = matrix @ turned.reshape(len(turned), -1)
    return np.moveaxis(flat.reshape(-1, *turned.shape[1:]), 0, axis)
