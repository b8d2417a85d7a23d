"""Differentiable augmentation of what the discriminator sees (Zhao et al., NeurIPS 2020)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gantool.nn.policies import parse_policy

Draw = Callable[..., Tensor]  # U[0, 1) of a shape, on the device
SHIFT, HOLE = 1 / 8, 1 / 2  # of the side: shift at most, side of the hole


def diff_augment(x: Tensor, policy: str, draw: Draw, strength: Tensor | None = None) -> Tensor:
    """Pictures (N, C, H, W) in [-1, 1] after the augmentations of `policy`; gradients flow through them.

    Args:
        policy: see `gantool.nn.policies.parse_policy`.
        strength: probability of each augmentation for each picture, a tensor without dimensions; None is 1.
    """
    for name in parse_policy(policy):
        changed = _AUGMENTATIONS[name](x, draw)
        if strength is not None:
            changed = torch.where(draw(len(x), 1, 1, 1) < strength, changed, x)
        x = changed
    return x


def _color(x: Tensor, draw: Draw) -> Tensor:
    """Brightness in +-0.5, saturation times 0 to 2, contrast times 0.5 to 1.5, of pictures from -1 to 1."""
    n = len(x)
    x = x + (draw(n, 1, 1, 1) - 0.5)
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * (2 * draw(n, 1, 1, 1))
    middle = x.mean((1, 2, 3), keepdim=True)
    return middle + (x - middle) * (draw(n, 1, 1, 1) + 0.5)


def _whole(draw: Draw, n: int, low: int, high: int) -> Tensor:
    """(n, 1) whole numbers from low to high, both included."""
    return (draw(n, 1) * (high - low + 1)).floor().long() + low


def _part(side: int, share: float) -> int:
    """Of a side, in whole pixels; halves up, as the authors' code rounds."""
    return int(side * share + 0.5)


def _translation(x: Tensor, draw: Draw) -> Tensor:
    """Shifted by up to an eighth of each side; what comes in is 0."""
    for dim in (2, 3):
        reach = _part(x.shape[dim], SHIFT)
        x = _shifted(x, dim, _whole(draw, len(x), -reach, reach))
    return x


def _shifted(x: Tensor, dim: int, by: Tensor) -> Tensor:
    """Each picture along dimension 2 or 3 by its whole number of (n, 1) pixels, up or left."""
    side = x.shape[dim]
    source = torch.arange(side, device=x.device) + by
    inside = (source >= 0) & (source < side)
    shape = (len(x), 1, side, 1) if dim == 2 else (len(x), 1, 1, side)
    moved = x.gather(dim, source.clamp(0, side - 1).view(shape).expand_as(x))
    return moved * inside.view(shape).to(x.dtype)


def _cutout(x: Tensor, draw: Draw) -> Tensor:
    """A hole of half the side, centred anywhere in the picture, is 0."""
    n, _, height, width = x.shape
    high, wide = _part(height, HOLE), _part(width, HOLE)
    top = _whole(draw, n, 0, height - 1 + (high % 2 == 0)) - high // 2
    left = _whole(draw, n, 0, width - 1 + (wide % 2 == 0)) - wide // 2
    rows, columns = torch.arange(height, device=x.device), torch.arange(width, device=x.device)
    hole = ((rows >= top) & (rows < top + high))[:, :, None] & ((columns >= left) & (columns < left + wide))[:, None, :]
    return x * (~hole)[:, None].to(x.dtype)


def _flip(x: Tensor, draw: Draw) -> Tensor:
    """Half of the pictures mirrored."""
    return torch.where(draw(len(x), 1, 1, 1) < 0.5, x.flip(3), x)


_AUGMENTATIONS = {"color": _color, "translation": _translation, "cutout": _cutout, "flip": _flip}
