"""The Laplacian pyramid: a picture as its differences from level to level, and the smallest level itself.

Burt and Adelson 1983, "The Laplacian Pyramid as a Compact Image Code"; LAPGAN (Denton et al. 2015, section 2.2) calls
the two operations d(.) and u(.). Pictures are (N, C, H, W) of any floating type on any device.

The four filters, each a way down and a way up:

- "area": down, the mean over the area that a pixel covers, pixels in part by their part; up, linear between samples
  with the corners aligned. What Torch7's `image.scale` does, and so LAPGAN's published code.
- "binomial": down, (1 4 6 4 1) / 16 along each axis, then every other pixel; up, zeros between the pixels and twice the
  same kernel: Burt and Adelson's with a = 3/8. Mirrored at the border, the outermost pixel once. Only from n to
  ceil(n / 2) pixels and back.
- "haar": down as "area"; up, each pixel repeated. The Haar wavelet's approximation at a factor of 2.
- "bicubic": Keys' kernel with a = -0.5, down stretched against aliasing; PyTorch's antialiased bicubic, and Pillow's.

**Exactness.** `collapse` adds up what was subtracted, so it is the inverse up to rounding: in float32, of pictures in
[-1, 1], below 1e-6. Pictures of whole levels 0 to 255 come back bit for bit where no mean of levels needs rounding.
In float64: with "binomial" from 6 levels below the picture, with "haar" and "area" from any level, as long as sides are
divided by powers of 2. In float32: from 2 and from 8 levels below.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

Filter = Literal["area", "binomial", "haar", "bicubic"]
FILTERS: tuple[Filter, ...] = get_args(Filter)
Size = tuple[int, int]
"""Height and width in pixels."""

# No product of matrices and no convolution here: under autocast or TF32 those round to 11 bits or fewer, and their last
# bit depends on how many pictures stand side by side.


def laplacian_pyramid(x: Tensor, sizes: Sequence[Size], filter: Filter) -> list[Tensor]:
    """Differences of each level to the next, enlarged, finest first; last the smallest picture itself.

    Args:
        x: (N, C, H, W).
        sizes: of the smaller levels, finest first; without any, the pyramid is [x].
        filter: see the module.

    Raises:
        ValueError: as `reduce`.
    """
    pyramid = []
    for size in sizes:
        smaller = reduce(x, size, filter)
        pyramid.append(x - expand(smaller, size_of(x), filter))
        x = smaller
    return [*pyramid, x]


def collapse(pyramid: Sequence[Tensor], filter: Filter) -> Tensor:
    """The picture of a pyramid: from the smallest on, enlarge and add the difference. The inverse of its making."""
    *differences, x = pyramid
    for difference in reversed(differences):
        x = expand(x, size_of(difference), filter) + difference
    return x


def reduce(x: Tensor, size: Size, filter: Filter) -> Tensor:
    """(N, C, H, W) to a smaller `size`, d(.) in LAPGAN; an axis of the size already is left as it is.

    Raises:
        ValueError: a size that is larger or below 1, for "binomial" another than ceil(H / 2), ceil(W / 2); an unknown
            filter.
    """
    before = size_of(x)
    if not all(1 <= target <= length for target, length in zip(size, before, strict=True)):
        raise ValueError(f"{before} cannot be reduced to {size}")
    if filter == "binomial":
        if [size] != halves(*before, 1):
            raise ValueError(f"the binomial filter halves: {before} to {halves(*before, 1)[0]}, not {size}")
        return _halve(_halve(x, -2), -1)
    if filter in ("area", "haar"):
        return _area(x, size)
    if filter == "bicubic":
        return _bicubic(x, size)
    raise ValueError(f"unknown filter {filter!r}; there are {FILTERS}")


def expand(x: Tensor, size: Size, filter: Filter) -> Tensor:
    """(N, C, h, w) to a larger `size`, u(.) in LAPGAN.

    Raises:
        ValueError: a size that is smaller, for "binomial" another than 2h or 2h - 1 by 2w or 2w - 1; an unknown filter.
    """
    before = size_of(x)
    if not all(target >= length for target, length in zip(size, before, strict=True)):
        raise ValueError(f"{before} cannot be expanded to {size}")
    if filter == "binomial":
        if [before] != halves(*size, 1):
            raise ValueError(f"the binomial filter doubles, or doubles less one: {before}, not to {size}")
        return _double(_double(x, -1, size[1]), -2, size[0])
    if filter == "area":
        return F.interpolate(x, size, mode="bilinear", align_corners=True)
    if filter == "haar":
        return F.interpolate(x, size, mode="nearest-exact")
    if filter == "bicubic":
        return _bicubic(x, size)
    raise ValueError(f"unknown filter {filter!r}; there are {FILTERS}")


def halves(height: int, width: int, levels: int) -> list[Size]:
    """The sizes of so many levels below a picture, each side halved and rounded up; finest first."""
    sizes = []
    for _ in range(levels):
        height, width = (height + 1) // 2, (width + 1) // 2
        sizes.append((height, width))
    return sizes


def size_of(x: Tensor) -> Size:
    """Height and width of (..., H, W)."""
    return x.shape[-2], x.shape[-1]


# --- binomial: samples of even and of odd places apart, so that nothing is computed only to be dropped ---------------


def _halve(x: Tensor, dim: int) -> Tensor:
    n = x.shape[dim]
    if n == 1:
        return x
    even, odd = (_every_other(x, dim, first) for first in (0, 1))
    last = odd.shape[dim] - 1
    outside = [odd.narrow(dim, last, 1)] if n % 2 else []
    odd = torch.cat([odd.narrow(dim, 0, 1), odd, *outside], dim)
    left, centre, right = _neighbours(even, dim, n)
    m = centre.shape[dim]
    y = (left + right).add_(centre, alpha=6)
    return y.add_(odd.narrow(dim, 0, m) + odd.narrow(dim, 1, m), alpha=4).div_(16)


def _double(y: Tensor, dim: int, n: int) -> Tensor:
    if n == 1:
        return y
    left, centre, right = _neighbours(y, dim, n)
    even = (left + right).add_(centre, alpha=6).div_(8)
    odd = (centre + right).div_(2)
    return torch.stack((even, odd), dim).flatten(dim - 1, dim).narrow(dim, 0, n)


def _every_other(x: Tensor, dim: int, first: int) -> Tensor:
    return x[..., first::2] if dim == -1 else x[..., first::2, :]


def _neighbours(even: Tensor, dim: int, n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Samples of the even places of an axis of n places: before, at, and after each; mirrored at the ends."""
    m = even.shape[dim]
    # Place -2 mirrors 2; behind the last place, n mirrors n - 2 if n is even, and n + 1 mirrors n - 3 if it is odd.
    before, after = even.narrow(dim, min(1, m - 1), 1), even.narrow(dim, n // 2 - 1, 1)
    wide = torch.cat([before, even, after], dim)
    return wide.narrow(dim, 0, m), even, wide.narrow(dim, 2, m)


# --- area and bicubic ------------------------------------------------------------------------------------------------


def _area(x: Tensor, size: Size) -> Tensor:
    height, width = size_of(x)
    if height % size[0] == 0 and width % size[1] == 0:
        return F.avg_pool2d(x, (height // size[0], width // size[1]))
    return _area_of_axis(_area_of_axis(x, -1, size[1]), -2, size[0])


def _area_of_axis(x: Tensor, dim: int, target: int) -> Tensor:
    if target == x.shape[dim]:
        return x
    index, weights = _overlaps(x.shape[dim], target, x.dtype, x.device)
    shape = (-1, 1) if dim == -2 else (-1,)
    y = x.index_select(dim, index[0]) * weights[0].view(shape)
    for k in range(1, len(index)):
        y = y + x.index_select(dim, index[k]) * weights[k].view(shape)
    return y


@lru_cache(maxsize=256)
def _overlaps(length: int, target: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Per target pixel the source pixels that it covers, (taps, target), and which part of it each of them is."""
    # A tensor that is first made in inference mode could not take part in training later.
    with torch.inference_mode(False):
        # In units of 1 / target source pixels all borders are whole numbers: no rounding decides who is covered.
        start = torch.arange(target) * length
        index = start // target + torch.arange((length - 1) // target + 2)[:, None]
        overlap = (start + length).minimum((index + 1) * target) - start.maximum(index * target)
        weights = overlap.clamp(min=0).double() / length
        return index.clamp(max=length - 1).to(device), weights.to(device, dtype)


def _bicubic(x: Tensor, size: Size) -> Tensor:
    half = x.dtype in (torch.float16, torch.bfloat16)  # not written for these on a CPU
    y = F.interpolate(x.float() if half else x, size, mode="bicubic", align_corners=False, antialias=True)
    return y.to(x.dtype)
