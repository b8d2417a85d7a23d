"""Resizing with the conventions that published results depend on.

`resize_single_image` is the resize of the SinGAN and ConSinGAN codes: MATLAB's antialiased bicubic on the
8-bit picture, with two habits that change numbers and are kept: levels are truncated, and the two edges of an
axis are treated differently. `BicubicWindow` is PyTorch's bicubic (align_corners) restricted to a window.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def cubic(x: FloatArray) -> FloatArray:
    """Keys' cubic kernel with a = -0.5, support (-2, 2)."""
    ax = np.abs(x)
    inner = (1.5 * ax - 2.5) * ax**2 + 1
    outer = ((-0.5 * ax + 2.5) * ax - 4) * ax + 2
    return np.where(ax <= 1, inner, np.where(ax <= 2, outer, 0.0))


def cubic_taps(target: int, factor: float, antialias: bool) -> tuple[FloatArray, IntArray]:
    """MATLAB's taps on an axis without ends: `cubic` at the distances of samples to the centre of each result.

    Args:
        target: samples after.
        factor: target per source sample.
        antialias: stretch the kernel by 1 / factor (only meaningful when factor < 1).

    Returns:
        weights (target, taps), not normalised, and indices (target, taps), also before and after the axis.
    """
    width = 4.0 / factor if antialias else 4.0
    centre = np.arange(1, target + 1) / factor + 0.5 * (1 - 1 / factor)
    first = np.floor(centre - width / 2)
    index = (first[:, None] + np.arange(math.ceil(width) + 2) - 1).astype(np.int64)
    distance = centre[:, None] - index - 1
    return factor * cubic(factor * distance) if antialias else cubic(distance), index


def axis_taps(length: int, target: int, factor: float, antialias: bool) -> tuple[FloatArray, IntArray]:
    """Weights and source indices that resize one axis of `length` samples to `target` samples.

    Args:
        length, target: samples before and after.
        factor: target per source sample; not always target / length, since targets are rounded up.
        antialias: stretch the kernel by 1 / factor (only meaningful when factor < 1).

    Returns:
        weights (target, taps), rows sum to 1, and indices (target, taps) into the axis.

    The reference computes indices as unsigned integers. Left of the picture they wrap to huge numbers, whose
    kernel weight is zero; so there the kernel is cut and renormalised, while on the right it is mirrored.
    """
    weights, index = cubic_taps(target, factor, antialias)
    weights[index < 0] = 0.0
    weights /= weights.sum(axis=1, keepdims=True)
    used = weights.any(axis=0)
    mirrored = np.concatenate([np.arange(length), np.arange(length - 1, -1, -1)])
    return weights[:, used], mirrored[np.mod(index[:, used], 2 * length)]


Axis = tuple[int, int, float, bool]
"""Length before and after, factor, antialiasing: see `axis_taps`."""


def _axis_matrix(length: int, target: int, factor: float, antialias: bool) -> FloatArray:
    """`axis_taps` as a dense (target, length) matrix."""
    weights, index = axis_taps(length, target, factor, antialias)
    matrix = np.zeros((target, length))
    np.add.at(matrix, (np.arange(target)[:, None], index), weights)
    return matrix


@lru_cache(maxsize=256)
def _axis_tensor(axis: Axis, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.from_numpy(_axis_matrix(*axis)).to(device, dtype)


def _axes(height: int, width: int, scale: float | None, size: tuple[int, int] | None) -> list[tuple[int, Axis]]:
    """What to do on which axis, in order; an axis with a factor of 1 is left alone."""
    if (scale is None) == (size is None):
        raise ValueError("give either scale or size")
    if scale is not None:
        factors = (scale, scale)
        size = (math.ceil(height * scale), math.ceil(width * scale))
    else:
        assert size is not None
        factors = (size[0] / height, size[1] / width)
    lengths, antialias = (height, width), factors[0] < 1
    return [
        (k, (lengths[k], size[k], factors[k], antialias))
        for k in sorted((0, 1), key=lambda k: factors[k])
        if factors[k] != 1.0
    ]


def resize_array(image: FloatArray, *, scale: float | None = None, size: tuple[int, int] | None = None) -> FloatArray:
    """Bicubic resize of an (H, W, ...) float array, by a factor or to a size (height, width).

    By a factor the size becomes ceil(H * scale), ceil(W * scale). The vertical factor alone decides on
    antialiasing, the axis that shrinks most is resized first, and a factor of exactly 1 leaves an axis alone.
    """
    for k, axis in _axes(image.shape[0], image.shape[1], scale, size):
        image = np.moveaxis(np.tensordot(_axis_matrix(*axis), image, (1, k)), 0, k)
    return image


def truncate_to_levels(image: Tensor) -> Tensor:
    """(N, C, H, W) in [-1, 1] to the levels 0 to 255 (in the tensor's own type) by clamping and truncating.

    Truncation, not rounding: in float32 the levels 1..63 come back one lower. It changes shadows on every pass
    and is part of the published recipe.
    """
    return (((image + 1) / 2).clamp(0, 1) * 255).floor()


def resize_single_image(image: Tensor, *, scale: float | None = None, size: tuple[int, int] | None = None) -> Tensor:
    """The resize of SinGAN's and ConSinGAN's pyramids: (N, C, H, W) in [-1, 1] to (N, C, h, w), clamped.

    Computed where the image is, in float64 (float32 on MPS, which has no other). The result is rounded to float32.
    Source: the `imresize` step of both official codes; golden numbers in tests/golden/consingan_resize.npz.
    """
    x = truncate_to_levels(image).to(torch.float32 if image.device.type == "mps" else torch.float64)
    for k, axis in _axes(image.shape[2], image.shape[3], scale, size):
        if max(axis[:2]) > DENSE:
            x = _by_taps(x, k + 2, axis)
            continue
        matrix = _axis_tensor(axis, x.dtype, x.device)
        x = matrix @ x if k == 0 else x @ matrix.T
    # To float32 after the division, as in the reference: the next truncation may hang on the last bit.
    return (((x / 255).float() - 0.5) * 2).clamp(-1, 1).to(image.dtype)


DENSE = 1024  # samples of an axis: longer ones are resized tap by tap, since a dense matrix is mostly zeros


def _by_taps(x: Tensor, dim: int, axis: Axis) -> Tensor:
    weights, index = axis_taps(*axis)
    shape = [1] * x.ndim
    shape[dim] = -1
    out: Tensor = x.new_zeros(())
    for tap in range(weights.shape[1]):
        weight = torch.from_numpy(weights[:, tap].copy()).to(x)
        source = torch.from_numpy(index[:, tap].copy()).to(x.device)
        out = out + weight.view(shape) * x.index_select(dim, source)
    return out


# --- bicubic with aligned corners, on windows -------------------------------------------------------------


@lru_cache(maxsize=4096)
def _align_corners_matrix(
    length: int, target: int, out: tuple[int, int], src: tuple[int, int], dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Dense weights (out[1]-out[0], src[1]-src[0]) of one axis; see `bicubic_window`."""
    a = -0.75  # PyTorch's (and OpenCV's) choice of Keys' parameter
    step = (length - 1) / (target - 1) if target > 1 else 0.0
    centre = np.arange(*out)[:, None] * step
    index = np.floor(centre).astype(np.int64) + np.arange(-1, 3)
    d = np.abs(centre - index)
    inner, outer = ((a + 2) * d - (a + 3)) * d * d + 1, ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    weights = np.where(d <= 1, inner, outer)
    column = np.clip(index, 0, length - 1) - src[0]
    inside = (column >= 0) & (column < src[1] - src[0])  # outside, weights are 0
    matrix = np.zeros((out[1] - out[0], src[1] - src[0]))
    rows = np.broadcast_to(np.arange(len(matrix))[:, None], column.shape)
    np.add.at(matrix, (rows[inside], column[inside]), weights[inside])
    return torch.from_numpy(matrix).to(device, dtype)


def source_window(length: int, target: int, out: tuple[int, int]) -> tuple[int, int]:
    """The source samples [start, stop) that bicubic align_corners needs for target samples [out)."""
    step = (length - 1) / (target - 1) if target > 1 else 0.0
    start = math.floor(out[0] * step) - 1
    stop = math.floor((out[1] - 1) * step) + 3
    return max(start, 0), min(stop, length)


Box = tuple[tuple[int, int], tuple[int, int]]
"""Rows [start, stop) and columns [start, stop) of a picture or feature map."""


def bicubic_window(x: Tensor, full: tuple[int, int], src: Box, target: tuple[int, int], out: Box) -> Tensor:
    """`F.interpolate(full map, target, mode="bicubic", align_corners=True)` cut to `out`, from a window.

    Args:
        x: (N, C, h, w), the rows and columns `src` of a map whose full size is `full`.
        full, target: sizes (height, width) of the whole map before and after.
        src, out: windows before and after; `src` must hold what `source_window` asks for.

    Returns:
        (N, C, out rows, out columns); equal to the cropped whole result up to rounding.
    """
    n, c, h, w = x.shape
    # Work on (N, H, W, C) memory, which the convolutions use, so that no copy changes the layout. Each output
    # sample needs four source samples: products over short blocks skip most of the zeros of a dense matrix.
    flat = x.permute(0, 2, 3, 1).reshape(n, h, w * c)
    tall = torch.cat([m @ flat[:, a:b] for m, a, b in _blocks(full[0], target[0], out[0], src[0], x)], 1)
    tall = tall.reshape(n * tall.shape[1], w, c)
    wide = torch.cat([m @ tall[:, a:b] for m, a, b in _blocks(full[1], target[1], out[1], src[1], x)], 1)
    return wide.reshape(n, -1, wide.shape[1], c).permute(0, 3, 1, 2)


BLOCK = 48  # output samples a product; on an accelerator one product over all is faster


def _blocks(
    length: int, target: int, out: tuple[int, int], src: tuple[int, int], like: Tensor
) -> Iterator[tuple[Tensor, int, int]]:
    """Interpolation matrices of BLOCK output samples each, with the source samples (in `src`) they take."""
    block = BLOCK if like.device.type == "cpu" else out[1] - out[0]
    for start in range(out[0], out[1], block):
        part = (start, min(start + block, out[1]))
        low, high = source_window(length, target, part)
        matrix = _align_corners_matrix(length, target, part, (low, high), like.dtype, like.device)
        yield matrix, low - src[0], high - src[0]
