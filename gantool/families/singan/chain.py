"""Walking up SinGAN's scales: each generator repaints the enlarged picture of the one below (paper, section 2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from gantool.families.singan.networks import Generator, pad_margin
from gantool.families.singan.pyramid import Size
from gantool.nn.resize import resize_single_image

BAND = 4_000_000  # numbers in one feature map; a larger picture is painted in bands of rows


def enlarge(picture: Tensor, factor: float, size: Size | None = None) -> Tensor:
    """A scale's picture (N, 3, h, w) for the next finer scale: enlarged by 1 / factor, cut to `size`.

    Through 8 bits and truncated, as published; the result is rounded up to whole pixels before it is cut.
    """
    larger = resize_single_image(picture, scale=1 / factor)
    return larger if size is None else larger[:, :, : size[0], : size[1]]


def climb(
    generators: Sequence[Generator],
    amps: Sequence[Tensor | float],
    noises: Sequence[Tensor],
    factor: float,
    below: Tensor,
    sizes: Sequence[Size | None],
) -> Tensor:
    """Run `generators`, coarse to fine, on a picture that is already enlarged for the first of them.

    Args:
        amps: the noise amplitude of each.
        noises: of each, (N, 3, h + 2 margin, w + 2 margin), unscaled.
        factor: size of a scale over the next finer one.
        below: (N, 3, h, w), what the first generator repaints; zeros for the coarsest scale.
        sizes: what pictures are cut to on entering each; None leaves them as they are.

    Returns:
        (N, 3, H, W) of the last one, not clamped.
    """
    x = below
    for i, (generator, amp, noise, size) in enumerate(zip(generators, amps, noises, sizes, strict=True)):
        if i:
            x = enlarge(x, factor, size)
        previous = pad_margin(x, generator.margin)
        if previous.shape[2:] != noise.shape[2:]:  # at sizes of the user's, a pixel can be missing
            previous = previous[:, :, : noise.shape[2], : noise.shape[3]]
            previous = F.interpolate(previous, noise.shape[2:], mode="bilinear", align_corners=True)
        x = repaint(generator, amp * noise, previous)
    return x


def repaint(generator: Generator, noise: Tensor, previous: Tensor) -> Tensor:
    """`generator(noise, previous)`, in bands of rows where the picture is large.

    In evaluation mode a generator is local: a band with its margin gives the same rows as the whole picture.
    """
    height, width = previous.shape[2] - 2 * generator.margin, previous.shape[3]
    rows = max(16, BAND // (width * generator.head.conv.out_channels))
    if generator.training or height <= rows:
        out: Tensor = generator(noise, previous)
        return out
    bands = []
    for top in range(0, height, rows):
        part = slice(top, min(top + rows, height) + 2 * generator.margin)
        bands.append(generator(noise[:, :, part].contiguous(), previous[:, :, part].contiguous()))
    return torch.cat(bands, 2)
